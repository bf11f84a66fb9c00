/* arch.c - the named architectures: their names, and the layers that the builders of arch_*.c use.
 */
#include <stdio.h>

#include "nn/arch.h"

/* ---- layers --------------------------------------------------------------------------------- */

amun__arch_name amun__arch_join(const char *prefix, const char *suffix)
{
    amun__arch_name name;
    (void)snprintf(name.text, sizeof name.text, "%.40s.%.20s", prefix, suffix);
    return name;
}

void amun__arch_conv(amun__arch_net *net, const char *name, int64_t channels, int64_t kernel,
                     int64_t stride, int32_t bias)
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
        opts.padding = (amun_padding)net->padding + AMUN_PADDING_ZERO;
        net->status = amun_graph_conv2d(&net->at, net->graph, net->at, name, &opts);
    }
}

void amun__arch_batchnorm(amun__arch_net *net, const char *name)
{
    if (net->status == AMUN_OK && !net->bare) {
        net->status = amun_graph_batchnorm(&net->at, net->graph, net->at, name, 0.0, 0.0);
    }
}

void amun__arch_relu(amun__arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_relu(&net->at, net->graph, net->at);
    }
}

void amun__arch_add(amun__arch_net *net, amun_node other)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_add(&net->at, net->graph, net->at, other);
    }
}

void amun__arch_scale(amun__arch_net *net, double factor)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_scale(&net->at, net->graph, net->at, factor);
    }
}

void amun__arch_pool(amun__arch_net *net, int64_t kernel_h, int64_t kernel_w, bool average)
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

void amun__arch_global_pool(amun__arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_global_pool(&net->at, net->graph, net->at);
    }
}

void amun__arch_concat(amun__arch_net *net, const amun_node *parts, int32_t count)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_concat(&net->at, net->graph, parts, count);
    }
}

void amun__arch_flatten(amun__arch_net *net)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_flatten(&net->at, net->graph, net->at);
    }
}

void amun__arch_linear(amun__arch_net *net, const char *name, int64_t features)
{
    if (net->status == AMUN_OK) {
        net->status = amun_graph_linear(&net->at, net->graph, net->at, name, features, 1);
    }
}

void amun__arch_need_size(amun__arch_net *net, int64_t least, const char *why)
{
    const amun_model_options *o = net->opts;
    if (net->status == AMUN_OK && (o->height < least || o->width < least)) {
        net->status = amun__fail(AMUN_ERROR_SHAPE,
                                 "%s needs images of at least %lld x %lld (%s), not %lld x %lld",
                                 net->arch, (long long)least, (long long)least, why,
                                 (long long)o->height, (long long)o->width);
    }
}

int64_t amun__arch_channels(const amun__arch_net *net)
{
    return net->status == AMUN_OK ? net->graph->nodes[net->at].channels : 0;
}

/* ---- names ---------------------------------------------------------------------------------- */

static const amun__arch_entry *const families[] = {amun__arch_resnets, amun__arch_plains,
                                                   amun__arch_vggs, amun__arch_deep};
enum { FAMILIES = sizeof families / sizeof families[0] };

static const amun__arch_entry *find_name(const char *arch)
{
    for (int f = 0; f < FAMILIES; f++) {
        for (const amun__arch_entry *entry = families[f]; entry->name != NULL; entry++) {
            if (strcmp(entry->name, arch) == 0) {
                return entry;
            }
        }
    }
    return NULL;
}

static amun_status unknown_name(const char *arch)
{
    char names[512] = "";
    size_t used = 0;
    for (int f = 0; f < FAMILIES; f++) {
        for (const amun__arch_entry *entry = families[f]; entry->name != NULL; entry++) {
            int n = snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "",
                             entry->name);
            used += n > 0 ? (size_t)n : 0;
            used = used < sizeof names ? used : sizeof names - 1; /* cut, like the message */
        }
    }
    return amun__fail(AMUN_ERROR_NOT_FOUND, "no architecture is called \"%.64s\"; there are %s",
                      arch, names);
}

/* The first node, where the options ask for it. */
static void normalise(amun__arch_net *net)
{
    enum { MOST_CHANNELS = 1024 }; /* of amun_model_options */
    const amun_model_options *o = net->opts;
    if (net->status == AMUN_OK && o->std == 0 && o->mean != 0) {
        net->status = amun__fail(AMUN_ERROR_INVALID_ARGUMENT,
                                 "amun_model_options.mean is %g, but std is 0: nothing is normalised",
                                 o->mean);
    }
    if (net->status != AMUN_OK || o->std == 0) {
        return;
    }
    double mean[MOST_CHANNELS], std[MOST_CHANNELS];
    for (int64_t c = 0; c < o->channels; c++) {
        mean[c] = o->mean;
        std[c] = o->std;
    }
    net->status = amun_graph_normalise(&net->at, net->graph, net->at, mean, std);
}

amun_status amun__arch_build(amun_graph **out, amun_context *ctx, const char *arch,
                             const amun_model_options *opts)
{
    *out = NULL;
    if (arch == NULL) {
        return amun__fail(AMUN_ERROR_INVALID_ARGUMENT, "arch is NULL");
    }
    const amun__arch_entry *entry = find_name(arch);
    if (entry == NULL) {
        return unknown_name(arch);
    }
    amun__arch_net net = {.arch = arch, .opts = opts};
    net.status = amun_graph_create(&net.graph, ctx, opts->channels, opts->height, opts->width);
    normalise(&net);
    if (net.status == AMUN_OK) {
        entry->build(&net, entry->table);
    }
    if (net.status != AMUN_OK) {
        amun_graph_unref(net.graph);
        return net.status;
    }
    *out = net.graph;
    return AMUN_OK;
}
