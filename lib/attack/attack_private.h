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
    AMUN__ATTACK_SEARCH,
    AMUN__ATTACK_MIM,
    AMUN__ATTACK_APGD,
    AMUN__ATTACK_SQUARE,
    AMUN__ATTACK_STANDARD
} amun__attack_kind;

struct amun_attack {
    amun__object object;
    amun__attack_kind kind;
    union {
        amun_fgsm_options fgsm;
        amun_ffgsm_options ffgsm;
        amun_pgd_options pgd;
        amun_search_options search;
        amun_mim_options mim;
        amun_apgd_options apgd;
        amun_square_options square;
        amun_standard_options standard;
    } options;
};

/* Name and option table of a kind (options.c). */
const char *amun__attack_name(amun__attack_kind kind);
const amun__options_table *amun__attack_table(amun__attack_kind kind);
/* The bounds that a table of closed intervals cannot say. */
amun_status amun__attack_check(const amun_attack *attack);

amun_failure_policy amun__attack_policy(const amun_attack *attack);
/* {"attack": "search", "options": {...}} */
amun_status amun__attack_json(json_t **out, const amun_attack *attack);

/* ---- samples of a job (workspace.c; the struct is in attack.h) ----------------------------------
 */

int64_t amun__job_id(const amun__job *job, size_t row);
/* All but `index`, `label`, `l2` and `linf` come from `result`; the clean image is delivered in
 * place of a failed sample's, with the clean label. */
amun_status amun__job_finish(amun__job *job, size_t row, const amun_attack_record *result,
                             const float *clean, const float *image);
/* Like amun__progress_tick(), at most once per interval also while `step` stays at 0 or 1. */
amun_status amun__job_tick(const amun__job *job, uint64_t step, uint64_t total);
bool amun__job_failed(const amun_attack_record *record);

/* ---- workspace (workspace.c) ------------------------------------------------------------------
 */

/* What the second look in f32 at flips of bf16 plans needs (confirm.c); all zero in f32. */
typedef struct amun__confirm {
    amun__probe probe;
    size_t *rows;           /* [capacity] */
    float *images, *logits; /* of these rows, [capacity][pixels] and [capacity][classes] */
    uint64_t checked, confirmed;
} amun__confirm;

/* Leased plans and dense arrays for their batch, one row per slot. */
typedef struct amun__workspace {
    const amun__job *job;
    amun__probe probe;
    size_t batch;                  /* of the plans; at most the capacity given to open */
    float *clean, *current, *diff; /* [capacity][pixels]; diff in attack mode only */
    float *logits;                 /* [capacity][classes] */
    double *seed;                  /* [capacity][classes] */
    int32_t *labels;               /* [capacity]: true classes; -1: nobody waits for a flip there */
    int32_t log_probs;             /* the logits are log-probabilities already */
    amun__confirm confirm;
} amun__workspace;

amun_status amun__workspace_open(amun__workspace *space, const amun__job *job, size_t capacity,
                                 amun__mode mode);
/* Other plans; contents of the arrays stay. batch <= capacity. */
amun_status amun__workspace_resize(amun__workspace *space, size_t batch);
/* The same for good: `batch` is smaller, and the larger plan's memory is given back. */
amun_status amun__workspace_shrink(amun__workspace *space, size_t batch);
/* Fills logits. Where they say that an image is not of the class in `labels`, they are those of
 * f32. */
amun_status amun__workspace_forward(amun__workspace *space, const float *images);
amun_status amun__workspace_backward(amun__workspace *space);
void amun__workspace_close(amun__workspace *space); /* also after a failed open */
/* The smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that holds `need` samples, at most `limit`: few
 * plans, none of which computes for nothing on more than a third of its batch. */
size_t amun__workspace_plan_size(size_t need, size_t limit);

/* ---- flips of bf16 plans in f32 (confirm.c) -------------------------------------------------- */

bool amun__confirm_needed(const amun__job *job);
amun_status amun__confirm_open(amun__workspace *space, size_t capacity);
amun_status amun__confirm_flips(amun__workspace *space, const float *images);
/* Frees its plan until the next flip. */
void amun__confirm_drop(amun__workspace *space);
void amun__confirm_close(amun__workspace *space);

/* ---- arithmetic (project.c): one sample, one thread -------------------------------------------
 */

double amun__project_norm(const float *v, size_t n);
double amun__project_distance(const float *a, const float *b, size_t n);      /* L2 */
double amun__project_distance_linf(const float *a, const float *b, size_t n); /* Linf */
/* a <- clamp01(x + P(a + alpha * g / (|g| + 1e-10) - x)), P onto the L2 ball of radius eps. */
void amun__project_step_l2(float *a, const float *x, const float *g, double g_norm, double alpha,
                           double eps, size_t n);
/* The same with the direction's length set to eps, not only bounded by it (DDN). */
void amun__project_step_sphere(float *a, const float *x, const float *g, double g_norm,
                               double alpha, double eps, size_t n);
/* Random starts as amun__project_start_linf(). L2: radius uniform in [0, eps). */
void amun__project_start_l2(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                            uint32_t draw, size_t n);
void amun__project_start(amun_norm norm, float *a, const float *x, double eps, uint64_t seed,
                         int64_t id, uint32_t draw, size_t n);
/* One update of APGD: z = P(a + step * direction(g)), a <- P(a + alpha (z - a) + (1 - alpha)
 * (a - before)), before <- the old a; P onto the ball, then the box. */
void amun__project_momentum_linf(float *a, float *before, const float *x, const float *g,
                                 double step, double alpha, double eps, size_t n);
void amun__project_momentum_l2(float *a, float *before, const float *x, const float *g,
                               double g_norm, double step, double alpha, double eps, size_t n);
float amun__project_clamp01(double v);

/* The coordinates z = (x - mean[c]) / std[c] of a model's first layer. */
typedef struct amun__box {
    const double *mean, *std; /* one per channel */
    size_t plane;             /* pixels per channel */
} amun__box;
/* z_a <- clamp01(z_x + clamp(z_a + alpha * sign(g) - z_x, -eps, eps)), back in pixels. */
void amun__project_step_legacy(float *a, const float *x, const float *g, double alpha, double eps,
                               const amun__box *box, size_t n);
void amun__project_start_legacy(float *a, const float *x, double eps, uint64_t seed, int64_t id,
                                const amun__box *box, size_t n);

/* ---- what attacks increase (objective.c) ----------------------------------------------------- */

typedef enum amun__objective_kind {
    AMUN__OBJECTIVE_CE = 1,      /* -log softmax(z)_label */
    AMUN__OBJECTIVE_MARGIN,      /* max_{k != label} z_k - z_label */
    AMUN__OBJECTIVE_DLR,         /* margin / (z_(1) - z_(3)), z_(i) the i-th largest */
    AMUN__OBJECTIVE_DLR_TARGETED /* (z_target - z_label) / (z_(1) - (z_(3) + z_(4)) / 2) */
} amun__objective_kind;
typedef struct amun__objective {
    amun__objective_kind kind;
    int32_t target;    /* DLR_TARGETED */
    int32_t log_probs; /* 1: softmax(z) = exp(z), so that the seed of CE is -onehot(label), which
                          cancels nothing on its way through the mean */
} amun__objective;
/* The value on one row of logits; its gradient into `seed` (nullable). Finite for finite logits.
 * With fewer than 4 classes DLR_TARGETED divides as DLR does, with 2 both divide by 1. */
double amun__objective_value(const amun__objective *what, const float *logits, size_t classes,
                             int32_t label, double *seed);
/* Classes but `label` by descending logit, ties: the lower class first; the first `count` of them
 * into `order`, -1 where there are no more. */
void amun__objective_rivals(const float *logits, size_t classes, int32_t label, int32_t *order,
                            size_t count);

/* ---- a walk (walk.c) --------------------------------------------------------------------------
 */

enum { AMUN__APGD_TARGETS_MAX = 100, AMUN__WALK_IMAGES_MAX = 4 };

typedef struct amun__apgd_state {
    int32_t run, step;        /* which restart or target; updates done in it */
    int32_t checkpoint;       /* number of checkpoints passed */
    int32_t rises;            /* updates since then after which the objective was larger */
    double eta, eta_before;   /* step size, and at the last checkpoint */
    double best, best_before; /* largest objective, and at the last checkpoint */
    double last;              /* objective at the last iterate */
    double answer;            /* objective of the answer */
    int32_t answered, answer_flipped, answer_label, is_best;
    int32_t targets[AMUN__APGD_TARGETS_MAX];
} amun__apgd_state;

typedef struct amun__square_state {
    int32_t query; /* candidates seen */
    double best;   /* smallest margin of the label */
} amun__square_state;

typedef struct amun__minnorm_state {
    int32_t step;          /* updates done since the start */
    int32_t margin;        /* DDN: the next gradient is the margin's */
    int32_t found, label;  /* a wrong iterate is kept in the slot's extra image; its label */
    double eps;            /* radius of the current iterate */
    double best, best_eps; /* smallest distance of a wrong iterate; the radius it was found at */
    double gap;            /* FMN: the label's lead over its strongest rival */
} amun__minnorm_state;

/* One slot: a sample on its way, and images of its own besides clean and current. */
typedef struct amun__slot {
    size_t row;
    int32_t active, label;
    int32_t seen;           /* the clean image went through the network */
    int32_t wants_gradient; /* in this iteration */
    int32_t done;           /* result.outcome is final, and `current` the image to deliver */
    amun_attack_record result;
    float *clean, *current, *extra[AMUN__WALK_IMAGES_MAX];
    const float *logits, *diff;
    double *seed;
    union {
        amun__apgd_state apgd;
        amun__square_state square;
        amun__minnorm_state minnorm;
    } state;
} amun__slot;

/* Samples that walk on their own, served by one plan: every iteration is one forward of all slots,
 * `judge` per slot on its logits (the first time those of the clean image), one backward if a slot
 * asked for a gradient, and then `move`. A slot that is done takes the next sample. judge and move
 * run on several threads, one slot each. */
typedef struct amun__walk {
    const void *options;
    amun__mode mode;
    size_t batch, images; /* slots at most; extra images per slot */
    void (*judge)(const struct amun__walk *walk, amun__slot *slot);
    void (*move)(const struct amun__walk *walk, amun__slot *slot); /* NULL: no gradients */
    /* What to do with a failed sample, nullable: true if the slot was given another start. */
    bool (*revive)(const struct amun__walk *walk, amun__slot *slot);
    double eps; /* for the records */
    amun__job *job;
    int32_t log_probs; /* set by amun__walk_run() */
    int64_t channels, height, width;
} amun__walk;
amun_status amun__walk_run(amun__walk *walk);
void amun__slot_finish(amun__slot *slot, amun_attack_outcome outcome);

/* ---- the attacks (fixed.c, search.c, minnorm.c, apgd.c, square.c, standard.c)
 * --------------------------------------------------------- */

typedef struct amun__fixed_plan {
    amun_norm norm;
    double eps, step;
    double decay; /* of the accumulated gradient; < 0: the plain gradient */
    int32_t steps, random_start;
    uint64_t seed;
    size_t batch;
    const amun__box *box; /* not NULL: normalised coordinates */
} amun__fixed_plan;
amun_status amun__fixed_run(amun__job *job, const amun__fixed_plan *what);
amun_status amun__search_run(amun__job *job, const amun_search_options *options);
/* DDN and FMN. */
amun_status amun__minnorm_run(amun__job *job, const amun_search_options *options);
/* Below this norm the softmax is saturated in float, and the margin points the way instead. */
bool amun__search_saturated(double gradient_norm);
/* No ball of a search grows beyond this radius. */
double amun__search_cap(const amun__job *job, const amun_search_options *options);
amun_status amun__apgd_run(amun__job *job, const amun_apgd_options *options);
amun_status amun__square_run(amun__job *job, const amun_square_options *options);
amun_status amun__standard_run(amun__job *job, const amun_standard_options *options);

/* Checkpoint w_j = ceil(p_j * steps), p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} -
 * 0.03, 0.06) (APGD's step-size schedule). */
int32_t amun__apgd_checkpoint(int32_t j, int32_t steps);
/* Side of the square for query t of n (0-based) on an image of this size. */
int32_t amun__square_side(double p_init, int32_t t, int32_t n, int64_t height, int64_t width);

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

/* The set in a file that was parsed; `path` is its name in messages. */
amun_status amun__advset_read(amun_advset **set, amun_context *ctx, const amun_dataset *data,
                              const amun__safetensors *file, const char *path);

extern const char *const amun__attack_policy_names[4];

#endif
