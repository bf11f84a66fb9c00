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
    amun_unlearn_options options; /* complete */
    amun_train_options train_options;
} amun__unlearn_request;

/* How many samples of an epoch come from where; also what the caller is told. */
typedef struct amun__unlearn_counts {
    size_t remain, forget, adversarial;
} amun__unlearn_counts;

typedef struct amun__unlearn_method {
    const char *name;
    /* Changes what differs from amun_train_options_init(); NULL: nothing does. */
    void (*set_defaults)(amun_train_options *options);
    int32_t takes_set;    /* an adversarial set is required; else refused */
    int32_t needs_remain; /* cannot do without D_R */
    int32_t fresh;        /* starts from new initial weights of options.seed */
    /* Fills recipe->mix.parts, part_count, l1 and mask; the rest is there already. */
    amun_status (*build)(const amun__unlearn_request *request, amun__recipe *recipe,
                         amun__unlearn_counts *counts);
} amun__unlearn_method;

extern const amun__unlearn_method amun__method_retrain;
extern const amun__unlearn_method amun__method_amun;
extern const amun__unlearn_method amun__method_amun_advonly;

/* Method of a public number, or NULL. */
const amun__unlearn_method *amun__unlearn_method_find(amun_unlearn_method method);
/* A recipe from a checked request: everything but running it. */
amun_status amun__unlearn_recipe(const amun__unlearn_method *method,
                                 const amun__unlearn_request *request, amun__recipe *recipe,
                                 amun__unlearn_counts *counts);
/* Checks the arguments of amun_unlearn_run() and fills the request; drop it in any case. */
amun_status amun__unlearn_request_open(amun__unlearn_request *request, amun_model *model,
                                       const amun_dataset *train, const int64_t *forget,
                                       size_t count, const amun_advset *set,
                                       const amun_unlearn_options *opts);
void amun__unlearn_request_close(amun__unlearn_request *request);

/* Appends a part with true labels and augmentation, or with the labels of `set` and none. Empty
 * parts are left out. Both return the number of samples. */
size_t amun__unlearn_add_clean(amun__recipe *recipe, const amun_dataset *data,
                               const int64_t *indices, size_t count);
size_t amun__unlearn_add_adversarial(amun__recipe *recipe, const amun_advset *set);

#endif
