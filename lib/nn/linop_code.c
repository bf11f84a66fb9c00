/* linop_code.c - which code computes a convolution's linear map, and what that costs. */
#include "nn/linop_code.h"

#ifdef AMUN_WITH_DNNL
#include "nn/linop_rows.h"
#include "nn/winograd.h"

amun_status amun__linop_reserve(amun_context *ctx, amun__linop_buffer *buffer, size_t bytes)
{
    if (bytes <= buffer->bytes && buffer->data != NULL) {
        return AMUN_OK;
    }
    amun__free(ctx, buffer->data);
    buffer->bytes = 0;
    AMUN__CHECK(amun__alloc(ctx, &buffer->data, bytes, 1));
    buffer->bytes = bytes;
    return AMUN_OK;
}

amun__frame amun__linop_frame(const amun__linop_shape *s, int64_t k)
{
    return (amun__frame){.planes = (size_t)(k * s->in_channels),
                         .inner = 1,
                         .height = s->in_height,
                         .width = s->in_width,
                         .pad = {s->pad[0], s->pad[1]},
                         .padding = s->padding};
}

bool amun__linop_framed(const amun__linop_shape *s)
{
    return s->padding != AMUN__PADDING_ZERO && (s->pad[0] > 0 || s->pad[1] > 0);
}

/* ---- choice ---------------------------------------------------------------------------------- */

enum {
    LARGE_FILTERS = 200 * 200, /* in * out channels: 5.8 MB of transformed filters */
    WEIGHTS_PER_COLUMN = 4096
};

static int64_t tiles_of(const amun__linop_shape *s)
{
    return (s->out_height + 3) / 4 * ((s->out_width + 3) / 4);
}

/* Where it says yes it measured 1.1 to 2.2 times as fast as oneDNN's direct code, with filters that
 * stay and with filters transformed anew (docs/performance.md). Large filters are worth more tiles,
 * as no cache holds them. */
static bool winograd_wins(const amun__linop_shape *s, int64_t k)
{
    const int64_t few = s->in_channels < s->out_channels ? s->in_channels : s->out_channels;
    const bool large = s->in_channels * s->out_channels > LARGE_FILTERS;
    return few >= 32 && k * tiles_of(s) >= (large ? 32 : 16) &&
           s->out_height * s->out_width >= 9 * tiles_of(s);
}

/* Where it says yes it measured 1.3 to 3.6 times as fast as oneDNN's direct code with weights that
 * have just changed, and 0.92 to 1.6 times with weights that stay. A stride wider than the kernel
 * leaves most of the image, which is padded whole, unread. */
static bool rows_win(const amun__linop_shape *s, int64_t k)
{
    const int64_t columns = k * s->out_height * s->out_width;
    const int64_t weights = s->out_channels * s->in_channels * s->kernel[0] * s->kernel[1];
    return columns % AMUN__ROWS_PANEL == 0 && columns <= weights / WEIGHTS_PER_COLUMN &&
           s->kernel[0] >= s->stride[0] && s->kernel[1] >= s->stride[1];
}

amun__linop_code amun__linop_code_for(const amun_context *ctx, const amun__linop_shape *s,
                                      int64_t k)
{
    const int32_t choice = amun__context_conv(ctx);
    const bool winograd = amun__linop_winograd_can(s), rows = amun__linop_rows_can(s);
    const bool own = choice == AMUN_CONV_AUTO && amun__dnnl_stops_at_avx2();
    if (winograd && (choice == AMUN_CONV_OWN || (own && winograd_wins(s, k)))) {
        return AMUN__LINOP_CODE_WINOGRAD;
    }
    return rows && own && rows_win(s, k) ? AMUN__LINOP_CODE_ROWS : AMUN__LINOP_CODE_DNNL;
}

#else

amun__linop_code amun__linop_code_for(const amun_context *ctx, const amun__linop_shape *s,
                                      int64_t k)
{
    (void)ctx, (void)s, (void)k;
    return AMUN__LINOP_CODE_DNNL; /* reference loops in its place */
}

#endif

/* Fitted by hand to times of ResNet-18's layers with fresh weights: products, passes over vectors,
 * and what packing or transforming weights takes, in units of 4 ps. */
double amun__linop_cost(const amun_context *ctx, const amun__linop_shape *s, int64_t k)
{
    enum { PER_VALUE = 600, PER_PACKED = 128, PER_TRANSFORMED = 286 };
    const amun__linop_code code = amun__linop_code_for(ctx, s, k);
    const double in = (double)s->in_channels * (double)s->in_height * (double)s->in_width;
    const double pixels = (double)s->out_height * (double)s->out_width, vectors = (double)k;
    const double weights = (double)s->out_channels * (double)(s->in_channels / s->groups) *
                           (double)(s->kernel[0] * s->kernel[1]);
    const double product = code == AMUN__LINOP_CODE_WINOGRAD ? 1.2 : 4.0;
    const double change = code == AMUN__LINOP_CODE_WINOGRAD ? PER_TRANSFORMED
                          : code == AMUN__LINOP_CODE_ROWS   ? 0.0
                                                            : PER_PACKED;
    return weights * (product * vectors * pixels + change) +
           PER_VALUE * vectors * (in + (double)s->out_channels * pixels);
}
