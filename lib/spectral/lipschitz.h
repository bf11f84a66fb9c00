/* lipschitz.h - upper bound on the Lipschitz constant of a network (l2 to l2) from the norms of its
 * layers: products along chains, sums where branches meet. Private. */
#ifndef AMUN__LIPSCHITZ_H
#define AMUN__LIPSCHITZ_H

#include "nn/graph.h"

/* Whether the factor of this node has to come from outside: convolutions, dense layers, batch norms
 * and average pools whose windows overlap. */
bool amun__lipschitz_needs_norm(const amun_graph *graph, int32_t node);

/* By how much a node can stretch the difference of two inputs (each input alone, for sums and
 * concatenations). `norm` is the factor itself where one is needed, and ignored elsewhere. */
double amun__lipschitz_factor(const amun_graph *graph, int32_t node, double norm);

/* *bound: of the whole network, from its input (pixels, if it normalises them itself) to the logits
 * in evaluation mode. per_node (nullable): node_count values, from the input to each node.
 *
 * norms: node_count values, read where one is needed: an upper bound on the spectral norm of that
 * layer, e.g. sigma_upper; for a batch norm max |scale| / sqrt(running_var + eps). A convolution
 * that was measured together with its batch norm has that norm, and the batch norm 1. With lower
 * bounds as norms the result is an estimate and no bound. A value that is negative or not finite
 * gives INVALID_ARGUMENT.
 *
 * All arithmetic rounds upwards, so that the result holds exactly; it can overflow to infinity. */
amun_status amun__lipschitz_bound(double *bound, double *per_node, const amun_graph *graph,
                                  const double *norms);

#endif
