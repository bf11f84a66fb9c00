/* clipper.h - the layers of a model that are held to a target, once or through a training.
 * Private. */
#ifndef AMUN__CLIPPER_H
#define AMUN__CLIPPER_H

#include "amun/clip.h"
#include "core/core.h"
#include "nn/linop.h"
#include "nn/nn.h"

typedef struct amun__clipper amun__clipper;

extern const amun__options_table amun__clip_options_table;
/* amun_clipper_create() with a backend of the caller's choice, for tests. */
amun_status amun__clipper_open(amun_clipper **clipper, amun_model *model,
                               const amun_clip_options *opts, amun__linop_backend backend);
/* Full options (NULL: defaults), checked beyond the ranges of the table. */
amun_status amun__clip_options_read(amun_clip_options *full, const amun_clip_options *opts);

/* What for: the vectors and arrays that are kept, and the default block. */
typedef enum amun__clipper_use {
    AMUN__CLIPPER_ONCE = 1, /* amun__clipper_run(), and the schedule without gradients */
    AMUN__CLIPPER_TRAIN     /* the hooks of a training loop */
} amun__clipper_use;

/* `options` are full. Borrows the model, whose arrays it reads and writes: the caller of this and
 * of everything below holds begin_write (begin_read is enough here) and the threads' scope. */
amun_status amun__clipper_create(amun__clipper **out, amun_context *ctx, amun_model *model,
                                 const amun_clip_options *options, amun__clipper_use use,
                                 amun__linop_backend backend);
void amun__clipper_destroy(amun__clipper *clipper); /* NULL is fine */
int32_t amun__clipper_layers(const amun__clipper *clipper);
/* One layer: its name (borrowed) and the norm that was seen last, NaN before. */
const char *amun__clipper_layer(const amun__clipper *clipper, int32_t index, double *sigma);

/* Everything to its target, now. result: nullable, struct_size need not be set. */
amun_status amun__clipper_run(amun__clipper *clipper, amun__progress_state *progress,
                              amun_clip_result *result);

/* ---- training ------------------------------------------------------------------------------ */

/* One step: before_forward; forward, backward; after_backward; the optimiser on the model's values;
 * after_update. Between steps the model holds what the optimiser works on (MIYATO: the raw
 * weights). */

/* Power iterations on every layer, and a clip if `step` (from 0) is a multiple of `every` above
 * `delay`; the vectors stay as they are after a clip. MIYATO: the model gets normalised weights.
 * result nullable. */
amun_status amun__clipper_before_forward(amun__clipper *clipper, int64_t step,
                                         amun_clip_result *result);
/* MIYATO: gradients by the raw weights, and these back into the model; DELATTRE_2023: adds those of
 * the penalty. diff_params: layout of the model's trainable values. */
amun_status amun__clipper_after_backward(amun__clipper *clipper, float *diff_params);
amun_status amun__clipper_after_update(amun__clipper *clipper);
/* After the last step: MIYATO leaves the normalised weights, by the vectors as they are. */
amun_status amun__clipper_finish(amun__clipper *clipper);

/* The arrays that a later run needs, besides the model's values, to go on with the same bytes.
 * False beyond the last. data: writable, valid until the next call of another function. */
bool amun__clipper_state(amun__clipper *clipper, int32_t index, float **data, size_t *count);

#endif
