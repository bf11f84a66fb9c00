/* bench_serve.c - the library's side of compare_pytorch.py: kept alive, it does what one line of
 * its input asks for and answers with one line of JSON.
 *
 *   bench_serve KEY VALUE ...   arch, weights, seed, batch, threads, images, labels: see work.h
 *
 *   probe               {"probe": {"gflops": ..., "gbytes": ...}}
 *   infer N, train N    N repetitions: {"ms": [...], "loss": ...}
 *   train-here N        train on the weights that all else uses: one copy of them, for `memory`
 *   pgd N STEPS FILE    N PGD-L2 attacks of STEPS steps (eps 1, step 0.2, from the image), in ms
 *                       per step; the last result goes into FILE unless it is "-"
 *   search SLOTS FILE [STEPS [METHOD]]
 *                       search on the batch, SLOTS images at work at once, STEPS (50) per radius;
 *                       METHOD ddn or fmn: so many steps in all. A table of eps, l2, updates,
 *                       outcome goes into FILE unless that is "-"
 *   spectrum N BLOCK FRESH
 *                       N power iterations over all layers with BLOCK vectors; FRESH 1: each with
 *                       weights that have just been read
 *   memory              {"before": ..., "peak": ...}: resident bytes when the program began, and at
 *                       most so far
 *   logits FILE         of the batch, as npy
 *   save FILE           weights
 *   fit IMAGES LABELS EPOCHS FILE
 *                       trains on two npy files (one-cycle, no augmentation), saves
 *   quit
 */
#include "spectra.h"
#include "work.h"

#include <stdlib.h>

#include "amun/attack.h"
#include "amun/train.h"

enum { MAX_LINE = 4096, MAX_WORDS = 6 };

static const char *const keys[] = {"arch",    "weights", "seed",   "batch",
                                   "threads", "images",  "labels", NULL};

typedef struct server {
    const bench_args *args;
    const char *arch;
    bench_work work;
    bench_work training;   /* its weights move, so it has its own; opened when asked for */
    bench_spectra spectra; /* with `block` vectors; 0: not yet */
    int32_t block;
    double times[BENCH_MAX_REPETITIONS];
    size_t count;
    uint64_t resident_before;
    char *words[MAX_WORDS];
} server;

static size_t number(const char *word, size_t low, size_t high)
{
    char *end;
    unsigned long value = word != NULL ? strtoul(word, &end, 10) : 0;
    if (word == NULL || end == word || *end != '\0' || value < low || value > high) {
        (void)fprintf(stderr, "bench_serve: '%s' is not in [%zu, %zu]\n", word != NULL ? word : "",
                      low, high);
        exit(2);
    }
    return value;
}

static const char *file_of(const server *s, int word)
{
    if (s->words[word] == NULL) {
        (void)fprintf(stderr, "bench_serve: %s: no file\n", s->words[0]);
        exit(2);
    }
    return s->words[word];
}

static void answer(const server *s, double loss)
{
    (void)printf("{\"ms\": [");
    for (size_t i = 0; i < s->count; i++) {
        (void)printf("%s%.4f", i > 0 ? ", " : "", s->times[i]);
    }
    (void)printf("]");
    if (isfinite(loss)) {
        (void)printf(", \"loss\": %.9g", loss);
    }
    (void)printf("}\n");
}

static void write_floats(const server *s, const char *path, float *values, int32_t ndim,
                         const int64_t *shape)
{
    amun_tensor_view view;
    bench_must(amun_tensor_view_init(&view, values, AMUN_DTYPE_F32, ndim, shape), path);
    bench_must(amun_npy_write(s->work.ctx, path, &view), path);
}

static void do_work(server *s, bench_work *work, amun__mode mode)
{
    amun__plan *plan = NULL;
    s->count = number(s->words[1], 1, BENCH_MAX_REPETITIONS);
    bench_must(amun__model_lease(work->model, (int64_t)work->batch, mode, &plan), s->arch);
    for (size_t i = 0; i < s->count; i++) {
        double began = amun__now();
        bench_must(bench_work_run(work, plan, mode), s->words[0]);
        s->times[i] = 1e3 * (amun__now() - began);
    }
    amun__model_release(work->model, plan);
    answer(s, mode == AMUN__MODE_TRAIN ? work->loss : (double)NAN);
}

static void do_train(server *s)
{
    if (s->training.ctx == NULL) {
        bench_work_open(&s->training, s->args, s->arch);
    }
    do_work(s, &s->training, AMUN__MODE_TRAIN);
}

static void image_shape(const server *s, int64_t shape[4])
{
    shape[0] = (int64_t)s->work.batch;
    bench_must(amun_model_shape(s->work.model, shape + 1), s->arch);
}

/* Views of the batch (images, labels) and of room for its adversarial images. */
static void batch_views(server *s, amun_tensor_view views[3])
{
    bench_work *w = &s->work;
    int64_t shape[4];
    image_shape(s, shape);
    bench_must(amun_tensor_view_init(&views[0], w->images, AMUN_DTYPE_F32, 4, shape), "images");
    bench_must(amun_tensor_view_init(&views[1], w->labels, AMUN_DTYPE_I64, 1, shape), "labels");
    bench_must(amun_tensor_view_init(&views[2], w->diff_images, AMUN_DTYPE_F32, 4, shape), "room");
}

static void do_pgd(server *s)
{
    amun_pgd_options options;
    amun_attack *attack = NULL;
    amun_tensor_view views[3];
    s->count = number(s->words[1], 1, BENCH_MAX_REPETITIONS);
    bench_must(amun_pgd_l2_options_init(&options, sizeof options), "pgd");
    options.steps = (int32_t)number(s->words[2], 1, 10000);
    options.random_start = 0;
    options.batch = (int32_t)s->work.batch;
    bench_must(amun_attack_create_pgd_l2(&attack, s->work.ctx, &options), "pgd");
    batch_views(s, views);
    for (size_t i = 0; i < s->count; i++) {
        double began = amun__now();
        bench_must(amun_attack_run(attack, s->work.model, &views[0], &views[1], NULL, &views[2],
                                   NULL, NULL),
                   "pgd");
        s->times[i] = 1e3 * (amun__now() - began) / options.steps;
    }
    amun_attack_unref(attack);
    if (strcmp(file_of(s, 3), "-") != 0) {
        write_floats(s, s->words[3], s->work.diff_images, 4, views[0].shape);
    }
    answer(s, (double)NAN);
}

static void write_table(const server *s, const char *path, const amun_attack_record *rows, size_t n)
{
    const int64_t shape[2] = {(int64_t)n, 4};
    float *values = bench_memory(n * 4, sizeof *values);
    for (size_t i = 0; i < n; i++) {
        values[i * 4] = (float)rows[i].eps;
        values[i * 4 + 1] = (float)rows[i].l2;
        values[i * 4 + 2] = (float)rows[i].updates;
        values[i * 4 + 3] = (float)rows[i].outcome;
    }
    write_floats(s, path, values, 2, shape);
    free(values);
}

static amun_search_method method_of(const char *name)
{
    if (name == NULL) {
        return AMUN_SEARCH_EPSILON;
    }
    return strcmp(name, "ddn") == 0 ? AMUN_SEARCH_DDN : AMUN_SEARCH_FMN;
}

static void do_search(server *s)
{
    size_t n = s->work.batch;
    amun_search_options options;
    amun_attack *attack = NULL;
    amun_tensor_view views[3];
    amun_attack_record *rows = bench_memory(n, sizeof *rows);
    bench_must(amun_search_options_init(&options, sizeof options), "search");
    options.batch = (int32_t)number(s->words[1], 1, 4096);
    if (s->words[3] != NULL) {
        options.steps = (int32_t)number(s->words[3], 1, 10000);
        options.method = method_of(s->words[4]);
    }
    bench_must(amun_attack_create_search(&attack, s->work.ctx, &options), "search");
    batch_views(s, views);
    double began = amun__now();
    bench_must(
        amun_attack_run(attack, s->work.model, &views[0], &views[1], NULL, &views[2], rows, NULL),
        "search");
    s->times[0] = 1e3 * (amun__now() - began);
    s->count = 1;
    amun_attack_unref(attack);
    if (strcmp(file_of(s, 2), "-") != 0) {
        write_table(s, s->words[2], rows, n);
    }
    free(rows);
    answer(s, (double)NAN);
}

static void do_logits(server *s)
{
    bench_work *w = &s->work;
    amun__plan *plan = NULL;
    const int64_t shape[2] = {(int64_t)w->batch, (int64_t)w->classes};
    bench_must(amun__model_lease(w->model, shape[0], AMUN__MODE_INFER, &plan), s->arch);
    bench_must(amun__plan_forward(plan, w->images, w->logits), "logits");
    amun__model_release(w->model, plan);
    write_floats(s, file_of(s, 1), w->logits, 2, shape);
    (void)puts("{}");
}

static void do_fit(server *s)
{
    amun_dataset *data = NULL;
    amun_train_options options;
    amun_train_result result = {.struct_size = sizeof result};
    bench_must(amun_dataset_open_npy(&data, s->work.ctx, file_of(s, 1), file_of(s, 2)), "fit");
    bench_must(amun_train_options_init(&options, sizeof options), "fit");
    options.epochs = (int32_t)number(s->words[3], 1, 1000);
    options.schedule = AMUN_SCHEDULE_ONECYCLE;
    options.augment_flip = options.augment_pad = 0;
    bench_must(amun_train_run(&result, s->work.model, data, NULL, 0, &options, NULL), "fit");
    amun_dataset_unref(data);
    bench_must(amun_model_save(s->work.model, file_of(s, 4)), "fit");
    s->times[0] = 1e3 * result.seconds;
    s->count = 1;
    answer(s, result.loss);
}

static void do_save(server *s)
{
    bench_must(amun_model_save(s->work.model, file_of(s, 1)), "save");
    (void)puts("{}");
}

static void do_probe(server *s)
{
    bench_probe probe = bench_probe_run(s->work.threads.count);
    (void)printf("{");
    bench_probe_print(stdout, "probe", probe);
    (void)printf("}\n");
}

static void do_memory(server *s)
{
    (void)printf("{\"before\": %llu, \"peak\": %llu}\n", (unsigned long long)s->resident_before,
                 (unsigned long long)bench_peak());
}

static void do_spectrum(server *s)
{
    const int32_t block = (int32_t)number(s->words[2], 1, 128);
    const bool fresh = number(s->words[3], 0, 1) != 0;
    s->count = number(s->words[1], 1, BENCH_MAX_REPETITIONS);
    if (s->block != block) {
        bench_spectra_close(&s->spectra);
        bench_spectra_open(&s->spectra, s->work.model, 1, block);
        s->block = block;
    }
    for (size_t i = 0; i < s->count; i++) {
        s->times[i] = bench_spectra_run(&s->spectra, fresh);
    }
    answer(s, (double)NAN);
}

static void do_train_here(server *s)
{
    do_work(s, &s->work, AMUN__MODE_TRAIN);
}

static void do_infer(server *s)
{
    do_work(s, &s->work, AMUN__MODE_INFER);
}

static bool obey(server *s, char *line)
{
    static const struct {
        const char *name;
        void (*run)(server *s);
    } commands[] = {{"probe", do_probe},
                    {"infer", do_infer},
                    {"train", do_train},
                    {"pgd", do_pgd},
                    {"search", do_search},
                    {"logits", do_logits},
                    {"fit", do_fit},
                    {"save", do_save},
                    {"memory", do_memory},
                    {"spectrum", do_spectrum},
                    {"train-here", do_train_here}};
    char *rest = NULL;
    for (int i = 0; i < MAX_WORDS; i++) {
        s->words[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest);
    }
    if (s->words[0] == NULL || strcmp(s->words[0], "quit") == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, s->words[0]) == 0) {
            commands[i].run(s);
            (void)fflush(stdout);
            return true;
        }
    }
    (void)fprintf(stderr, "bench_serve: no command '%s'\n", s->words[0]);
    exit(2);
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    static server s;
    static char line[MAX_LINE];
    bench_args_check(&args, keys);
    s.args = &args;
    s.resident_before = bench_resident();
    s.arch = bench_text(&args, "arch", "resnet18");
    bench_work_open(&s.work, &args, s.arch);
    while (fgets(line, sizeof line, stdin) != NULL && obey(&s, line)) {
    }
    if (s.training.ctx != NULL) {
        bench_work_close(&s.training);
    }
    bench_spectra_close(&s.spectra);
    bench_work_close(&s.work);
    return 0;
}
