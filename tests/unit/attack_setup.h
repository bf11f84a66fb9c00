/* attack_setup.h - what most test programs of attacks begin and end with: a context that counts its
 * memory, the digits, and a small network that was trained on them. */
#ifndef ATTACK_SETUP_H
#define ATTACK_SETUP_H

#include "attack_fixture.h"

static test_allocator allocator;
static amun_context *ctx;
static amun_dataset *data;
static amun_model *network;

static void setup(void)
{
    memset(&allocator, 0, sizeof allocator);
    ctx = test_context(&allocator);
    data = digits(ctx);
    network = digits_model(ctx, data);
}

static void teardown(void)
{
    amun_model_unref(network);
    amun_dataset_unref(data);
    amun_context_unref(ctx);
    ck_assert_int_eq(atomic_load(&allocator.live_blocks), 0);
    ck_assert_int_eq(atomic_load(&allocator.wrong), 0);
}

#endif
