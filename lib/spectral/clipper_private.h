/* clipper_private.h - the clipper, for the files that implement it. */
#ifndef AMUN__CLIPPER_PRIVATE_H
#define AMUN__CLIPPER_PRIVATE_H

#include "spectral/clip.h"
#include "spectral/clipper.h"

/* Layers are followed and clipped side by side in training: each in one part, a part on one thread
 * at a time, with memory of its own, so that what it needs again is there whatever the others do. */
struct amun__clipper {
    amun_context *ctx; /* that of the first part */
    amun_model *model;
    amun_clip_options options; /* block and inner steps resolved */
    amun__clipper_use use;
    amun__linop_backend backend;
    amun__clip_layer *layers; /* in the order of the graph, a composite after its convolution */
    int32_t count;
    amun_context **pools; /* [parts] */
    int32_t parts;
    int32_t *part; /* [nodes of the graph] */
};

/* result->changed and ->moved against an earlier copy of the trainable values, and ->largest. */
void amun__clipper_compare(const amun__clipper *clipper, const float *before,
                           amun_clip_result *result);
void amun__clipper_largest(const amun__clipper *clipper, amun_clip_result *result);

#endif
