/* common.c - command line, messages and progress of the example programs. See common.h. */
#include "common.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ex_common ex_args;
static const char *program = "example";

/* ---- failing --------------------------------------------------------------------------------- */

static bool line_open; /* a progress line waits for its end */

_Noreturn static void stop(int code, const char *format, va_list list)
{
    if (line_open) {
        putchar('\n');
    }
    fflush(stdout);
    fprintf(stderr, "%s: ", program);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    exit(code);
}

void ex_usage(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    stop(2, format, list);
}

void ex_die(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    stop(1, format, list);
}

void ex_check(amun_status status)
{
    if (status == AMUN_OK) {
        return;
    }
    /* What a status says about whose fault it is: files that are missing, refused or damaged are
     * the caller's. */
    bool file =
        status == AMUN_ERROR_NOT_FOUND || status == AMUN_ERROR_IO || status == AMUN_ERROR_FORMAT;
    (file ? ex_usage : ex_die)("%s: %s", amun_status_string(status), amun_last_error_message());
}

void *ex_alloc(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        ex_die("no memory for %zu elements of %zu bytes", count, size);
    }
    return memory;
}

char *ex_format(const char *format, ...)
{
    va_list list;
    char *text = NULL;
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0) {
        ex_die("no memory for text");
    }
    return text;
}

/* ---- command line ---------------------------------------------------------------------------- */

static const ex_option common_options[] = {
    {"json", EX_OUT, &ex_args.json, 0, 0, NULL, "write the results to this JSON file", false},
    {"data", EX_TEXT, &ex_args.data, 0, 0, NULL,
     "folder with the binary files of CIFAR-10 (default: the 1,797 digits)", false},
    {"seed", EX_INT, &ex_args.seed, 0, 4294967295.0, NULL, "of all random choices (default 0)",
     false},
    {"threads", EX_INT, &ex_args.threads, 0, 1024, NULL,
     "0: the system's choice (default; digits: 1)", false},
    {0},
};

static const char *placeholder(const ex_option *option)
{
    static const char *const words[] = {
        [EX_INT] = "N",     [EX_REAL] = "X",    [EX_TEXT] = "PATH",
        [EX_LIST] = "LIST", [EX_FILE] = "FILE", [EX_FILES] = "FILE",
        [EX_OUT] = "FILE",  [EX_CHOICE] = "",   [EX_FLAG] = "",
    };
    return option->kind == EX_CHOICE ? option->choices : words[option->kind];
}

static void print_options(const ex_option *options)
{
    for (const ex_option *o = options; o->name != NULL; o++) {
        const char *word = placeholder(o);
        int used = printf("  --%s%s%s", o->name, word[0] == '\0' ? "" : " ", word);
        if (used > 26) {
            putchar('\n');
            used = 0;
        }
        printf("%*s%s%s\n", 28 - used, "", o->help, o->required ? " (required)" : "");
    }
}

_Noreturn static void print_help(const char *about, const ex_option *options)
{
    printf("usage: %s [options]\n%s\n\n", program, about);
    print_options(options);
    print_options(common_options);
    printf("  --help%*sthis text\n", 20, "");
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static const ex_option *find_option(const ex_option *options, const char *name, size_t length)
{
    for (const ex_option *o = options; o->name != NULL; o++) {
        if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) {
            return o;
        }
    }
    return options == common_options ? NULL : find_option(common_options, name, length);
}

static void set_int(const ex_option *o, const char *text)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0') {
        ex_usage("--%s: \"%s\" is not a whole number", o->name, text);
    }
    if (errno == ERANGE || (double)value < o->low || (double)value > o->high) {
        ex_usage("--%s: %s is outside [%.0f, %.0f]", o->name, text, o->low, o->high);
    }
    *(int64_t *)o->value = value;
}

static void set_real(const ex_option *o, const char *text)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || isnan(value)) {
        ex_usage("--%s: \"%s\" is not a number", o->name, text);
    }
    if (value < o->low || value > o->high) {
        ex_usage("--%s: %s is outside [%g, %g]", o->name, text, o->low, o->high);
    }
    *(double *)o->value = value;
}

int32_t ex_choice(const char *word, const char *words)
{
    const size_t length = strlen(word);
    int32_t number = 1;
    for (; length > 0 && words != NULL; number++, words = strchr(words, '|')) {
        words += *words == '|';
        if (strncmp(words, word, length) == 0 && strchr("|", words[length]) != NULL) {
            return number;
        }
    }
    return 0;
}

static void set_choice(const ex_option *o, const char *text)
{
    if (ex_choice(text, o->choices) == 0) {
        ex_usage("--%s: \"%s\" is none of %s", o->name, text, o->choices);
    }
    *(const char **)o->value = text;
}

static void set_path(const ex_option *o, const char *text)
{
    if (text[0] == '\0') {
        ex_usage("--%s: empty", o->name);
    }
    if ((o->kind == EX_FILE || o->kind == EX_FILES) && access(text, R_OK) != 0) {
        ex_usage("--%s: cannot read %s: %s", o->name, text, strerror(errno));
    }
    if (o->kind != EX_FILES) {
        *(const char **)o->value = text;
        return;
    }
    ex_list *list = o->value;
    if (list->count == EX_LIST_MAX) {
        ex_usage("--%s: more than %d", o->name, (int)EX_LIST_MAX);
    }
    list->items[list->count++] = text;
}

static void set_option(const ex_option *o, const char *text)
{
    switch (o->kind) {
    case EX_INT:
        set_int(o, text);
        return;
    case EX_REAL:
        set_real(o, text);
        return;
    case EX_CHOICE:
        set_choice(o, text);
        return;
    case EX_FILE:
    case EX_FILES:
    case EX_OUT:
    case EX_TEXT:
    case EX_LIST:
        set_path(o, text);
        return;
    case EX_FLAG:
        *(bool *)o->value = true;
        return;
    }
}

/* Reads the option at argv[at]; returns how many words it took. */
static int read_option(int argc, char **argv, int at, const char *about, const ex_option *options,
                       bool *given)
{
    const char *word = argv[at];
    if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
        ex_usage("unexpected argument \"%s\" (--help lists the options)", word);
    }
    const char *name = word + 2, *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    if (strcmp(name, "help") == 0) {
        print_help(about, options);
    }
    const ex_option *o = find_option(options, name, length);
    if (o == NULL) {
        ex_usage("unknown option %s (--help lists the options)", word);
    }
    for (int i = 0; options[i].name != NULL; i++) {
        given[i] = given[i] || &options[i] == o;
    }
    if (o->kind == EX_FLAG) {
        if (equals != NULL) {
            ex_usage("--%s takes no value", o->name);
        }
        set_option(o, "");
        return 1;
    }
    if (equals == NULL && at + 1 >= argc) {
        ex_usage("--%s needs a value", o->name);
    }
    set_option(o, equals != NULL ? equals + 1 : argv[at + 1]);
    return equals != NULL ? 1 : 2;
}

/* What cannot be written is said before the work, not after it. */
static void check_outputs(const ex_option *options)
{
    for (const ex_option *o = options; o->name != NULL; o++) {
        const char *path = o->kind == EX_OUT ? *(const char **)o->value : NULL;
        if (path != NULL) {
            const char *slash = strrchr(path, '/');
            char *folder =
                slash == NULL ? ex_format(".") : ex_format("%.*s", (int)(slash - path) + 1, path);
            struct stat info;
            bool good = access(folder, W_OK) == 0;
            free(folder);
            if (!good) {
                ex_usage("--%s: cannot write %s: %s", o->name, path, strerror(errno));
            }
            if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
                ex_usage("--%s: %s is a folder", o->name, path);
            }
        }
    }
}

void ex_parse(int argc, char **argv, const char *about, const ex_option *options)
{
    bool given[64] = {false};
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    program = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : program;
    setvbuf(stdout, NULL, _IOLBF, 0); /* lines appear when they are written, also in a pipe */
    for (int at = 1; at < argc;) {
        at += read_option(argc, argv, at, about, options, given);
    }
    check_outputs(options);
    check_outputs(common_options);
    for (int i = 0; options[i].name != NULL; i++) {
        if (options[i].required && !given[i]) {
            ex_usage("--%s is missing (--help lists the options)", options[i].name);
        }
    }
}

amun_context *ex_context(void)
{
    amun_context *ctx = NULL;
    amun_context_options opts;
    ex_check(amun_context_options_init(&opts, sizeof opts));
    opts.threads = (int32_t)ex_args.threads;
    ex_check(amun_context_create(&ctx, &opts));
    return ctx;
}

/* ---- progress -------------------------------------------------------------------------------- */

double ex_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

enum { BAR = 30 };

static void draw_bar(const ex_progress *p, const amun_progress *now)
{
    char bar[BAR + 1], note[96] = "";
    double part = now->total > 0 ? (double)now->step / (double)now->total : 0.0;
    if (p->outer_total > 0) { /* the phase is one of several models */
        part = ((double)p->outer + (part < 1.0 ? part : 0.0)) / (double)p->outer_total;
        snprintf(note, sizeof note, "model %llu of %llu", (unsigned long long)p->outer + 1,
                 (unsigned long long)p->outer_total);
    } else if (!isnan(now->loss)) {
        snprintf(note, sizeof note, "loss %.3f, %.1f %%", now->loss, now->metric);
    }
    for (int i = 0; i < BAR; i++) {
        bar[i] = (double)i < part * BAR ? '#' : '.';
    }
    bar[BAR] = '\0';
    printf("\r%-34s [%s] %3.0f %%  %s\033[K", p->title, bar, 100.0 * part, note);
    fflush(stdout);
}

static int32_t on_progress(const amun_progress *now, void *user_data)
{
    ex_progress *p = user_data;
    if (strcmp(now->phase, "references") == 0) {
        p->outer = now->step < now->total ? now->step : now->total - 1;
        p->outer_total = now->total;
    }
    if (p->tick != NULL && now->seconds - p->last_tick >= 1.0) {
        p->last_tick = now->seconds;
        p->tick(p->tick_data, now);
    }
    if (p->terminal) {
        draw_bar(p, now);
    }
    return 0;
}

void ex_progress_begin(ex_progress *progress, const char *format, ...)
{
    va_list list;
    char *title = NULL;
    va_start(list, format);
    if (vasprintf(&title, format, list) < 0) {
        ex_die("no memory for text");
    }
    va_end(list);
    *progress = (ex_progress){.title = title, .terminal = isatty(STDOUT_FILENO) == 1};
    ex_check(amun_call_options_init(&progress->call, sizeof progress->call));
    progress->call.progress = on_progress;
    progress->call.user_data = progress;
    progress->began = ex_now();
    if (progress->terminal) {
        printf("%-34s", title);
    } else {
        printf("%-34s ...\n", title);
    }
    fflush(stdout);
    line_open = progress->terminal;
}

void ex_progress_end(ex_progress *progress, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    progress->seconds = ex_now() - progress->began;
    line_open = false;
    printf("%s%-34s ", progress->terminal ? "\r" : "", progress->title);
    vprintf(format, list);
    printf("  (%.1f s)%s\n", progress->seconds, progress->terminal ? "\033[K" : "");
    va_end(list);
    free((char *)progress->title);
    progress->title = NULL;
}

void ex_progress_trained(ex_progress *progress, double loss, double accuracy)
{
    if (isnan(loss)) {
        ex_progress_end(progress, "no training");
    } else {
        ex_progress_end(progress, "loss %.4f, %.2f %% right", loss, accuracy);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

amun_search_method ex_search_method(const char *name)
{
    return strcmp(name, "ddn") == 0   ? AMUN_SEARCH_DDN
           : strcmp(name, "fmn") == 0 ? AMUN_SEARCH_FMN
                                      : AMUN_SEARCH_EPSILON;
}

void ex_make_folder(const char *path)
{
    char *copy = ex_format("%s", path);
    for (char *c = copy + 1; c[-1] != '\0'; c++) {
        if (*c == '/' || *c == '\0') {
            char kept = *c;
            *c = '\0';
            if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
                ex_usage("cannot create the folder %s: %s", copy, strerror(errno));
            }
            *c = kept;
        }
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        ex_usage("%s is not a folder", path);
    }
    free(copy);
}

void ex_out_open(ex_out *out, const char *path)
{
    *out = (ex_out){.path = path, .part = ex_format("%s.part", path)};
    out->file = fopen(out->part, "w");
    if (out->file == NULL) {
        ex_usage("cannot write %s: %s", path, strerror(errno));
    }
}

void ex_out_close(ex_out *out)
{
    bool failed = ferror(out->file) != 0;
    failed |= fclose(out->file) != 0;
    if (failed || rename(out->part, out->path) != 0) {
        ex_usage("cannot write %s: %s", out->path, strerror(errno));
    }
    free(out->part);
    *out = (ex_out){0};
}

static void write_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(file, "\\%c", *c);
        } else if (*c < 0x20) {
            fprintf(file, "\\u%04x", *c);
        } else {
            fputc(*c, file);
        }
    }
    fputc('"', file);
}

void ex_json_open(ex_json *json, const char *path)
{
    *json = (ex_json){.depth = 1};
    if (path != NULL) {
        ex_out_open(&json->out, path);
        fputs("{", json->out.file);
    }
}

static void new_line(ex_json *json)
{
    fprintf(json->out.file, "%s\n%*s", json->more ? "," : "", 2 * json->depth, "");
    json->more = true;
}

/* Writes the key; false if nothing is to be written. */
static bool next_member(ex_json *json, const char *key)
{
    if (json->out.file == NULL) {
        return false;
    }
    new_line(json);
    write_string(json->out.file, key);
    fputs(": ", json->out.file);
    return true;
}

static void begin_group(ex_json *json, char bracket)
{
    fputc(bracket, json->out.file);
    json->depth++;
    json->more = false;
}

static void end_group(ex_json *json, char bracket)
{
    if (json->out.file != NULL) {
        json->depth--;
        if (json->more) { /* what is empty stays on its line */
            fprintf(json->out.file, "\n%*s", 2 * json->depth, "");
        }
        fputc(bracket, json->out.file);
        json->more = true;
    }
}

static void write_real(FILE *file, double value)
{
    if (isfinite(value)) {
        fprintf(file, "%.17g", value);
    } else {
        fputs("null", file); /* JSON has no NaN */
    }
}

void ex_json_text(ex_json *json, const char *key, const char *value)
{
    if (next_member(json, key)) {
        write_string(json->out.file, value);
    }
}

void ex_json_int(ex_json *json, const char *key, int64_t value)
{
    if (next_member(json, key)) {
        fprintf(json->out.file, "%lld", (long long)value);
    }
}

void ex_json_real(ex_json *json, const char *key, double value)
{
    if (next_member(json, key)) {
        write_real(json->out.file, value);
    }
}

void ex_json_bool(ex_json *json, const char *key, bool value)
{
    if (next_member(json, key)) {
        fputs(value ? "true" : "false", json->out.file);
    }
}

void ex_json_array_begin(ex_json *json, const char *key)
{
    if (next_member(json, key)) {
        begin_group(json, '[');
    }
}

void ex_json_array_end(ex_json *json)
{
    end_group(json, ']');
}

void ex_json_object_begin(ex_json *json)
{
    if (json->out.file != NULL) {
        new_line(json);
        begin_group(json, '{');
    }
}

void ex_json_object_end(ex_json *json)
{
    end_group(json, '}');
}

void ex_json_reals(ex_json *json, const char *key, const double *values, size_t count)
{
    if (!next_member(json, key)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "[", json->out.file);
        write_real(json->out.file, values[i]);
    }
    fputs(count > 0 ? "]" : "[]", json->out.file);
}

void ex_json_close(ex_json *json)
{
    if (json->out.file != NULL) {
        fputs("\n}\n", json->out.file);
        ex_out_close(&json->out);
    }
}
