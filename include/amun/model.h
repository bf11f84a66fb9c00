/* amun/model.h - networks: graph builder, named architectures, weights, prediction. */
#ifndef AMUN_MODEL_H
#define AMUN_MODEL_H

#include "base.h"
#include "context.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- graph builder ------------------------------------------------------------------------------
 */

/** A network as a list of nodes in topological order. One thread at a time while it is built;
 *  immutable (adding a node gives STATE) from the moment a model was made from it. */
typedef struct amun_graph amun_graph;
/** Index of a node in its graph. Node 0 is the input. */
typedef int32_t amun_node;

/** What a convolution sees outside the image: PyTorch's padding_mode. 0 (unset) means zeros. */
typedef int32_t amun_padding;
enum {
    AMUN_PADDING_ZERO = 1,
    AMUN_PADDING_CIRCULAR = 2, /**< the other side; pad at most the image's extent */
    AMUN_PADDING_REFLECT = 3,  /**< mirrored at the outermost pixel; pad less than the extent */
    AMUN_PADDING_REPLICATE = 4 /**< the outermost pixel */
};

/** Geometry of a convolution: cross-correlation, as in PyTorch's Conv2d. @since 0.1 */
typedef struct amun_conv2d_options {
    size_t struct_size; /**< set by amun_conv2d_options_init() */
    int64_t channels;               /**< output channels, range [1, 65536]; must be set */
    int64_t kernel_h, kernel_w;     /**< default 3, range [1, 64] */
    int64_t stride_h, stride_w;     /**< default 1, range [1, 64] */
    int64_t pad_h, pad_w;           /**< padding on both sides, default 1, range [0, 64] */
    int64_t dilation_h, dilation_w; /**< default 1 (dense), range [1, 64] */
    int64_t groups;                 /**< default 1; must divide input and output channels */
    int32_t bias;                   /**< default 0 */
    amun_padding padding;           /**< default AMUN_PADDING_ZERO */
} amun_conv2d_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_conv2d_options_init(amun_conv2d_options *opts, size_t size);

/** Window of a pooling node. Output extents round down. @since 0.1 */
typedef struct amun_pool_options {
    size_t struct_size; /**< set by amun_pool_options_init() */
    int64_t kernel_h, kernel_w; /**< default 2, range [1, 1024] */
    int64_t stride_h, stride_w; /**< default 2, range [1, 1024] */
    int64_t pad_h, pad_w;       /**< default 0, at most kernel / 2 */
} amun_pool_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_pool_options_init(amun_pool_options *opts, size_t size);

/** New graph whose node 0 is an image [batch, channels, height, width] with pixels in [0, 1].
 *  [out] graph: one reference, NULL on failure; [in] channels, height, width: range [1, 65536].
 *  Statuses: INVALID_ARGUMENT, OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_graph_create(amun_graph **graph, amun_context *ctx, int64_t channels,
                                       int64_t height, int64_t width);
/** Adds a reference and returns `graph`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_graph *amun_graph_ref(amun_graph *graph);
/** Gives a reference back; the last one frees. NULL is fine. Models keep their graph alive. @since
 * 0.1 */
AMUN_API void amun_graph_unref(amun_graph *graph);

/* Each call below appends one node and stores its index in *node (-1 on failure). `src` names an
 * earlier node. `name` is the PyTorch module path ("layer1.0.conv1"), at most 200 bytes, unique in
 * the graph; the parameters are name.weight, name.bias and so on. Statuses: INVALID_ARGUMENT
 * (NULL, a node that does not exist, a value out of range, a name that is taken), SHAPE (extents do
 * not fit), STATE (a model was made from this graph), OUT_OF_MEMORY; a failed call leaves the graph
 * as it was. */

/** Convolution: [C, H, W] to [opts->channels, H', W'] with
 *  H' = floor((H + 2 pad - dilation (kernel - 1) - 1) / stride) + 1. Parameters: name.weight
 *  [channels, C / groups, kernel_h, kernel_w] and, if asked for, name.bias [channels].
 *  [in] opts not NULL, since `channels` has no default. @since 0.1 */
AMUN_API amun_status amun_graph_conv2d(amun_node *node, amun_graph *graph, amun_node src,
                                       const char *name, const amun_conv2d_options *opts);
/** Dense layer over a flat input: name.weight [features, in] and, if `bias` is 1, name.bias
 *  [features]. [in] features: range [1, 65536]; bias: 0 or 1. @since 0.1 */
AMUN_API amun_status amun_graph_linear(amun_node *node, amun_graph *graph, amun_node src,
                                       const char *name, int64_t features, int32_t bias);
/** Batch normalisation over each channel: name.weight, name.bias, name.running_mean,
 *  name.running_var, name.num_batches_tracked. Training uses the batch's mean and biased variance;
 *  everything else the running statistics, which move by `momentum` towards the batch's mean and
 *  unbiased variance. [in] eps: range [0, 1], 0 = default 1e-5; momentum: range [0, 1], 0 = default
 *  0.1. @since 0.1 */
AMUN_API amun_status amun_graph_batchnorm(amun_node *node, amun_graph *graph, amun_node src,
                                          const char *name, double eps, double momentum);
/** max(x, 0). Its gradient at 0 is 0. @since 0.1 */
AMUN_API amun_status amun_graph_relu(amun_node *node, amun_graph *graph, amun_node src);
/** Sum of two nodes of the same shape (a residual connection). @since 0.1 */
AMUN_API amun_status amun_graph_add(amun_node *node, amun_graph *graph, amun_node a, amun_node b);
/** Multiplication by a constant. [in] factor: finite, at most 1e30 in size. @since 0.1 */
AMUN_API amun_status amun_graph_scale(amun_node *node, amun_graph *graph, amun_node src,
                                      double factor);
/** Maximum of each window; padding never wins. [in] opts nullable. @since 0.1 */
AMUN_API amun_status amun_graph_max_pool(amun_node *node, amun_graph *graph, amun_node src,
                                         const amun_pool_options *opts);
/** Average of each window; padding counts as zeros (PyTorch's count_include_pad). [in] opts
 * nullable. @since 0.1 */
AMUN_API amun_status amun_graph_avg_pool(amun_node *node, amun_graph *graph, amun_node src,
                                         const amun_pool_options *opts);
/** Mean over height and width: [C, H, W] to [C, 1, 1]. @since 0.1 */
AMUN_API amun_status amun_graph_global_pool(amun_node *node, amun_graph *graph, amun_node src);
/** [C, H, W] to [C * H * W, 1, 1], in that order. @since 0.1 */
AMUN_API amun_status amun_graph_flatten(amun_node *node, amun_graph *graph, amun_node src);
/** Concatenation along channels of 2..16 nodes of equal height and width. [in] srcs: `count` nodes.
 * @since 0.1 */
AMUN_API amun_status amun_graph_concat(amun_node *node, amun_graph *graph, const amun_node *srcs,
                                       int32_t count);
/** (x - mean) / std per channel, inside the model, so that attacks keep working on pixels in
 *  [0, 1]. [in] mean, std: one entry per channel, finite, std in [1e-12, 1e12]; copied. @since 0.1
 */
AMUN_API amun_status amun_graph_normalise(amun_node *node, amun_graph *graph, amun_node src,
                                          const double *mean, const double *std);

/* ---- model
 * ---------------------------------------------------------------------------------------- */

/** A graph with its weights. Any number of const calls in parallel, or one writer alone: a
 *  conflict returns BUSY, it never waits. */
typedef struct amun_model amun_model;

/** Input, output and initial weights of a named architecture. @since 0.1 */
typedef struct amun_model_options {
    size_t struct_size; /**< set by amun_model_options_init() */
    int64_t classes;  /**< default 10, range [2, 65536] */
    int64_t channels; /**< default 3, range [1, 1024] */
    int64_t height;   /**< default 32, range [1, 4096] */
    int64_t width;    /**< default 32, range [1, 4096] */
    uint64_t seed;    /**< of the initial weights, default 0 */
    double mean;      /**< (x - mean) / std comes first, as amun_graph_normalise() does, here with the same
                           numbers for every channel; default 0, range [-1e12, 1e12] */
    double std;       /**< default 0: there is no such node, and mean must be 0; else range [1e-12, 1e12] */
} amun_model_options;
/** Fills `opts` with defaults. [out] opts not NULL; [in] size: pass sizeof *opts. @since 0.1 */
AMUN_API amun_status amun_model_options_init(amun_model_options *opts, size_t size);

/** A named architecture with fresh weights: "resnet18" (CIFAR form of arXiv 2503.00917 with halved
 *  projection blocks), "resnet18-standard", "resnet18-lotos" (arXiv 2410.05136: no batch norm after
 *  the stem), "resnet8", "resnet20", "convnet", "simple_conv", "simple_conv_reflect" (arXiv
 *  2402.16017), "digits", "vgg11", "vgg13", "vgg16", "vgg19", "densenet121", "dla"; and without
 * batch norm "resnet18-nobn", "resnet8-nobn", "resnet20-nobn", "dla-nobn". [out] model: one
 * reference, NULL on failure; [in] opts nullable. Statuses: INVALID_ARGUMENT, NOT_FOUND (the
 * message lists the names), SHAPE (images too small for the network), OUT_OF_MEMORY. @since 0.1 */
AMUN_API amun_status amun_model_create(amun_model **model, amun_context *ctx, const char *arch,
                                       const amun_model_options *opts);
/** A model of the user's own graph. Its last node must be flat [classes] with at least two
 *  classes, and every other node must be used (SHAPE otherwise); the graph takes no more nodes from
 *  then on. Several models can share a graph. @since 0.1 */
AMUN_API amun_status amun_model_create_graph(amun_model **model, amun_context *ctx,
                                             amun_graph *graph, uint64_t seed);
/** A new model of the same graph with a copy of the weights. @since 0.1 */
AMUN_API amun_status amun_model_clone(amun_model **model, const amun_model *source);
/** Adds a reference and returns `model`. NULL is fine. Any thread. @since 0.1 */
AMUN_API amun_model *amun_model_ref(amun_model *model);
/** Gives a reference back; the last one frees. NULL is fine. @since 0.1 */
AMUN_API void amun_model_unref(amun_model *model);

/** Draws fresh initial weights from `seed`: convolutions and linear layers U(-b, b) with
 *  b = 1 / sqrt(fan-in), batch norm 1 and 0, running mean 0 and variance 1. @since 0.1 */
AMUN_API amun_status amun_model_reset(amun_model *model, uint64_t seed);

/** Reads a safetensors file written by amun_model_save(), which names its architecture. @since 0.1
 */
AMUN_API amun_status amun_model_load(amun_model **model, amun_context *ctx, const char *path);
/** Reads weights (PyTorch names; a "module." prefix and the pytorch-cifar names "shortcut" and
 * "linear" are mapped) into an existing model: FORMAT names the first unknown or missing tensors, or
 * the file's mean and std where it and the model are of named architectures and differ in them, and
 * the model is unchanged. NaN or infinite values give NUMERIC. @since 0.1 */
AMUN_API amun_status amun_model_load_weights(amun_model *model, const char *path);
/** Writes weights as safetensors with PyTorch names, atomically. @since 0.1 */
AMUN_API amun_status amun_model_save(const amun_model *model, const char *path);

/** Architecture name, "custom" for own graphs. Borrowed. @since 0.1 */
AMUN_API const char *amun_model_arch(const amun_model *model);
/** Number of logits; 0 for NULL. @since 0.1 */
AMUN_API int64_t amun_model_classes(const amun_model *model);
/** Channels, height, width of the input. @since 0.1 */
AMUN_API amun_status amun_model_shape(const amun_model *model, int64_t shape[3]);
/** Number of trainable scalars. @since 0.1 */
AMUN_API size_t amun_model_parameters(const amun_model *model);
/** Copies one tensor by its PyTorch name ("fc.weight", "bn1.running_mean") out of the model, dense
 *  float32. [out] values: `count` floats, which must be the tensor's number. Statuses: NOT_FOUND,
 *  SHAPE, BUSY. @since 0.1 */
AMUN_API amun_status amun_model_get_tensor(const amun_model *model, const char *name, float *values,
                                           size_t count);
/** The same into the model. NaN, infinity or a negative running variance give NUMERIC. @since 0.1
 */
AMUN_API amun_status amun_model_set_tensor(amun_model *model, const char *name, const float *values,
                                           size_t count);

/** Logits in evaluation mode. [in] images [n, C, H, W], F32 in [0, 1] or U8 (read as value / 255),
 *  any strides, packed per batch; NaN and infinity give INVALID_ARGUMENT. [out] logits
 *  [n, classes] F32, writable, not overlapping. [in] call nullable. Statuses: INVALID_ARGUMENT,
 *  SHAPE, BUSY, CANCELLED, OUT_OF_MEMORY, BACKEND. @since 0.1 */
AMUN_API amun_status amun_model_predict(const amun_model *model, const amun_tensor_view *images,
                                        const amun_tensor_view *logits,
                                        const amun_call_options *call);
/** What a plan can do. */
typedef int32_t amun_mode;
enum {
    AMUN_MODE_INFER = 1,  /**< forward, batch norm folded into the convolutions */
    AMUN_MODE_ATTACK = 2, /**< and backward to the input */
    AMUN_MODE_TRAIN = 3,  /**< batch statistics, all gradients */
    AMUN_MODE_TUNE = 4    /**< running statistics, all gradients */
};
/** Bytes of the context that one compiled plan for `batch` images holds after its first run:
 *  activations, gradients, packed weights, scratch, its own lists. Outside are the model's values,
 *  what the caller of a method holds (images, logits, gradients of the parameters, the optimiser's
 *  state) and what oneDNN allocates by itself. In builds with oneDNN this call takes memory for the
 *  lists alone, and gives it back. Any thread.
 *  [in] model; [in] batch: range [1, 65536]; [out] bytes. @since 0.1 */
AMUN_API amun_status amun_model_estimate_memory(const amun_model *model, int64_t batch,
                                                amun_mode mode, uint64_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
