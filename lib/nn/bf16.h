/* bf16.h - bfloat16, the upper half of a float: conversion, and the elementwise passes over arrays
 * of it. Arithmetic is in float; what is stored is rounded to the nearest, ties to even. */
#ifndef AMUN__BF16_H
#define AMUN__BF16_H

#include "core/core.h"

typedef uint16_t amun__bf16;

static inline float amun__bf16_to_float(amun__bf16 x)
{
    const uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* NaN stays NaN; what exceeds the range becomes infinity. */
static inline amun__bf16 amun__bf16_from_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const uint32_t nan = bits >> 16 | 0x40u; /* quiet */
    return (amun__bf16)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

/* As amun__kernel_* of lower.h. */
void amun__bf16_widen(float *dst, const amun__bf16 *src, size_t n);
void amun__bf16_narrow(amun__bf16 *dst, const float *src, size_t n);
void amun__bf16_relu_to(amun__bf16 *dst, const amun__bf16 *src, size_t n);
void amun__bf16_mask(amun__bf16 *diff, const amun__bf16 *dst, size_t n);
void amun__bf16_add_to(amun__bf16 *dst, const amun__bf16 *a, const amun__bf16 *b, double factor,
                       int32_t relu, size_t n);
void amun__bf16_scale(amun__bf16 *dst, const amun__bf16 *src, double factor, size_t n);

#endif
