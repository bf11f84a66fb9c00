/* attack_private.h - what the files of the attack room share: the job (samples in, results out),
 * the workspace (one leased plan and its arrays), and the arithmetic of single steps. */
#ifndef AMUN__ATTACK_PRIVATE_H
#define AMUN__ATTACK_PRIVATE_H

#include "attack/attack.h"
#include "io/io.h"

/* ---- handle (attack.c) ----------------------------------------------------------------------- */

typedef enum amun__attack_kind {
    AMUN__ATTACK_FGSM = 1,
    AMUN__ATTACK_FFGSM,
    AMUN__ATTACK_PGD_LINF,
    AMUN__ATTACK_PGD_L2,
    AMUN__ATTACK_SEARCH
} amun__attack_kind;

struct amun_attack {
    amun__object object;
    amun__attack_kind kind;
    union {
        amun_fgsm_options fgsm;
        amun_ffgsm_options ffgsm;
        amun_pgd_options pgd;
        amun_search_options search;
    } options;
};

amun_failure_policy amun__attack_policy(const amun_attack *attack);
/* {"attack": "search", "options": {...}} */
amun_status amun__attack_json(json_t **out, const amun_attack *attack);

/* ---- job (job.c) ----------------------------------------------------------------------------- */

/* Samples to attack, wherever they lie, and a place for each result. Callbacks run on the calling
 * thread; rows are fetched in ascending order but may be delivered in any. */
typedef struct amun__job {
    amun_context *ctx;
    const amun_model *model;
    size_t count, pixels, classes;
    const int32_t *labels;          /* [count] */
    const int64_t *ids;             /* [count]; NULL: row numbers */
    amun_attack_record *records;    /* [count] */
    int32_t table_wanted;           /* 0: nobody reads predicted and adversarial labels */
    amun__progress_state *progress; /* nullable */
    amun_status (*fetch)(const struct amun__job *job, size_t row, float *image);
    /* records[row] is complete when this runs. */
    amun_status (*deliver)(const struct amun__job *job, size_t row, const float *image);
    void *user;
    size_t flipped; /* so far */
} amun__job;

int64_t amun__job_id(const amun__job *job, size_t row);
/* All but `index`, `label`, `l2` and `linf` come from `result`; the clean image is delivered in
 * place of a failed sample's, with the clean label. */
amun_status amun__job_finish(amun__job *job, size_t row, const amun_attack_record *result,
                             const float *clean, const float *image);
/* Like amun__progress_tick(), at most once per interval also while `step` stays at 0 or 1. */
amun_status amun__job_tick(const amun__job *job, uint64_t step, uint64_t total);
bool amun__job_failed(const amun_attack_record *record);
/* Checks labels and pixels, then runs the attack with the model held for reading. */
amun_status amun__job_run(amun__job *job, const amun_attack *attack);

/* ---- workspace (job.c) ----------------------------------------------------------------------- */

/* A leased attack plan and dense arrays for its batch, one row per slot. */
typedef struct amun__workspace {
    const amun__job *job;
    amun__plan *plan;
    size_t batch;                  /* of the plan; at most the capacity given to open */
    float *clean, *current, *diff; /* [capacity][pixels] */
    float *logits, *seed;          /* [capacity][classes] */
} amun__workspace;

amun_status amun__workspace_open(amun__workspace *space, const amun__job *job, size_t capacity);
/* Another plan; contents of the arrays stay. batch <= capacity. */
amun_status amun__workspace_resize(amun__workspace *space, size_t batch);
amun_status amun__workspace_forward(amun__workspace *space, const float *images);
amun_status amun__workspace_backward(amun__workspace *space);
void amun__workspace_close(amun__workspace *space); /* also after a failed open */
/* Smallest power of two that holds `need` samples, at most `limit`. */
size_t amun__workspace_plan_size(size_t need, size_t limit);

/* ---- arithmetic (project.c): one sample, one thread -------------------------------------------
 */

double amun__project_norm(const float *v, size_t n);
double amun__project_distance(const float *a, const float *b, size_t n);      /* L2 */
double amun__project_distance_linf(const float *a, const float *b, size_t n); /* Linf */
/* a <- clamp01(x + P(a + alpha * g / (|g| + 1e-10) - x)), P onto the L2 ball of radius eps. */
void amun__project_step_l2(float *a, const float *x, const float *g, double g_norm, double alpha,
                           double eps, size_t n);
/* a <- clamp01(x + clamp(a + alpha * sign(g) - x, -eps, eps)). */
void amun__project_step_linf(float *a, const float *x, const float *g, double alpha, double eps,
                             size_t n);
/* Random starts, keyed by (seed, id). L2: radius uniform in [0, eps); Linf: each value uniform. */
void amun__project_start_l2(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                            size_t n);
void amun__project_start_linf(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                              size_t n);
/* d CE(z, label) / d z = softmax(z) - onehot(label), without cancellation where p_label is near 1.
 */
void amun__project_seed_entropy(const float *logits, size_t classes, int32_t label, float *seed);
/* d (max_{j != label} z_j - z_label) / d z. */
void amun__project_seed_margin(const float *logits, size_t classes, int32_t label, float *seed);

/* ---- the attacks (fixed.c, search.c) --------------------------------------------------------- */

typedef struct amun__fixed_plan {
    amun_norm norm;
    double eps, step;
    int32_t steps, random_start;
    uint64_t seed;
    size_t batch;
} amun__fixed_plan;
amun_status amun__fixed_run(amun__job *job, const amun__fixed_plan *what);
amun_status amun__search_run(amun__job *job, const amun_search_options *options);

/* ---- adversarial set (advset.c, advfile.c) --------------------------------------------------- */

struct amun_advset {
    amun__object object;
    size_t count, found, pixels;
    int64_t channels, height, width, classes;
    amun_attack_record *records; /* [count] */
    int64_t *rows;               /* [count]: row in images, -1 for none */
    const float *images;         /* [found][pixels]; lives as long as `examples` */
    amun_dataset *examples;      /* NULL if nothing was found */
    amun_failure_policy policy;
    char *options, *provenance, *origin; /* JSON texts that travel with the set */
};

/* An empty set of the given sizes; records and rows zeroed. */
amun_status amun__advset_create(amun_advset **out, amun_context *ctx, size_t count,
                                int64_t channels, int64_t height, int64_t width, int64_t classes);
/* Numbers the rows of found records, counts them. */
void amun__advset_number(amun_advset *set);
/* Takes over `*images` ([found][pixels], through ctx; set to NULL) and makes the data set of
 * examples. */
amun_status amun__advset_adopt(amun_advset *set, float **images);

extern const char *const amun__attack_policy_names[4];

#endif
