"""Networks: the graph builder, models, training, evaluation."""
import collections

import numpy as np

from ._base import (Call, Handle, Result, ShapeError, View, check, default_context, enum_value,
                    ffi, indices_of, lib, options_class, path_bytes, pointer, text, vector)

Conv2dOptions = options_class("Conv2dOptions", "amun_conv2d_options")
PoolOptions = options_class("PoolOptions", "amun_pool_options")
ModelOptions = options_class("ModelOptions", "amun_model_options")
TrainOptions = options_class("TrainOptions", "amun_train_options")
TrainResult = Result("TrainResult", "amun_train_result")
Evaluation = collections.namedtuple("Evaluation", "accuracy loss", module="amun")


def options_of(kind, options, fields):
    """`options` (an object of `kind`, a dict or None) with the keyword arguments laid over it."""
    if options is None or isinstance(options, dict):
        return kind(**{**(options or {}), **fields})
    if not isinstance(options, kind):
        raise TypeError("options: expected %s, got %s" % (kind.__name__, type(options).__name__))
    if fields:
        raise TypeError("pass either options or single fields (%s)" % ", ".join(fields))
    return options


class Graph(Handle):
    """A network, built node by node. Each method appends a node and returns its number; `src` is
    the number of an earlier one. Options are keyword arguments (amun_conv2d_options,
    amun_pool_options)."""
    _c_name = "amun_graph"
    input = 0  # the number of the image node

    def __init__(self, channels, height, width, context=None):
        context = context or default_context()
        out = ffi.new("amun_graph **")
        check(lib.amun_graph_create(out, context._c, channels, height, width))
        self._adopt(out, context)

    def _append(self, function, *args):
        node = ffi.new("amun_node *")
        check(function(node, self._c, *args))
        return node[0]

    def conv2d(self, src, name, **options):
        return self._append(lib.amun_graph_conv2d, src, path_bytes(name),
                            Conv2dOptions(**options)._struct)

    def linear(self, src, name, features, bias):
        return self._append(lib.amun_graph_linear, src, path_bytes(name), features, int(bias))

    def batchnorm(self, src, name, eps=0, momentum=0):
        """0 stands for the library's default."""
        return self._append(lib.amun_graph_batchnorm, src, path_bytes(name), eps, momentum)

    def relu(self, src):
        return self._append(lib.amun_graph_relu, src)

    def add(self, a, b):
        return self._append(lib.amun_graph_add, a, b)

    def scale(self, src, factor):
        return self._append(lib.amun_graph_scale, src, factor)

    def max_pool(self, src, **options):
        return self._append(lib.amun_graph_max_pool, src, PoolOptions(**options)._struct)

    def avg_pool(self, src, **options):
        return self._append(lib.amun_graph_avg_pool, src, PoolOptions(**options)._struct)

    def global_pool(self, src):
        return self._append(lib.amun_graph_global_pool, src)

    def flatten(self, src):
        return self._append(lib.amun_graph_flatten, src)

    def concat(self, srcs):
        srcs = list(srcs)
        return self._append(lib.amun_graph_concat, ffi.new("amun_node[]", srcs), len(srcs))

    def normalise(self, src, mean, std):
        """(x - mean) / std with one number per channel."""
        mean, mean_c = vector(mean, np.float64, "mean")
        std, std_c = vector(std, np.float64, "std", mean.shape)
        return self._append(lib.amun_graph_normalise, src, mean_c, std_c)


def predict_by(function, predictor, images, out, progress):
    """What Model.predict and Ensemble.predict share."""
    images = View(images, what="images")
    if images.array.ndim != 4:
        raise ShapeError("images: expected [n, C, H, W], got %s" % list(images.array.shape))
    if out is None:
        out = np.empty((images.array.shape[0], predictor.classes), np.float32)
    logits = View(out, writable=True, what="out")
    Call(progress).run(function, predictor._c, images.struct, logits.struct)
    return out


def evaluate_by(function, predictor, data, indices, progress):
    """What Model.evaluate and Ensemble.evaluate share."""
    kept, start, count = indices_of(indices, "indices")
    result = ffi.new("double[2]")
    Call(progress).run(function, result, result + 1, predictor._c, data._c, start, count)
    del kept
    return Evaluation(*result)


class Model(Handle):
    """A network with its weights. Make one with create(), from_graph() or load(). Any number of
    threads may read it (predict, evaluate, attack, audit), or one may change it."""
    _c_name = "amun_model"

    def __init__(self):
        raise TypeError("use Model.create, Model.from_graph or Model.load")

    @classmethod
    def create(cls, arch, context=None, **options):
        """A named architecture with fresh weights; options: fields of amun_model_options."""
        context = context or default_context()
        return cls._make(context, lib.amun_model_create, context._c, path_bytes(arch),
                         ModelOptions(**options)._struct)

    @classmethod
    def from_graph(cls, graph, seed):
        """A model of your own graph, whose last node is flat [classes]; `seed` of its weights."""
        return cls._make(graph.context, lib.amun_model_create_graph, graph.context._c, graph._c,
                         seed)

    @classmethod
    def load(cls, path, context=None):
        """A file that save() wrote, which names its architecture."""
        context = context or default_context()
        return cls._make(context, lib.amun_model_load, context._c, path_bytes(path))

    def clone(self):
        """A new model with a copy of the weights."""
        return self._make(self.context, lib.amun_model_clone, self._c)

    def reset(self, seed):
        """Draws fresh initial weights."""
        check(lib.amun_model_reset(self._c, seed))

    def load_weights(self, path):
        """Reads safetensors with PyTorch names into this model."""
        check(lib.amun_model_load_weights(self._c, path_bytes(path)))

    def save(self, path):
        """Writes safetensors with PyTorch names, atomically."""
        check(lib.amun_model_save(self._c, path_bytes(path)))

    @property
    def arch(self):
        name = lib.amun_model_arch(self._c)
        return None if name == ffi.NULL else text(name)

    @property
    def classes(self):
        return lib.amun_model_classes(self._c)

    @property
    def shape(self):
        """(channels, height, width) of the input."""
        shape = ffi.new("int64_t[3]")
        check(lib.amun_model_shape(self._c, shape))
        return tuple(shape)

    @property
    def parameters(self):
        """Number of trainable scalars."""
        return lib.amun_model_parameters(self._c)

    def get_tensor(self, name, shape):
        """A copy of one tensor by its PyTorch name; `shape` (or a number of values) must fit."""
        values = np.empty(shape, np.float32)
        check(lib.amun_model_get_tensor(self._c, path_bytes(name), pointer(values), values.size))
        return values

    def set_tensor(self, name, values):
        values, start = vector(values, np.float32, name)
        check(lib.amun_model_set_tensor(self._c, path_bytes(name), start, values.size))

    def predict(self, images, out=None, progress=None):
        """Logits [n, classes] of images [n, C, H, W] in evaluation mode; `out`: where to write
        them."""
        return predict_by(lib.amun_model_predict, self, images, out, progress)

    def evaluate(self, data, indices=None, progress=None):
        """Evaluation(accuracy in percent, mean loss) on all of `data` or on `indices`."""
        return evaluate_by(lib.amun_model_evaluate, self, data, indices, progress)

    def estimate_memory(self, batch, mode):
        """Bytes that one plan needs; mode "infer", "attack" or "train"."""
        size = ffi.new("uint64_t *")
        check(lib.amun_model_estimate_memory(self._c, batch, enum_value("amun_mode", mode), size))
        return size[0]


def train(model, data, indices=None, options=None, progress=None, **fields):
    """Trains `model` in place on all of `data` or on `indices`; returns a TrainResult.
    `options`: TrainOptions; or its fields as keyword arguments."""
    options = options_of(TrainOptions, options, fields)
    kept, start, count = indices_of(indices, "indices")
    result = TrainResult.new()
    Call(progress).run(lib.amun_train_run, result, model._c, data._c, start, count,
                       options._struct)
    del kept
    return TrainResult.read(result)
