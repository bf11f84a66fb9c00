/* arch_vgg.c - VGG (Simonyan and Zisserman 2015) in its CIFAR form with batch norm: one dense layer
 * instead of three. Named as in the pytorch-cifar repository. */
#include <stdio.h>

#include "nn/arch.h"

enum { VGG_STAGES = 5 };

/* 3x3 convolutions per stage; a 2x2 max pool ends each. */
typedef struct arch_vgg {
    int convolutions[VGG_STAGES];
} arch_vgg;

static const int64_t channels[VGG_STAGES] = {64, 128, 256, 512, 512};
static const arch_vgg vgg11 = {{1, 1, 2, 2, 2}};
static const arch_vgg vgg13 = {{2, 2, 2, 2, 2}};
static const arch_vgg vgg16 = {{2, 2, 3, 3, 3}};
static const arch_vgg vgg19 = {{2, 2, 4, 4, 4}};

static void build_vgg(amun__arch_net *net, const void *table)
{
    const arch_vgg *form = table;
    int at = 0; /* place in the list of modules: each convolution, norm, ReLU and pool has one */
    amun__arch_need_size(net, (int64_t)1 << VGG_STAGES, "its pools halve them to 1 x 1");
    for (int stage = 0; stage < VGG_STAGES; stage++) {
        for (int i = 0; i < form->convolutions[stage]; i++) {
            amun__arch_name conv, norm;
            (void)snprintf(conv.text, sizeof conv.text, "features.%d", at);
            (void)snprintf(norm.text, sizeof norm.text, "features.%d", at + 1);
            amun__arch_conv(net, conv.text, channels[stage], 3, 1, 1);
            amun__arch_batchnorm(net, norm.text);
            amun__arch_relu(net);
            at += 3;
        }
        amun__arch_pool(net, 2, 2, false);
        at++;
    }
    amun__arch_flatten(net);
    amun__arch_linear(net, "classifier", net->opts->classes);
}

const amun__arch_entry amun__arch_vggs[] = {
    {"vgg11", build_vgg, &vgg11}, {"vgg13", build_vgg, &vgg13}, {"vgg16", build_vgg, &vgg16},
    {"vgg19", build_vgg, &vgg19}, {NULL, NULL, NULL},
};
