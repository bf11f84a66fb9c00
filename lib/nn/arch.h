/* arch.h - inside the named architectures: a network under construction and the layers that the
 * tables of arch_*.c are made of. */
#ifndef AMUN__ARCH_H
#define AMUN__ARCH_H

#include "nn/graph.h"

/* The first failure sticks; later calls then do nothing, so that builders read like the networks
 * they describe. */
typedef struct amun__arch_net {
    amun_graph *graph;
    amun_node at; /* the node that the next layer reads */
    amun_status status;
    const char *arch;
    const amun_model_options *opts;
    bool bare;             /* batch norms are left out, with nothing in their place */
    amun__padding padding; /* of the convolutions */
} amun__arch_net;

typedef struct amun__arch_name {
    char text[64];
} amun__arch_name;

/* "prefix.suffix" */
amun__arch_name amun__arch_join(const char *prefix, const char *suffix);

/* Each layer reads net->at and moves it on. Convolutions keep the size: padding kernel / 2. */
void amun__arch_conv(amun__arch_net *net, const char *name, int64_t channels, int64_t kernel,
                     int64_t stride, int32_t bias);
void amun__arch_batchnorm(amun__arch_net *net, const char *name);
void amun__arch_relu(amun__arch_net *net);
void amun__arch_add(amun__arch_net *net, amun_node other);
void amun__arch_scale(amun__arch_net *net, double factor);
/* kernel = stride, no padding; a rest at the right and bottom edge is dropped, as in PyTorch. */
void amun__arch_pool(amun__arch_net *net, int64_t kernel_h, int64_t kernel_w, bool average);
void amun__arch_global_pool(amun__arch_net *net);
void amun__arch_concat(amun__arch_net *net, const amun_node *parts, int32_t count);
void amun__arch_flatten(amun__arch_net *net);
void amun__arch_linear(amun__arch_net *net, const char *name, int64_t features);
/* Images must have at least this many rows and columns; why: what needs them. */
void amun__arch_need_size(amun__arch_net *net, int64_t least, const char *why);
/* Channels of net->at; 0 after a failure. */
int64_t amun__arch_channels(const amun__arch_net *net);

/* Basic block `name` of He et al. 2016, with a projection called name.shortcut.0 and .1 where
 * shapes change; halve: (F(x) + projection) / 2 there. */
void amun__arch_basic_block(amun__arch_net *net, const char *name, const char *shortcut,
                            int64_t channels, int64_t stride, bool halve);

typedef struct amun__arch_entry {
    const char *name; /* NULL ends a list */
    void (*build)(amun__arch_net *net, const void *table);
    const void *table;
} amun__arch_entry;

extern const amun__arch_entry amun__arch_resnets[]; /* arch_resnet.c */
extern const amun__arch_entry amun__arch_plains[];  /* arch_plain.c */
extern const amun__arch_entry amun__arch_vggs[];    /* arch_vgg.c */
extern const amun__arch_entry amun__arch_deep[];    /* arch_deep.c: DenseNet and DLA */

#endif
