/* bench_profile.c - where a unit of work spends its time, instruction by instruction of the plan,
 * and beside the plan (loss, statistics, SGD). Largest first; the least of the repetitions, so
 * that a machine with other work to do misleads less.
 *
 *   bench_profile KEY VALUE ...
 *     arch NAME, work infer | attack | train, batch N, threads N, repetitions N
 *     weights FILE, images FILE, labels FILE, seed N: see work.h
 *     each 0 | 1   one line per kind of instruction (default), or per instruction
 */
#include "work.h"

#ifdef AMUN_WITH_DNNL
#include <stdlib.h>

#include "nn/dnnl_impl.h"

enum { MAX_LINES = 4096, MAX_PROFILE_REPETITIONS = 50 };

static const char *const keys[] = {"arch",   "work",   "batch", "threads", "repetitions", "weights",
                                   "images", "labels", "seed",  "each",    NULL};

typedef struct line {
    char label[160];
    double times[MAX_PROFILE_REPETITIONS];
    double ms;
    int32_t instructions;
} line;

typedef struct profile {
    line *lines;
    int32_t count;
    int32_t repetition;
    bool each;
} profile;

/* "conv layer1.0.conv1 [jit...]" without the node's name. */
static void kind_of(char *kind, size_t size, const char *label)
{
    const char *tail = strstr(label, " [");
    size_t head = tail != NULL ? (size_t)(tail - label) : strlen(label);
    while (tail != NULL && head > 0 && label[head - 1] != ' ') {
        head--;
    }
    head -= tail != NULL && head > 0; /* the space before the name */
    (void)snprintf(kind, size, "%.*s%s", (int)head, label, tail != NULL ? tail : "");
}

static void book(profile *p, const char *part, int32_t index, const char *label, double ms)
{
    char name[sizeof p->lines[0].label], kind[96];
    if (p->each) {
        (void)snprintf(name, sizeof name, "%s %d: %s", part, (int)index, label);
    } else {
        kind_of(kind, sizeof kind, label);
        (void)snprintf(name, sizeof name, "%s: %s", part, kind);
    }
    int32_t at = 0;
    while (at < p->count && strcmp(p->lines[at].label, name) != 0) {
        at++;
    }
    if (at == p->count) {
        if (p->count == MAX_LINES) {
            bench_must(amun__fail(AMUN_ERROR_INTERNAL, "more than %d lines", MAX_LINES), "profile");
        }
        p->count++;
        memcpy(p->lines[at].label, name, sizeof name);
    }
    p->lines[at].times[p->repetition] += ms;
    p->lines[at].instructions += p->repetition == 0;
}

static void run_list(profile *p, amun__dnnl_plan *m, const amun__list *list, const char *part)
{
    bool input = m->plan->mode == AMUN__MODE_ATTACK, params = m->plan->mode == AMUN__MODE_TRAIN;
    for (int32_t i = 0; i < list->count; i++) {
        const amun__instr *instr = &list->items[i];
        if ((instr->only_input && !input) || (instr->only_params && !params)) {
            continue;
        }
        double began = amun__now();
        if (instr->kind == AMUN__INSTR_PRIMITIVE) {
            const amun__dnnl_primitive *primitive = &m->primitives[instr->primitive];
            if (dnnl_primitive_execute(primitive->handle, m->stream, primitive->count,
                                       primitive->args) != dnnl_success) {
                bench_must(amun__fail(AMUN_ERROR_BACKEND, "it failed"), instr->label);
            }
            dnnl_stream_wait(m->stream);
        } else {
            amun__code_run(&m->code, m->plan->graph, m->plan->batch, instr);
        }
        double ms = 1e3 * (amun__now() - began);
        book(p, part, i, instr->label[0] != '\0' ? instr->label : amun__instr_name(instr->kind),
             ms);
    }
}

/* Times the parts beside the plan and sees to it that the plan's memory is bound and filled. */
static void run_around(profile *p, bench_work *w, amun__plan *plan, amun__mode mode)
{
    double t0 = amun__now();
    double scale = 1.0 / (double)w->batch;
    if (mode != AMUN__MODE_INFER) {
        (void)amun__loss_cross_entropy(w->logits, w->targets, NULL, w->batch, w->classes, scale,
                                       w->seed);
        book(p, "beside", 0, "loss", 1e3 * (amun__now() - t0));
    }
    if (mode == AMUN__MODE_TRAIN) {
        double t1 = amun__now();
        bench_must(amun__model_update_statistics(w->model, plan), "statistics");
        double t2 = amun__now();
        const amun__sgd sgd = {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4};
        amun__sgd_step(&sgd, w->values.values, w->velocity, w->diff, w->values.trainable);
        amun__model_touch(w->model);
        book(p, "beside", 1, "statistics", 1e3 * (t2 - t1));
        book(p, "beside", 2, "sgd", 1e3 * (amun__now() - t2));
    }
}

static void run_once(profile *p, bench_work *w, amun__plan *plan, amun__mode mode)
{
    amun__dnnl_plan *m = plan->impl;
    size_t logits = w->batch * w->classes;
    if (plan->version != plan->params->version) {
        run_list(p, m, &m->code.pack, "pack");
        plan->version = plan->params->version;
    }
    double t0 = amun__now();
    amun__kernel_copy(amun__code_pointer(&m->code, m->input), w->images, w->batch * w->pixels);
    book(p, "beside", 3, "images in", 1e3 * (amun__now() - t0));
    run_list(p, m, &m->code.forward, "forward");
    memcpy(w->logits, amun__code_pointer(&m->code, m->logits), logits * sizeof(float));
    if (mode != AMUN__MODE_INFER) {
        memcpy(amun__code_pointer(&m->code, m->diff_logits), w->seed, logits * sizeof(float));
        run_list(p, m, &m->code.backward, "backward");
    }
    run_around(p, w, plan, mode);
}

static int slower_first(const void *a, const void *b)
{
    double x = ((const line *)a)->ms, y = ((const line *)b)->ms;
    return (x < y) - (x > y);
}

static void print_profile(profile *p)
{
    double total = 0;
    for (int32_t i = 0; i < p->count; i++) {
        p->lines[i].ms = bench_spread_of(p->lines[i].times, (size_t)p->repetition).min;
        total += p->lines[i].ms;
    }
    qsort(p->lines, (size_t)p->count, sizeof *p->lines, slower_first);
    (void)printf("%10.3f ms 100.0 %%      total\n", total);
    for (int32_t i = 0; i < p->count; i++) {
        (void)printf("%10.3f ms %5.1f %% %4d %s\n", p->lines[i].ms, 100 * p->lines[i].ms / total,
                     (int)p->lines[i].instructions, p->lines[i].label);
    }
}

int main(int argc, char **argv)
{
    const bench_args args = {argc, argv};
    bench_work work;
    amun__plan *plan = NULL;
    profile p = {0};
    bench_args_check(&args, keys);
    const char *arch = bench_text(&args, "arch", "resnet18"),
               *name = bench_text(&args, "work", "train");
    int mode = bench_work_mode(name);
    if (mode == 0) {
        (void)fprintf(stderr, "%s: work is '%s'; there are infer, attack, train\n", argv[0], name);
        return 2;
    }
    long repetitions = bench_number(&args, "repetitions", 5, 1, MAX_PROFILE_REPETITIONS);
    p.each = bench_number(&args, "each", 0, 0, 1) != 0;
    p.lines = bench_memory(MAX_LINES, sizeof *p.lines);
    bench_work_open(&work, &args, arch);
    bench_must(amun__model_lease(work.model, (int64_t)work.batch, (amun__mode)mode, &plan), arch);
    if (plan->backend != &amun__backend_dnnl) {
        (void)fprintf(stderr, "%s: this build's plans are not oneDNN's\n", argv[0]);
        return 2;
    }
    bench_must(bench_work_run(&work, plan, (amun__mode)mode), name); /* binds the memory */
    for (p.repetition = 0; p.repetition < repetitions; p.repetition++) {
        run_once(&p, &work, plan, (amun__mode)mode);
    }
    print_profile(&p);
    amun__model_release(work.model, plan);
    bench_work_close(&work);
    free(p.lines);
    return 0;
}

#else

int main(void)
{
    (void)puts("skipped: this build has no oneDNN");
    return 77;
}

#endif
