/* test_files.h - small helpers for tests that read and write files, without the library's own. */
#ifndef AMUN_TEST_FILES_H
#define AMUN_TEST_FILES_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "support.h"

/* A path of its own for each name; copied, so several can be held at once. */
#define TEST_FILE(variable, name)                                                                  \
    char variable[4096];                                                                           \
    snprintf(variable, sizeof variable, "%s", test_path(name))

__attribute__((unused)) static void put_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_msg(file != NULL, "cannot write %s", path);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

/* Malloc-ed content with a final NUL. */
__attribute__((unused)) static unsigned char *get_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*size + 1);
    ck_assert_uint_eq(fread(data, 1, *size, file), *size);
    data[*size] = '\0';
    fclose(file);
    return data;
}

__attribute__((unused)) static void check_file(const char *path, const void *data, size_t size)
{
    size_t got = 0;
    unsigned char *content = get_file(path, &got);
    ck_assert_uint_eq(got, size);
    ck_assert_int_eq(memcmp(content, data, size), 0);
    free(content);
}

/* Files of a folder whose name contains `part`. */
__attribute__((unused)) static int count_files(const char *folder, const char *part)
{
    DIR *dir = opendir(folder);
    ck_assert_msg(dir != NULL, "cannot list %s", folder);
    int count = 0;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        count += strstr(entry->d_name, part) != NULL;
    }
    closedir(dir);
    return count;
}

/* A small generator that is not the library's. */
__attribute__((unused)) static uint32_t test_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

#endif
