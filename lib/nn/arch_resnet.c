/* arch_resnet.c - residual networks (He et al. 2016) in their CIFAR forms. */
#include <stdio.h>

#include "nn/arch.h"

#define ARCH_MAX_STAGES 4

/* A 3x3 stem at full size, basic blocks, stride 2 at the start of every stage but the first,
 * projection (1x1 convolution + batch norm) where shapes change. */
typedef struct arch_resnet {
    int64_t blocks; /* per stage */
    int64_t stages;
    int64_t channels[ARCH_MAX_STAGES]; /* the stem has channels[0] */
    bool halve;   /* projection blocks: (F(x) + shortcut) / 2 before the ReLU (arXiv 2503.00917) */
    int64_t pool; /* average pool before the classifier; 0: over all that is left */
    bool bare;    /* no batch norms at all */
    bool bare_stem; /* none after the stem (the networks of arXiv 2410.05136) */
} arch_resnet;

static const arch_resnet resnet18_author = {2, 4, {64, 128, 256, 512}, true, 4, false, false};
static const arch_resnet resnet18_lotos = {2, 4, {64, 128, 256, 512}, true, 4, false, true};
static const arch_resnet resnet18_bare = {2, 4, {64, 128, 256, 512}, true, 4, true, true};
static const arch_resnet resnet18_standard = {2, 4, {64, 128, 256, 512}, false, 0, false, false};
static const arch_resnet resnet8 = {1, 3, {16, 32, 64, 0}, false, 0, false, false};
static const arch_resnet resnet8_bare = {1, 3, {16, 32, 64, 0}, false, 0, true, true};
static const arch_resnet resnet20 = {3, 3, {16, 32, 64, 0}, false, 0, false, false};
static const arch_resnet resnet20_bare = {3, 3, {16, 32, 64, 0}, false, 0, true, true};

void amun__arch_basic_block(amun__arch_net *net, const char *name, const char *shortcut,
                            int64_t channels, int64_t stride, bool halve)
{
    amun_node skip = net->at;
    bool project = stride != 1 || amun__arch_channels(net) != channels;
    amun__arch_conv(net, amun__arch_join(name, "conv1").text, channels, 3, stride, 0);
    amun__arch_batchnorm(net, amun__arch_join(name, "bn1").text);
    amun__arch_relu(net);
    amun__arch_conv(net, amun__arch_join(name, "conv2").text, channels, 3, 1, 0);
    amun__arch_batchnorm(net, amun__arch_join(name, "bn2").text);
    if (project) {
        amun_node branch = net->at;
        amun__arch_name path = amun__arch_join(name, shortcut);
        net->at = skip;
        amun__arch_conv(net, amun__arch_join(path.text, "0").text, channels, 1, stride, 0);
        amun__arch_batchnorm(net, amun__arch_join(path.text, "1").text);
        skip = net->at;
        net->at = branch;
    }
    amun__arch_add(net, skip);
    if (project && halve) {
        amun__arch_scale(net, 0.5);
    }
    amun__arch_relu(net);
}

static void build_resnet(amun__arch_net *net, const void *table)
{
    const arch_resnet *form = table;
    int64_t shrink = (int64_t)1 << (form->stages - 1);
    if (form->pool > 0) {
        /* each stride-2 stage leaves ceil(size / 2) */
        amun__arch_need_size(net, shrink * (form->pool - 1) + 1, "a 4 x 4 average pool ends it");
    }
    amun__arch_conv(net, "conv1", form->channels[0], 3, 1, 0);
    net->bare = form->bare_stem;
    amun__arch_batchnorm(net, "bn1");
    net->bare = form->bare;
    amun__arch_relu(net);
    for (int64_t stage = 0; stage < form->stages; stage++) {
        for (int64_t block = 0; block < form->blocks; block++) {
            amun__arch_name name;
            (void)snprintf(name.text, sizeof name.text, "layer%d.%d", (int)stage + 1, (int)block);
            int64_t stride =
                block == 0 && stage > 0 ? 2 : 1; /* there the channels change as well */
            amun__arch_basic_block(net, name.text, "downsample", form->channels[stage], stride,
                                   form->halve);
        }
    }
    if (form->pool > 0) {
        amun__arch_pool(net, form->pool, form->pool, true);
    } else {
        amun__arch_global_pool(net);
    }
    amun__arch_flatten(net);
    amun__arch_linear(net, "fc", net->opts->classes);
}

const amun__arch_entry amun__arch_resnets[] = {
    {"resnet18", build_resnet, &resnet18_author},
    {"resnet18-standard", build_resnet, &resnet18_standard},
    {"resnet18-lotos", build_resnet, &resnet18_lotos},
    {"resnet18-nobn", build_resnet, &resnet18_bare},
    {"resnet8", build_resnet, &resnet8},
    {"resnet8-nobn", build_resnet, &resnet8_bare},
    {"resnet20", build_resnet, &resnet20},
    {"resnet20-nobn", build_resnet, &resnet20_bare},
    {NULL, NULL, NULL},
};
