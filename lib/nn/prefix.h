/* prefix.h - a model of the first layers of another: for the features at one of its nodes. Private.
 */
#ifndef AMUN__PREFIX_H
#define AMUN__PREFIX_H

#include "nn/nn.h"

/* A model whose row of logits is the output of `node`, flattened: that node and all that it depends
 * on. Its values are copies: amun__prefix_update() before use. SHAPE if the output has fewer than 2
 * values. */
amun_status amun__prefix_create(amun_model **out, const amun_model *model, int32_t node);
/* Values and running statistics of `model`, from which `prefix` was made. */
void amun__prefix_update(amun_model *prefix, const amun_model *model);

/* A model of the same layers whose last one, a linear layer, has `extra` more outputs, of new
 * initial values of `seed`; all other values are copies. Caller holds begin_read or begin_write.
 * UNSUPPORTED if the network does not end in a linear layer, with or without a constant factor. */
amun_status amun__widen_create(amun_model **out, const amun_model *model, int64_t extra,
                               uint64_t seed);
/* Values of `wide`, without those of the extra outputs, into the model that it was made from. */
void amun__widen_return(amun_model *model, const amun_model *wide);

/* The dense layer that makes the logits, before constant factors and flattening; -1: there is none.
 */
int32_t amun__prefix_last(const amun_model *model);
/* Nodes whose outputs are features, the last first: the inputs of the last dense layer, then what
 * the first layer of each later stage reads. A stage is a run of convolutions whose maps are of one
 * size, or a dense layer; the image itself is no feature unless the last layer reads it. The first
 * `capacity` of them go into `nodes` (nullable with 0); returns how many there are, 0 without a
 * last dense layer. */
size_t amun__prefix_stages(const amun_model *model, int32_t *nodes, size_t capacity);
/* amun__prefix_create() of the node `stage` places from the last of amun__prefix_stages(); of a
 * map, the mean of each channel. UNSUPPORTED without a last dense layer, INVALID_ARGUMENT beyond
 * the first stage. */
amun_status amun__prefix_stage(amun_model **out, const amun_model *model, int32_t stage);

/* Nodes that a ReLU reads and that are convolutions, or batch norms of one, with or without a pool
 * in between: what is there before the ReLU. The first `capacity` of them go into `nodes` (nullable
 * with 0); returns how many there are. */
size_t amun__prefix_candidates(const amun_model *model, int32_t *nodes, size_t capacity);

#endif
