/* winograd.h - our own Winograd for 3x3 convolutions in f32, forward, by data and by weights: with
 * stride 1 F(4x4, 3x3), by data the same with turned filters; with stride 2 F(4x4, 2x2) over the
 * four images of even and odd rows and columns. For CPUs on which oneDNN has only direct ones. */
#ifndef AMUN__WINOGRAD_H
#define AMUN__WINOGRAD_H

#include "core/core.h"

/* Which way a pass goes. DOWN: a convolution with stride 2 and one row and column of padding; dst
 * has half the rows and columns, rounded up. UP: its pass by data, where `src` is the gradient of
 * its dst. */
typedef enum amun__winograd_step {
    AMUN__WINOGRAD_SAME = 0,
    AMUN__WINOGRAD_DOWN,
    AMUN__WINOGRAD_UP
} amun__winograd_step;

/* One pass. Images are [batch][channels / block][height][width][block] with a block of 8 or 16; the
 * channels that fill the last block are zeros, in src and in dst. By data, `src` is the gradient of
 * the convolution's dst, with the padding turned round (2 - pad). */
typedef struct amun__winograd {
    int64_t batch;
    int64_t src_channels, src_height, src_width, src_block;
    int64_t dst_channels, dst_height, dst_width, dst_block;
    int64_t pad[2]; /* 0, 1, 2: rows above and below, columns left and right; SAME alone */
    amun__winograd_step step;
    bool src_bf16, dst_bf16; /* images in memory as bf16, not float */
} amun__winograd;

/* The pass by data of a forward pass. */
static inline amun__winograd amun__winograd_turned(const amun__winograd *f)
{
    return (amun__winograd){.batch = f->batch,
                            .src_channels = f->dst_channels,
                            .src_height = f->dst_height,
                            .src_width = f->dst_width,
                            .src_block = f->dst_block,
                            .dst_channels = f->src_channels,
                            .dst_height = f->src_height,
                            .dst_width = f->src_width,
                            .dst_block = f->src_block,
                            .pad = {2 - f->pad[0], 2 - f->pad[1]},
                            .step = f->step == AMUN__WINOGRAD_DOWN ? AMUN__WINOGRAD_UP
                                                                   : AMUN__WINOGRAD_SAME};
}

/* What follows the sum of products, as oneDNN's post-ops: dst = relu(conv + bias + dst). */
typedef struct amun__winograd_tail {
    const float *bias; /* [dst_channels] or NULL */
    bool sum, relu;
} amun__winograd_tail;

bool amun__winograd_available(void); /* the CPU has AVX2 and FMA */

/* oneDNN has AVX2 here and nothing better, so that its convolutions are direct ones
 * (dnnl_winograd.c). With AVX-512 ours have not been measured and are not chosen by themselves. */
bool amun__dnnl_stops_at_avx2(void);

/* Plain images, [batch][channels][pixels], to blocks of 8 channels, and back. */
void amun__winograd_to_blocks(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels);
void amun__winograd_to_planes(float *to, const float *from, int64_t batch, int64_t channels,
                              int64_t pixels);

/* Floats of the transformed filters, and of the memory that `threads` threads work in. */
size_t amun__winograd_filter_floats(const amun__winograd *w);
size_t amun__winograd_scratch_floats(const amun__winograd *w, int32_t threads);
size_t amun__winograd_grad_scratch_floats(const amun__winograd *w, int32_t threads);

/* `weights`: the convolution's own, plain [out][in][3][3]; by_data: w->src_channels are its out. */
void amun__winograd_filters(const amun__winograd *w, float *dst, const float *weights, bool by_data,
                            int32_t threads);
/* The same bytes for any number of threads. */
void amun__winograd_run(const amun__winograd *w, void *dst, const void *src, const float *filters,
                        const amun__winograd_tail *tail, float *scratch, int32_t threads);
/* diff_weights: plain [dst_channels][src_channels][3][3]; diff_dst lies as dst would. Overwritten.
 * diff_bias (nullable): [dst_channels]. The same bytes for the same number of threads. */
void amun__winograd_grad(const amun__winograd *w, float *diff_weights, float *diff_bias,
                         const void *src, const void *diff_dst, float *scratch, int32_t threads);

#endif
