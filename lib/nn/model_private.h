/* model_private.h - the model handle, for the files that implement it. */
#ifndef AMUN__MODEL_PRIVATE_H
#define AMUN__MODEL_PRIVATE_H

#include <pthread.h>

#include "nn/graph.h"

/* Name of the architecture of models made from the caller's own graph. */
#define AMUN__MODEL_CUSTOM "custom"

struct amun_model {
    amun__object object;
    amun_graph *graph;
    char *arch;
    amun_model_options shape; /* of named architectures: what rebuilds the graph */
    amun__params params;
    _Atomic int32_t users; /* readers, or -1 for one writer */
    pthread_mutex_t lock;  /* of the free list */
    int32_t lock_ready;
    amun__plan *idle;
    float *wide; /* statistics of one wide batch norm, once there were some */
};

extern const amun__options_table amun__model_options_table;

/* A named architecture without initial values. */
amun_status amun__model_create_named(amun_model **out, amun_context *ctx, const char *arch,
                                     const amun_model_options *full);
/* *model = NULL; checks both. */
amun_status amun__model_check_out(amun_model **model, const void *ctx);

#endif
