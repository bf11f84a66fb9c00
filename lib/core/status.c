/* status.c - names of statuses and the one-line message of the last failure on each thread. */
#include <stdio.h>

#include "core/context_private.h"

enum { MESSAGE_SIZE = 1024 };

/* The only per-thread state of the library: no allocation, so it also works when memory is out. */
static _Thread_local char last_message[MESSAGE_SIZE];

/* Cuts a UTF-8 sequence that truncation left incomplete at the end. */
static void trim_partial_utf8(char *text)
{
    size_t length = strlen(text);
    size_t back = 0;
    while (back < length && back < 4) {
        unsigned char c = (unsigned char)text[length - 1 - back];
        back++;
        if ((c & 0xc0u) != 0x80u) {
            size_t wanted = c >= 0xf0u ? 4 : c >= 0xe0u ? 3 : c >= 0xc0u ? 2 : 1;
            if (wanted > back) {
                text[length - back] = '\0';
            }
            return;
        }
    }
}

/* A message is one line of text whatever went into it: file names may hold newlines. */
void amun__status_tidy_line(char *text, bool cut)
{
    if (cut) {
        trim_partial_utf8(text);
    }
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) {
            *text = ' ';
        }
    }
}

void amun__enter(void)
{
    last_message[0] = '\0';
}

__attribute__((format(printf, 1, 0))) static void write_message(const char *format, va_list args)
{
    /* Formatted aside: an argument may point into last_message itself. */
    char text[MESSAGE_SIZE];
    int length = vsnprintf(text, sizeof text, format, args);
    if (length < 0) {
        text[0] = '\0';
    }
    amun__status_tidy_line(text, length >= (int)sizeof text);
    memcpy(last_message, text, strlen(text) + 1);
}

amun_status amun__fail(amun_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_message(format, args);
    va_end(args);
    return status;
}

amun_status amun__fail_within(amun_status status, const char *format, ...)
{
    char inner[MESSAGE_SIZE];
    memcpy(inner, last_message, sizeof inner);
    va_list args;
    va_start(args, format);
    write_message(format, args);
    va_end(args);
    size_t used = strlen(last_message);
    int length = snprintf(last_message + used, sizeof last_message - used, ": %s", inner);
    if (length >= (int)(sizeof last_message - used)) {
        trim_partial_utf8(last_message);
    }
    return status;
}

const char *amun_last_error_message(void)
{
    return last_message;
}

const char *amun_status_string(amun_status status)
{
    switch (status) {
    case AMUN_OK:
        return "AMUN_OK";
    case AMUN_ERROR_INVALID_ARGUMENT:
        return "AMUN_ERROR_INVALID_ARGUMENT";
    case AMUN_ERROR_OUT_OF_MEMORY:
        return "AMUN_ERROR_OUT_OF_MEMORY";
    case AMUN_ERROR_IO:
        return "AMUN_ERROR_IO";
    case AMUN_ERROR_FORMAT:
        return "AMUN_ERROR_FORMAT";
    case AMUN_ERROR_UNSUPPORTED:
        return "AMUN_ERROR_UNSUPPORTED";
    case AMUN_ERROR_SHAPE:
        return "AMUN_ERROR_SHAPE";
    case AMUN_ERROR_STATE:
        return "AMUN_ERROR_STATE";
    case AMUN_ERROR_BUSY:
        return "AMUN_ERROR_BUSY";
    case AMUN_ERROR_CANCELLED:
        return "AMUN_ERROR_CANCELLED";
    case AMUN_ERROR_NUMERIC:
        return "AMUN_ERROR_NUMERIC";
    case AMUN_ERROR_BACKEND:
        return "AMUN_ERROR_BACKEND";
    case AMUN_ERROR_NOT_FOUND:
        return "AMUN_ERROR_NOT_FOUND";
    case AMUN_ERROR_INTERNAL:
        return "AMUN_ERROR_INTERNAL";
    default:
        return "unknown status";
    }
}
