/* unlearn.h - a request to forget, and the table of methods that answer it. Private.
 *
 * A method is a small file: it says what it needs and turns a checked request into a recipe for
 * the one training loop. To add one: a number in include/amun/unlearn.h, a file with an
 * amun__unlearn_method, its line in the table of unlearn.c. */
#ifndef AMUN__UNLEARN_H
#define AMUN__UNLEARN_H

#include "amun/unlearn.h"
#include "attack/attack.h"
#include "core/core.h"
#include "train/train.h"

/* Memory that a method takes for one request. */
typedef struct amun__unlearn_block amun__unlearn_block;

/* All of it checked; the arrays live until the recipe has run. */
typedef struct amun__unlearn_request {
    amun_context *ctx;
    amun_model *model;
    const amun_dataset *train;
    const int64_t *forget; /* as the caller gave it */
    size_t forget_count;
    int64_t *remain; /* D_R, ascending; NULL if the request is without D_R */
    size_t remain_count;
    const amun_advset *set; /* records of exactly the forget set; NULL if the method takes none */
    int64_t *partnered; /* forget samples with an adversarial example, in the order of `forget` */
    size_t partnered_count;
    amun_unlearn_options options; /* complete, but for the pointers: */
    amun_train_options train_options;
    amun_rival_options rival;
    amun_trw_options trw;
    double mask_ratio; /* what the method is to use: 1 moves all weights */
    amun__unlearn_block *blocks;
} amun__unlearn_request;

/* Zeroed memory that lives until the request is closed. `out` is a pointer to the caller's pointer.
 */
amun_status amun__unlearn_alloc(amun__unlearn_request *request, void *out, size_t count,
                                size_t size);

/* How many samples of an epoch come from where; also what the caller is told. */
typedef struct amun__unlearn_counts {
    size_t remain, forget, adversarial;
    size_t failed; /* forget samples for which the method found no wrong label */
} amun__unlearn_counts;

typedef struct amun__unlearn_method {
    const char *name;
    /* Changes what differs from amun_train_options_init(); NULL: nothing does. */
    void (*set_defaults)(amun_train_options *options);
    int32_t takes_set;      /* an adversarial set is required; else refused */
    int32_t needs_remain;   /* cannot do without D_R */
    int32_t ignores_remain; /* takes D_F only; remain counts as 0 */
    int32_t fresh;          /* starts from new initial weights of options.seed */
    double mask_ratio;      /* if the caller names none; 0: no mask */
    /* Fills recipe->mix.parts, part_count, l1, objective ...; the name, the options and the mask
     * are there already. The model is as it was, and the caller holds begin_write. Memory: the
     * request's. `progress` is for work of its own, with a phase of its own name. */
    amun_status (*build)(amun__unlearn_request *request, amun__progress_state *progress,
                         amun__recipe *recipe, amun__unlearn_counts *counts);
    /* Instead of build, for methods that are no recipe or several: changes request->model by
     * itself; the caller holds begin_write and puts the model back if this fails. *trained holds
     * zeroes and NaN; a method that trains fills it. */
    amun_status (*run)(amun__unlearn_request *request, amun__progress_state *progress,
                       amun__unlearn_counts *counts, amun_train_result *trained);
} amun__unlearn_method;

extern const amun__unlearn_method amun__method_retrain;
extern const amun__unlearn_method amun__method_amun;
extern const amun__unlearn_method amun__method_amun_advonly;
extern const amun__unlearn_method amun__method_finetune;
extern const amun__unlearn_method amun__method_random_label;
extern const amun__unlearn_method amun__method_gradient_ascent;
extern const amun__unlearn_method amun__method_neggrad_plus;
extern const amun__unlearn_method amun__method_boundary_shrink;
extern const amun__unlearn_method amun__method_l1_sparse;
extern const amun__unlearn_method amun__method_salun;
extern const amun__unlearn_method amun__method_boundary_expand;
extern const amun__unlearn_method amun__method_scrub;
extern const amun__unlearn_method amun__method_bad_teacher;
extern const amun__unlearn_method amun__method_unsir;
extern const amun__unlearn_method amun__method_ssd;
extern const amun__unlearn_method amun__method_svd;
extern const amun__unlearn_method amun__method_euk;
extern const amun__unlearn_method amun__method_cfk;
extern const amun__unlearn_method amun__method_delete;
extern const amun__unlearn_method amun__method_trw;

extern const amun__options_table amun__rival_options_table;
extern const amun__options_table amun__trw_options_table;

/* With its ranges checked; the pointers are those of `opts`. */
amun_status amun__unlearn_options_read(amun_unlearn_options *full,
                                       const amun_unlearn_options *opts);
/* Method of a public number, or NULL. */
const amun__unlearn_method *amun__unlearn_method_find(amun_unlearn_method method);
/* A recipe from a checked request: everything but running it. */
amun_status amun__unlearn_recipe(const amun__unlearn_method *method, amun__unlearn_request *request,
                                 amun__progress_state *progress, amun__recipe *recipe,
                                 amun__unlearn_counts *counts);
/* A complete copy, from the method's own defaults. */
amun_status amun__unlearn_train_options_read(amun_train_options *full, amun_unlearn_method method,
                                             const amun_train_options *opts);
/* Checks the arguments of amun_unlearn_run() and fills the request; drop it in any case. */
amun_status amun__unlearn_request_open(amun__unlearn_request *request, amun_model *model,
                                       const amun_dataset *train, const int64_t *forget,
                                       size_t count, const amun_advset *set,
                                       const amun_unlearn_options *opts);
void amun__unlearn_request_close(amun__unlearn_request *request);

/* The values that a new model of the same graph would start with (common.c). Caller holds
 * begin_read or begin_write. */
amun_status amun__unlearn_draw_fresh(amun__snapshot *fresh, const amun_model *model, uint64_t seed);
/* How often D_F must be repeated to be about as long as D_R, at least 1. */
int32_t amun__unlearn_repeats(const amun__unlearn_request *request);
/* Gets the gradient of a batch's mean cross-entropy, in the layout of the trainable values. */
typedef void amun__gradient_sink(void *self, const float *diff, size_t trainable);
/* For each batch of 128 of the named training samples, in their order and as they are (nothing
 * augmented, batch norm as in evaluation). Caller holds begin_write. */
amun_status amun__unlearn_gradients(const amun__unlearn_request *request, const int64_t *indices,
                                    size_t count, amun__progress_state *progress, const char *phase,
                                    amun__gradient_sink *sink, void *self);
/* One byte per trainable value: 1 for the floor(mask_ratio * trainable) of them with the largest
 * |sum of these gradients| over the forget samples. The request's memory. */
amun_status amun__unlearn_mask(amun__unlearn_request *request, amun__progress_state *progress,
                               const uint8_t **mask);

/* A copy of `indices` in an order of options.seed and `stream` (samples.c). The request's memory.
 */
amun_status amun__unlearn_shuffled(amun__unlearn_request *request, const int64_t *indices,
                                   size_t count, uint32_t stream, int64_t **out);
/* The same of a choice: at most `per_class` of each class and `most` in all, the classes as equal
 * as they allow. */
amun_status amun__unlearn_balanced(amun__unlearn_request *request, const int64_t *indices,
                                   size_t count, uint32_t stream, size_t per_class, size_t most,
                                   int64_t **out, size_t *picked);
/* T^2 times the sum over the rows of KL(softmax(teacher / T) || softmax(student / T)); adds scale
 * times its gradient by the student's logits to `seed`. scratch: 2 * classes (recipe_scrub.c). */
double amun__unlearn_kl(const float *teacher, const float *student, size_t n, size_t classes,
                        double temperature, double scale, float *seed, double *scratch);
/* How much of a direction SVD keeps that has the share rho of the energy (edit_svd.c). */
double amun__svd_lambda(double rho, double alpha);

/* Append a part: as given; with true labels and augmentation; with the labels of `set` and none.
 * Empty parts are left out. All return the number of samples, repetitions aside. */
size_t amun__unlearn_add(amun__recipe *recipe, const amun__part *part);
size_t amun__unlearn_add_clean(amun__recipe *recipe, const amun_dataset *data,
                               const int64_t *indices, size_t count);
size_t amun__unlearn_add_adversarial(amun__recipe *recipe, const amun_advset *set);

#endif
