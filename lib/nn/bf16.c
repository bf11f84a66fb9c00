/* bf16.c - passes over arrays of bfloat16, shared among threads in spans; with AVX2 where the CPU
 * has it, the same bytes either way. */
#include "nn/bf16.h"

#include "nn/winograd.h"

#if defined(__x86_64__)
#include "nn/avx2.h"
#endif

typedef struct operands {
    void *dst;
    const void *a, *b;
    float factor, low; /* add_to: what is less than `low` becomes `low` */
} operands;

typedef void (*span_fn)(const operands *o, size_t first, size_t last);

/* Elements; a whole pass below it is not worth a second thread. */
enum { SPAN = 16384 };

static void over_spans(span_fn span, operands o, size_t n)
{
    const int64_t spans = (int64_t)((n + SPAN - 1) / SPAN);
#pragma omp parallel for schedule(static) if (spans > 1)
    for (int64_t i = 0; i < spans; i++) {
        const size_t first = (size_t)i * SPAN, last = first + SPAN;
        span(&o, first, last < n ? last : n);
    }
}

#if !defined(__x86_64__)
#define AVX2_FUNCTION
#endif

/* One loop, compiled twice: `body` sets the i-th element. */
#define PASS(name, to, from, body)                                                                 \
    __attribute__((always_inline)) static inline void name##_loop(const operands *o, size_t first, \
                                                                  size_t last)                     \
    {                                                                                              \
        to *dst = o->dst;                                                                          \
        const from *a = o->a, *b = o->b;                                                           \
        (void)b;                                                                                   \
        _Pragma("omp simd") for (size_t i = first; i < last; i++)                                  \
        {                                                                                          \
            body;                                                                                  \
        }                                                                                          \
    }                                                                                              \
    static void name##_any(const operands *o, size_t first, size_t last)                           \
    {                                                                                              \
        name##_loop(o, first, last);                                                               \
    }                                                                                              \
    AVX2_FUNCTION static void name##_avx2(const operands *o, size_t first, size_t last)            \
    {                                                                                              \
        name##_loop(o, first, last);                                                               \
    }                                                                                              \
    static span_fn name(void)                                                                      \
    {                                                                                              \
        return amun__winograd_available() ? name##_avx2 : name##_any;                              \
    }

static inline bool positive(amun__bf16 x)
{
    return x > 0 && x <= 0x7f80; /* neither zero, negative nor NaN */
}

static inline amun__bf16 sum(const operands *o, amun__bf16 a, amun__bf16 b)
{
    const float v = o->factor * (amun__bf16_to_float(a) + amun__bf16_to_float(b));
    return amun__bf16_from_float(v < o->low ? o->low : v); /* NaN stays NaN */
}

PASS(widen, float, amun__bf16, dst[i] = amun__bf16_to_float(a[i]))
PASS(narrow, amun__bf16, float, dst[i] = amun__bf16_from_float(a[i]))
PASS(relu_to, amun__bf16, amun__bf16,
     dst[i] = (amun__bf16)(a[i] > 0x8000 && a[i] <= 0xff80 ? 0 : a[i]))
PASS(mask, amun__bf16, amun__bf16, dst[i] = (amun__bf16)(positive(a[i]) ? dst[i] : 0))
PASS(add_to, amun__bf16, amun__bf16, dst[i] = sum(o, a[i], b[i]))
PASS(scale, amun__bf16, amun__bf16,
     dst[i] = amun__bf16_from_float(o->factor * amun__bf16_to_float(a[i])))

void amun__bf16_widen(float *dst, const amun__bf16 *src, size_t n)
{
    over_spans(widen(), (operands){.dst = dst, .a = src}, n);
}

void amun__bf16_narrow(amun__bf16 *dst, const float *src, size_t n)
{
    over_spans(narrow(), (operands){.dst = dst, .a = src}, n);
}

void amun__bf16_relu_to(amun__bf16 *dst, const amun__bf16 *src, size_t n)
{
    over_spans(relu_to(), (operands){.dst = dst, .a = src}, n);
}

void amun__bf16_mask(amun__bf16 *diff, const amun__bf16 *dst, size_t n)
{
    over_spans(mask(), (operands){.dst = diff, .a = dst}, n);
}

void amun__bf16_add_to(amun__bf16 *dst, const amun__bf16 *a, const amun__bf16 *b, double factor,
                       int32_t relu, size_t n)
{
    const operands o = {
        .dst = dst, .a = a, .b = b, .factor = (float)factor, .low = relu ? 0 : -INFINITY};
    over_spans(add_to(), o, n);
}

void amun__bf16_scale(amun__bf16 *dst, const amun__bf16 *src, double factor, size_t n)
{
    over_spans(scale(), (operands){.dst = dst, .a = src, .factor = (float)factor}, n);
}
