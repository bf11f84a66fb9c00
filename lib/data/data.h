/* data.h - data sets, mixes and the prefetching loader. Private. */
#ifndef AMUN__DATA_H
#define AMUN__DATA_H

#include "amun/dataset.h"
#include "core/core.h"

/* ---- data set (dataset.c, formats.c)
 * -------------------------------------------------------------- */

typedef struct amun__dataset_info {
    size_t count;
    int64_t channels, height, width, classes; /* classes 0: unlabelled */
    size_t pixels;                            /* channels * height * width */
} amun__dataset_info;
void amun__dataset_info_get(const amun_dataset *ds, amun__dataset_info *info);
/* Image `index` (< count, unchecked) as float32 in [0, 1]. */
void amun__dataset_fetch(const amun_dataset *ds, size_t index, float *dst);
int32_t amun__dataset_label(const amun_dataset *ds, size_t index); /* -1 if unlabelled */
/* Hash of the image as float32 and of the label: says whether a file belongs to this sample. */
uint64_t amun__dataset_hash(const amun_dataset *ds, size_t index);
/* A labelled data set over dense floats of any value, borrowed; count, extents and classes of `info`.
 */
amun_status amun__dataset_open_noise(amun_dataset **ds, amun_context *ctx, const float *images,
                                     const amun__dataset_info *info, const int32_t *labels);
/* Every index inside 0..count-1 and none twice; message names the first offender. An empty list
 * is an error unless allow_empty. `what`: "forget set". */
amun_status amun__indices_check(amun_context *ctx, const int64_t *indices, size_t n, size_t count,
                                bool allow_empty, const char *what);
/* The rest of 0..count-1, ascending; *out has count - n entries, freed by the caller. */
amun_status amun__indices_complement(amun_context *ctx, int64_t **out, const int64_t *indices,
                                     size_t n, size_t count);

/* ---- transform (transform.c)
 * ------------------------------------------------------------------------ */

typedef struct amun__augment {
    int32_t pad;    /* zero padding before a random crop of the original size; 0 = none */
    int32_t flip;   /* 1: horizontal flip with probability 1/2 */
    int32_t cutout; /* side of the square that is wiped out; 0 = none */
} amun__augment;
/* Keyed by (seed, epoch, stream id). dst and src do not overlap. */
void amun__augment_apply(const amun__augment *augment, uint64_t seed, uint32_t epoch, uint64_t id,
                         int64_t channels, int64_t height, int64_t width, const float *src,
                         float *dst);

/* ---- mix (mix.c)
 * -------------------------------------------------------------------------------------- */

typedef enum amun__target {
    AMUN__TARGET_LABEL = 1,    /* the data set's label */
    AMUN__TARGET_FIXED,        /* part->labels[entry] */
    AMUN__TARGET_RANDOM_OTHER, /* uniform over the classes except the label, redrawn per epoch */
    AMUN__TARGET_RANDOM_ANY,   /* uniform over all classes, redrawn per epoch */
    AMUN__TARGET_SOFT          /* part->soft[entry * classes ...] */
} amun__target;

typedef struct amun__part {
    const amun_dataset *dataset;
    const int64_t *indices; /* NULL: all images of the data set */
    size_t count;
    amun__target target;
    int32_t augment;       /* use the mix's augmentation */
    const int32_t *labels; /* FIXED: one per entry */
    const float *soft;     /* SOFT: rows of `classes` */
    double weight;         /* factor on the loss of these samples; -1 ascends */
    int32_t phase;  /* an epoch presents the parts of phase 0, then those of phase 1, ...; no batch
                       holds samples of two phases. In [0, AMUN__MIX_MAX_PARTS) */
    int32_t epochs; /* > 0: only in the first so many epochs; alike in all parts of a phase */
    int32_t repeat; /* > 1: so many times per epoch, with augmentation and random labels of their
                       own. At most AMUN__PART_MAX_REPEAT */
} amun__part;

#define AMUN__MIX_MAX_PARTS 8
#define AMUN__PART_MAX_REPEAT 4095
/* All arrays are borrowed. Sample keys for random choices:
 * (repetition << 52) | (part number << 48) | dataset index. */
typedef struct amun__mix {
    amun__part parts[AMUN__MIX_MAX_PARTS];
    size_t part_count;
    int64_t classes;
    amun__augment augment;
    double label_smoothing; /* target row = (1 - s) * row + s / classes */
    int32_t shuffle;
} amun__mix;
/* Shapes agree, labels in range, indices valid, soft rows finite and non-negative with sum 1 +-
 * 1e-3. */
amun_status amun__mix_check(amun_context *ctx, const amun__mix *mix);
/* Samples of all parts, with their repetitions. */
size_t amun__mix_count(const amun__mix *mix);
/* The same for one phase of an epoch (0-based); 0 if it has none. */
size_t amun__mix_phase_count(const amun__mix *mix, int32_t phase, int64_t epoch);
/* Batches of an epoch: every phase ends with a batch that may be short. */
size_t amun__mix_batches(const amun__mix *mix, size_t batch, int64_t epoch);

/* ---- loader (loader.c)
 * -------------------------------------------------------------------------------- */

typedef struct amun__batch {
    size_t count; /* samples in this batch; the last one of a phase may be short */
    const float *images;   /* [count][pixels] */
    const float *targets;  /* [count][classes] */
    const float *weights;  /* [count] */
    const int32_t *labels; /* [count] hard label of the target (argmax for soft rows) */
    int32_t phase;
} amun__batch;

typedef struct amun__loader amun__loader;
/* Copies the mix struct (its arrays stay borrowed). One helper thread prepares batches ahead (none
 * with a context of 1 thread); content depends only on (seed, epoch), never on timing. */
amun_status amun__loader_open(amun__loader **out, amun_context *ctx, const amun__mix *mix,
                              size_t batch, uint64_t seed);
size_t amun__loader_batches(const amun__loader *loader); /* of the epoch that began last, or 0 */
/* Starts an epoch; the helper begins to work. */
amun_status amun__loader_begin(amun__loader *loader, uint32_t epoch);
/* The next batch, valid until the following call; NULL at the end of the epoch. */
amun_status amun__loader_next(amun__loader *loader, const amun__batch **out);
void amun__loader_close(amun__loader *loader); /* NULL is fine; also in mid-epoch */

#endif
