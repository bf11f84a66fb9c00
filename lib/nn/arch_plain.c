/* arch_plain.c - plain networks: rows of one convolution each, layers named conv1, bn1, conv2 ...
 */
#include <stdio.h>

#include "nn/arch.h"

#define ARCH_MAX_ROWS 8

/* One row: 3x3 convolution, batch norm (or bias), ReLU, max pool 2x2. */
typedef struct arch_row {
    int64_t channels; /* 0 ends the table */
    bool pool;
    bool pool_early; /* pool between convolution and batch norm: cheaper to train, not foldable */
} arch_row;

typedef enum arch_head {
    ARCH_HEAD_AVERAGE = 1, /* mean over what is left */
    ARCH_HEAD_MAX,         /* maximum over what is left */
    ARCH_HEAD_FLAT         /* everything that is left */
} arch_head;

typedef struct arch_plain {
    arch_row rows[ARCH_MAX_ROWS];
    bool batchnorm; /* else biases */
    arch_head head;
    int64_t hidden; /* width of a hidden dense layer; 0: none */
    amun__padding padding;
    double logit_scale; /* 0: none. Tames the loss under large steps (as in ResNet-9 recipes). */
} arch_plain;

/* For CPUs: all but the first convolution are 3x3, stride 1, with channels in multiples of 32, so
 * that Winograd F(4x4, 3x3) takes them. At 32x32: 105 million multiply-adds per image. */
static const arch_plain convnet = {
    .rows =
        {
            {.channels = 32},
            {.channels = 64, .pool = true, .pool_early = true},
            {.channels = 64},
            {.channels = 192, .pool = true, .pool_early = true},
            {.channels = 192},
            {.channels = 192, .pool = true, .pool_early = true},
            {.channels = 192},
        },
    .batchnorm = true,
    .head = ARCH_HEAD_MAX,
    .logit_scale = 0.125,
};

static const arch_plain simple_conv = {
    .rows = {{.channels = 32, .pool = true}, {.channels = 64, .pool = true}},
    .head = ARCH_HEAD_FLAT,
    .hidden = 128,
};

/* For images of about 8x8. */
static const arch_plain digits = {
    .rows = {{.channels = 32}, {.channels = 64, .pool = true}, {.channels = 64}},
    .batchnorm = true,
    .head = ARCH_HEAD_AVERAGE,
};

/* One convolution and one dense layer, for MNIST (arXiv 2402.16017). */
static const arch_plain simple_conv_reflect = {
    .rows = {{.channels = 64}},
    .batchnorm = true,
    .padding = AMUN__PADDING_REFLECT,
    .head = ARCH_HEAD_FLAT,
};

static void plain_row(amun__arch_net *net, const arch_plain *form, int index)
{
    const arch_row *row = &form->rows[index];
    amun__arch_name conv_name, bn_name;
    (void)snprintf(conv_name.text, sizeof conv_name.text, "conv%d", index + 1);
    (void)snprintf(bn_name.text, sizeof bn_name.text, "bn%d", index + 1);
    amun__arch_conv(net, conv_name.text, row->channels, 3, 1, form->batchnorm ? 0 : 1);
    if (row->pool && row->pool_early) {
        amun__arch_pool(net, 2, 2, false);
    }
    if (form->batchnorm) {
        amun__arch_batchnorm(net, bn_name.text);
    }
    amun__arch_relu(net);
    if (row->pool && !row->pool_early) {
        amun__arch_pool(net, 2, 2, false);
    }
}

static void build_plain(amun__arch_net *net, const void *table)
{
    const arch_plain *form = table;
    int64_t shrink = 1;
    for (int i = 0; i < ARCH_MAX_ROWS && form->rows[i].channels > 0; i++) {
        shrink *= form->rows[i].pool ? 2 : 1;
    }
    net->padding = form->padding;
    amun__arch_need_size(net, shrink, "its pools halve them to 1 x 1");
    for (int i = 0; i < ARCH_MAX_ROWS && form->rows[i].channels > 0; i++) {
        plain_row(net, form, i);
    }
    if (form->head == ARCH_HEAD_AVERAGE) {
        amun__arch_global_pool(net);
    } else if (form->head == ARCH_HEAD_MAX) {
        amun__arch_pool(net, net->opts->height / shrink, net->opts->width / shrink, false);
    }
    amun__arch_flatten(net);
    if (form->hidden > 0) {
        amun__arch_linear(net, "fc1", form->hidden);
        amun__arch_relu(net);
    }
    amun__arch_linear(net, form->hidden > 0 ? "fc2" : "fc", net->opts->classes);
    if (form->logit_scale > 0.0) {
        amun__arch_scale(net, form->logit_scale);
    }
}

const amun__arch_entry amun__arch_plains[] = {
    {"convnet", build_plain, &convnet},
    {"simple_conv", build_plain, &simple_conv},
    {"simple_conv_reflect", build_plain, &simple_conv_reflect},
    {"digits", build_plain, &digits},
    {NULL, NULL, NULL},
};
