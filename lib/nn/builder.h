/* builder.h - between graph.c and nodes.c: how a node is appended. */
#ifndef AMUN__BUILDER_H
#define AMUN__BUILDER_H

#include "nn/graph.h"

#define AMUN__GRAPH_MAX_EXTENT 65536

/* Common start of every builder call. */
amun_status amun__graph_begin(amun_node *out, amun_graph *graph, const amun_node *srcs,
                              int32_t count, amun__node **node);

amun_status amun__graph_commit(amun_node *out, amun_graph *graph, amun__node *node);

/* Commits a node that was filled with `status` OK; otherwise frees what it owns, with the
 * parameters added since `params_before`, and the graph is as it was. */
amun_status amun__graph_finish(amun_node *out, amun_graph *graph, amun__node *node,
                               int32_t params_before, amun_status status);

amun_status amun__graph_name(amun_graph *graph, amun__node *node, const char *name);

amun_status amun__graph_add_param(amun_graph *graph, int32_t *index, const amun__node *node,
                                  const char *suffix, int32_t trainable, int32_t ndim,
                                  const int64_t *shape);

amun_status amun__graph_check_extent(int64_t value, int64_t low, int64_t high, const char *what);

#endif
