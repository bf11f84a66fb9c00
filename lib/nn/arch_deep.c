/* arch_deep.c - networks that concatenate: DenseNet (Huang et al. 2017) and DLA (Yu et al. 2018),
 * in their CIFAR forms. Named as in the pytorch-cifar repository. */
#include <stdio.h>

#include "nn/arch.h"

/* ---- DenseNet ------------------------------------------------------------------------------- */

enum { DENSE_BLOCKS = 4 };

typedef struct arch_dense {
    int layers[DENSE_BLOCKS];
    int64_t growth;
} arch_dense;

static const arch_dense densenet121 = {{6, 12, 24, 16}, 32};

/* conv3x3(relu(bn(conv1x1(relu(bn(x)))))), put before its own input. */
static void bottleneck(amun__arch_net *net, const char *name, int64_t growth)
{
    amun_node input = net->at;
    amun__arch_batchnorm(net, amun__arch_join(name, "bn1").text);
    amun__arch_relu(net);
    amun__arch_conv(net, amun__arch_join(name, "conv1").text, 4 * growth, 1, 1, 0);
    amun__arch_batchnorm(net, amun__arch_join(name, "bn2").text);
    amun__arch_relu(net);
    amun__arch_conv(net, amun__arch_join(name, "conv2").text, growth, 3, 1, 0);
    amun__arch_concat(net, (amun_node[2]){net->at, input}, 2);
}

/* Half the channels, half the size. */
static void transition(amun__arch_net *net, const char *name)
{
    int64_t channels = amun__arch_channels(net) / 2;
    amun__arch_batchnorm(net, amun__arch_join(name, "bn").text);
    amun__arch_relu(net);
    amun__arch_conv(net, amun__arch_join(name, "conv").text, channels, 1, 1, 0);
    amun__arch_pool(net, 2, 2, true);
}

static void build_dense(amun__arch_net *net, const void *table)
{
    const arch_dense *form = table;
    amun__arch_need_size(net, 32, "three halvings and a 4 x 4 average pool");
    amun__arch_conv(net, "conv1", 2 * form->growth, 3, 1, 0);
    for (int block = 0; block < DENSE_BLOCKS; block++) {
        amun__arch_name name;
        for (int layer = 0; layer < form->layers[block]; layer++) {
            (void)snprintf(name.text, sizeof name.text, "dense%d.%d", block + 1, layer);
            bottleneck(net, name.text, form->growth);
        }
        if (block + 1 < DENSE_BLOCKS) {
            (void)snprintf(name.text, sizeof name.text, "trans%d", block + 1);
            transition(net, name.text);
        }
    }
    amun__arch_batchnorm(net, "bn");
    amun__arch_relu(net);
    amun__arch_pool(net, 4, 4, true);
    amun__arch_flatten(net);
    amun__arch_linear(net, "linear", net->opts->classes);
}

/* ---- DLA ------------------------------------------------------------------------------------ */

typedef struct arch_dla {
    bool bare; /* no batch norms */
} arch_dla;

static const arch_dla dla = {false};
static const arch_dla dla_bare = {true};

/* 1x1 convolution over all that its tree made. */
static void root(amun__arch_net *net, const char *tree, const amun_node *parts, int32_t count,
                 int64_t channels)
{
    amun__arch_name name = amun__arch_join(tree, "root");
    amun__arch_concat(net, parts, count);
    amun__arch_conv(net, amun__arch_join(name.text, "conv").text, channels, 1, 1, 0);
    amun__arch_batchnorm(net, amun__arch_join(name.text, "bn").text);
    amun__arch_relu(net);
}

static amun_node tree_block(amun__arch_net *net, const char *tree, const char *block,
                            int64_t channels, int64_t stride)
{
    amun__arch_basic_block(net, amun__arch_join(tree, block).text, "shortcut", channels, stride,
                           false);
    return net->at;
}

/* Two blocks in a row and the root over both. */
static void tree_one(amun__arch_net *net, const char *name, int64_t channels, int64_t stride)
{
    amun_node parts[2];
    parts[0] = tree_block(net, name, "left_node", channels, stride);
    parts[1] = tree_block(net, name, "right_node", channels, 1);
    root(net, name, parts, 2, channels);
}

/* A tree of level 1, two blocks behind it, and one block beside them all. */
static void tree_two(amun__arch_net *net, const char *name, int64_t channels, int64_t stride)
{
    amun_node input = net->at, parts[4];
    parts[0] = tree_block(net, name, "prev_root", channels, stride);
    net->at = input;
    tree_one(net, amun__arch_join(name, "level_1").text, channels, stride);
    parts[1] = net->at;
    parts[2] = tree_block(net, name, "left_node", channels, 1);
    parts[3] = tree_block(net, name, "right_node", channels, 1);
    root(net, name, parts, 4, channels);
}

static void dla_conv(amun__arch_net *net, const char *name, int64_t channels)
{
    amun__arch_conv(net, amun__arch_join(name, "0").text, channels, 3, 1, 0);
    amun__arch_batchnorm(net, amun__arch_join(name, "1").text);
    amun__arch_relu(net);
}

static void build_dla(amun__arch_net *net, const void *table)
{
    const arch_dla *form = table;
    net->bare = form->bare;
    /* each of three strides leaves ceil(size / 2) */
    amun__arch_need_size(net, 8 * 3 + 1, "a 4 x 4 average pool ends it");
    dla_conv(net, "base", 16);
    dla_conv(net, "layer1", 16);
    dla_conv(net, "layer2", 32);
    tree_one(net, "layer3", 64, 1);
    tree_two(net, "layer4", 128, 2);
    tree_two(net, "layer5", 256, 2);
    tree_one(net, "layer6", 512, 2);
    amun__arch_pool(net, 4, 4, true);
    amun__arch_flatten(net);
    amun__arch_linear(net, "linear", net->opts->classes);
}

const amun__arch_entry amun__arch_deep[] = {
    {"densenet121", build_dense, &densenet121},
    {"dla", build_dla, &dla},
    {"dla-nobn", build_dla, &dla_bare},
    {NULL, NULL, NULL},
};
