/* arch.c - the named architectures: tables, and three builders over the public graph functions. */
#include <stdio.h>

#include "nn/graph.h"

/* A network under construction. The first failure sticks; later calls then do nothing, so the
 * builders below read like the networks they describe. */
typedef struct arch_net {
    amun_graph *graph;
    amun_node at; /* the node that the next layer reads */
    amun_status status;
    const char *arch;
    const amun_model_options *opts;
} arch_net;

typedef struct arch_name {
    char text[64];
} arch_name;

static arch_name join(const char *prefix, const char *suffix)
{
    arch_name name;
    (void)snprintf(name.text, sizeof name.text, "%.30s.%.30s", prefix, suffix);
    return name;
}

/* ---- layers --------------------------------------------------------------------------------- */

static void conv(arch_net *net, const char *name, int64_t channels, int64_t kernel, int64_t stride,
                 int32_t bias)
{
    amun_conv2d_options opts;
    if (net->status == AMUN_OK) {
        net->status = amun_conv2d_options_init(&opts, sizeof opts);
    }
    if (net->status == AMUN_OK) {
        opts.channels = channels;
        opts.kernel_h = opts.kernel_w = kernel;
        opts.stride_h = opts.stride_w = stride;
        opts.pad_h = opts.pad_w = kernel / 2;
        opts.bias = bias;
        net->status = amun_graph_conv2d(&net->at, net->graph, net->at, name, &opts);
    }
}

static void batchnorm(arch_net *net, const char *name)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_batchnorm(&net->at, net->graph, net->at, name, 0.0, 0.0);
    }
}

static void relu(arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_relu(&net->at, net->graph, net->at);
    }
}

static void add(arch_net *net, amun_node other)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_add(&net->at, net->graph, net->at, other);
    }
}

static void scale(arch_net *net, double factor)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_scale(&net->at, net->graph, net->at, factor);
    }
}

/* kernel = stride, no padding; a rest at the right and bottom edge is dropped, as in PyTorch. */
static void pool(arch_net *net, int64_t kernel_h, int64_t kernel_w, bool average)
{
    amun_pool_options opts;
    if (net->status == AMUN_OK) {
        net->status = amun_pool_options_init(&opts, sizeof opts);
    }
    if (net->status == AMUN_OK) {
        opts.kernel_h = opts.stride_h = kernel_h;
        opts.kernel_w = opts.stride_w = kernel_w;
        net->status = average ? amun_graph_avg_pool(&net->at, net->graph, net->at, &opts)
                              : amun_graph_max_pool(&net->at, net->graph, net->at, &opts);
    }
}

static void global_pool(arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_global_pool(&net->at, net->graph, net->at);
    }
}

static void flatten(arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_flatten(&net->at, net->graph, net->at);
    }
}

static void linear(arch_net *net, const char *name, int64_t features)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_linear(&net->at, net->graph, net->at, name, features, 1);
    }
}

/* Images must have at least this many rows and columns; why: what needs them. */
static void need_size(arch_net *net, int64_t least, const char *why)
{
    const amun_model_options *o = net->opts;
    if (net->status == AMUN_OK && (o->height < least || o->width < least)) {
        net->status = amun__fail(AMUN_ERROR_SHAPE,
                                 "%s needs images of at least %lld x %lld (%s), not %lld x %lld",
                                 net->arch, (long long)least, (long long)least, why,
                                 (long long)o->height, (long long)o->width);
    }
}

/* ---- residual networks ---------------------------------------------------------------------- */

#define ARCH_MAX_STAGES 4

/* He et al. 2016 in their CIFAR form: a 3x3 stem at full size, basic blocks, stride 2 at the start
 * of every stage but the first, projection (1x1 convolution + batch norm) where shapes change. */
typedef struct arch_resnet {
    int64_t blocks; /* per stage */
    int64_t stages;
    int64_t channels[ARCH_MAX_STAGES]; /* the stem has channels[0] */
    bool halve;   /* projection blocks: (F(x) + shortcut) / 2 before the ReLU (arXiv 2503.00917) */
    int64_t pool; /* average pool before the classifier; 0: over all that is left */
} arch_resnet;

static const arch_resnet resnet18_author = {2, 4, {64, 128, 256, 512}, true, 4};
static const arch_resnet resnet18_standard = {2, 4, {64, 128, 256, 512}, false, 0};
static const arch_resnet resnet8 = {1, 3, {16, 32, 64, 0}, false, 0};
static const arch_resnet resnet20 = {3, 3, {16, 32, 64, 0}, false, 0};

static void basic_block(arch_net *net, const char *name, int64_t channels, int64_t stride,
                        bool project, bool halve)
{
    amun_node input = net->at;
    conv(net, join(name, "conv1").text, channels, 3, stride, 0);
    batchnorm(net, join(name, "bn1").text);
    relu(net);
    conv(net, join(name, "conv2").text, channels, 3, 1, 0);
    batchnorm(net, join(name, "bn2").text);
    amun_node shortcut = input;
    if (project) {
        amun_node branch = net->at;
        net->at = input;
        conv(net, join(name, "downsample.0").text, channels, 1, stride, 0);
        batchnorm(net, join(name, "downsample.1").text);
        shortcut = net->at;
        net->at = branch;
    }
    add(net, shortcut);
    if (project && halve) {
        scale(net, 0.5);
    }
    relu(net);
}

static void build_resnet(arch_net *net, const void *table)
{
    const arch_resnet *form = table;
    int64_t shrink = (int64_t)1 << (form->stages - 1);
    if (form->pool > 0) {
        /* each stride-2 stage leaves ceil(size / 2) */
        need_size(net, shrink * (form->pool - 1) + 1, "a 4 x 4 average pool ends it");
    }
    conv(net, "conv1", form->channels[0], 3, 1, 0);
    batchnorm(net, "bn1");
    relu(net);
    for (int64_t stage = 0; stage < form->stages; stage++) {
        for (int64_t block = 0; block < form->blocks; block++) {
            arch_name name;
            (void)snprintf(name.text, sizeof name.text, "layer%d.%d", (int)stage + 1, (int)block);
            bool first = block == 0 && stage > 0; /* so the channels change as well */
            basic_block(net, name.text, form->channels[stage], first ? 2 : 1, first, form->halve);
        }
    }
    if (form->pool > 0) {
        pool(net, form->pool, form->pool, true);
    } else {
        global_pool(net);
    }
    flatten(net);
    linear(net, "fc", net->opts->classes);
}

/* ---- plain networks ------------------------------------------------------------------------- */

#define ARCH_MAX_ROWS 8

/* One row: 3x3 convolution, batch norm (or bias), ReLU, max pool 2x2; then `residual` pairs
 * x + relu(bn(conv(relu(bn(conv(x)))))) of the same width. */
typedef struct arch_row {
    int64_t channels; /* 0 ends the table */
    bool pool;
    bool pool_early; /* pool between convolution and batch norm: cheaper to train, not foldable */
    int64_t residual;
} arch_row;

typedef enum arch_head {
    ARCH_HEAD_AVERAGE = 1, /* mean over what is left */
    ARCH_HEAD_MAX,         /* maximum over what is left */
    ARCH_HEAD_FLAT         /* everything that is left */
} arch_head;

typedef struct arch_plain {
    arch_row rows[ARCH_MAX_ROWS];
    bool batchnorm; /* else biases */
    bool numbered;  /* layers named conv1, bn1, conv2 ...; else stage0.conv, stage0.bn ... */
    arch_head head;
    int64_t hidden;     /* width of a hidden dense layer; 0: none */
    double logit_scale; /* 0: none. Tames the loss under large steps (as in ResNet-9 recipes). */
} arch_plain;

/* For CPUs: all but the first convolution are 3x3, stride 1, with channels in multiples of 16, so
 * that Winograd F(4x4, 3x3) takes them. At 32x32: 76 million multiply-adds per image. */
static const arch_plain convnet = {
    .rows =
        {
            {.channels = 32},
            {.channels = 64, .pool = true},
            {.channels = 128, .pool = true, .residual = 1},
            {.channels = 256, .pool = true},
        },
    .batchnorm = true,
    .head = ARCH_HEAD_MAX,
};

static const arch_plain simple_conv = {
    .rows = {{.channels = 32, .pool = true}, {.channels = 64, .pool = true}},
    .numbered = true,
    .head = ARCH_HEAD_FLAT,
    .hidden = 128,
};

/* For images of about 8x8. */
static const arch_plain digits = {
    .rows = {{.channels = 32}, {.channels = 64, .pool = true}, {.channels = 64}},
    .batchnorm = true,
    .numbered = true,
    .head = ARCH_HEAD_AVERAGE,
};

static void conv_unit(arch_net *net, const arch_plain *form, const char *conv_name,
                      const char *bn_name, const arch_row *row, bool pooled)
{
    conv(net, conv_name, row->channels, 3, 1, form->batchnorm ? 0 : 1);
    if (pooled && row->pool_early) {
        pool(net, 2, 2, false);
    }
    if (form->batchnorm) {
        batchnorm(net, bn_name);
    }
    relu(net);
    if (pooled && !row->pool_early) {
        pool(net, 2, 2, false);
    }
}

static void plain_row(arch_net *net, const arch_plain *form, int index)
{
    const arch_row *row = &form->rows[index];
    arch_name stage, conv_name, bn_name;
    (void)snprintf(stage.text, sizeof stage.text, "stage%d", index);
    if (form->numbered) {
        (void)snprintf(conv_name.text, sizeof conv_name.text, "conv%d", index + 1);
        (void)snprintf(bn_name.text, sizeof bn_name.text, "bn%d", index + 1);
    } else {
        conv_name = join(stage.text, "conv");
        bn_name = join(stage.text, "bn");
    }
    conv_unit(net, form, conv_name.text, bn_name.text, row, row->pool);
    for (int64_t pair = 0; pair < row->residual; pair++) {
        arch_name block;
        (void)snprintf(block.text, sizeof block.text, "stage%d.res%d", index, (int)pair);
        amun_node input = net->at;
        conv_unit(net, form, join(block.text, "conv1").text, join(block.text, "bn1").text, row,
                  false);
        conv_unit(net, form, join(block.text, "conv2").text, join(block.text, "bn2").text, row,
                  false);
        add(net, input);
    }
}

static void build_plain(arch_net *net, const void *table)
{
    const arch_plain *form = table;
    int64_t shrink = 1;
    for (int i = 0; i < ARCH_MAX_ROWS && form->rows[i].channels > 0; i++) {
        shrink *= form->rows[i].pool ? 2 : 1;
    }
    need_size(net, shrink, "its pools halve them to 1 x 1");
    for (int i = 0; i < ARCH_MAX_ROWS && form->rows[i].channels > 0; i++) {
        plain_row(net, form, i);
    }
    if (form->head == ARCH_HEAD_AVERAGE) {
        global_pool(net);
    } else if (form->head == ARCH_HEAD_MAX) {
        pool(net, net->opts->height / shrink, net->opts->width / shrink, false);
    }
    flatten(net);
    if (form->hidden > 0) {
        linear(net, "fc1", form->hidden);
        relu(net);
    }
    linear(net, form->hidden > 0 ? "fc2" : "fc", net->opts->classes);
    if (form->logit_scale > 0.0) {
        scale(net, form->logit_scale);
    }
}

/* ---- names ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*build)(arch_net *net, const void *table);
    const void *table;
} architectures[] = {
    {"resnet18", build_resnet, &resnet18_author},
    {"resnet18-standard", build_resnet, &resnet18_standard},
    {"resnet8", build_resnet, &resnet8},
    {"resnet20", build_resnet, &resnet20},
    {"convnet", build_plain, &convnet},
    {"simple_conv", build_plain, &simple_conv},
    {"digits", build_plain, &digits},
};
enum { ARCH_COUNT = sizeof architectures / sizeof architectures[0] };

static amun_status unknown_name(const char *arch)
{
    char names[256] = "";
    size_t used = 0;
    for (int i = 0; i < ARCH_COUNT; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                         architectures[i].name);
        used += n > 0 ? (size_t)n : 0;
        if (used >= sizeof names) {
            break;
        }
    }
    return amun__fail(AMUN_ERROR_NOT_FOUND, "no architecture is called \"%.64s\"; there are %s",
                      arch, names);
}

amun_status amun__arch_build(amun_graph **out, amun_context *ctx, const char *arch,
                             const amun_model_options *opts)
{
    *out = NULL;
    if (arch == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "arch is NULL");
    }
    int found = 0;
    while (found < ARCH_COUNT && strcmp(architectures[found].name, arch) != 0) {
        found++;
    }
    if (found == ARCH_COUNT) {
        return unknown_name(arch);
    }
    arch_net net = {.arch = arch, .opts = opts};
    net.status = amun_graph_create(&net.graph, ctx, opts->channels, opts->height, opts->width);
    if (net.status == AMUN_OK) {
        architectures[found].build(&net, architectures[found].table);
    }
    if (net.status != AMUN_OK) {
        amun_graph_unref(net.graph);
        return net.status;
    }
    *out = net.graph;
    return AMUN_OK;
}
