/* clip.h - clippers of the models of a run. Private to the train room. */
#ifndef AMUN__TRAIN_CLIP_H
#define AMUN__TRAIN_CLIP_H

#include "spectral/clipper.h"
#include "train/train.h"

/* One clipper per member; nothing at all without amun_train_options.clip. */
typedef struct amun__train_clip {
    amun_context *ctx;
    amun__clipper **clippers; /* [count]; NULL: none */
    size_t count;
    amun__run_extra *extras; /* their state for checkpoints, after the recipe's own */
    size_t extra_count, first;
    char (*names)[48];
} amun__train_clip;

/* Fills members' clippers; with a checkpoint also the list of extras, which begins with those of
 * the recipe. Close it in any case. */
amun_status amun__train_clip_open(amun__train_clip *clip, const amun__member *members, size_t count,
                                  const amun__recipe *recipe);
void amun__train_clip_close(amun__train_clip *clip);
/* Between the clippers and the extras: before a save, after a load. */
void amun__train_clip_keep(const amun__train_clip *clip);
void amun__train_clip_recall(const amun__train_clip *clip);

/* Around a step: see spectral/clipper.h. */
amun_status amun__train_clip_before(const amun__train_clip *clip, int64_t step);
amun_status amun__train_clip_after(const amun__train_clip *clip, const amun__member *members);
amun_status amun__train_clip_updated(const amun__train_clip *clip);
amun_status amun__train_clip_finish(const amun__train_clip *clip);

#endif
