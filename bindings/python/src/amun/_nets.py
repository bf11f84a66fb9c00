"""Networks: the graph builder, models, training, evaluation."""
from __future__ import annotations

from typing import (TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple,
                    Union)

import numpy as np

from ._base import (Call, Context, Handle, PathLike, ProgressLike, Result, ShapeError, View, check,
                    context_of, enum_value, ffi, indices_of, lib, output, path_bytes, text,
                    vector)
from ._enums import Mode
from ._errors import NotFoundError
from ._options import Conv2dOptions, ModelOptions, PoolOptions, TrainOptions
from ._results import TrainResult
from ._torch import load_state_dict, model_from_torch, to_state_dict

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

    from ._arrays import ArrayLike, Indices
    from ._data import Dataset
    from ._fields import Conv2dFields, ModelFields, PoolFields, TrainFields

_TrainResult = Result("amun_train_result", TrainResult)


class Evaluation(NamedTuple):
    """How well a model does on labelled images: accuracy in percent, mean cross-entropy in nats."""
    accuracy: float
    loss: float


def options_of(kind: Any, options: Any, fields: Mapping[str, Any]) -> Any:
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
    the number of an earlier one, `name` the PyTorch module path ("layer1.0.conv1") of its
    parameters. Immutable from the moment a model was made from it. One thread at a time."""
    _c_name = "amun_graph"
    input = 0  # the number of the image node

    def __init__(self, channels: int, height: int, width: int,
                 context: Optional[Context] = None) -> None:
        context = context_of(context)
        out = ffi.new("amun_graph **")
        check(lib.amun_graph_create(out, context._c, channels, height, width))
        self._adopt(out, context)

    def _append(self, function: Any, *args: Any) -> int:
        node = ffi.new("amun_node *")
        check(function(node, self._c, *args))
        return node[0]

    def conv2d(self, src: int, name: str, **options: Unpack[Conv2dFields]) -> int:
        """Convolution (cross-correlation), as PyTorch's Conv2d. `channels`, of the output, has no
        default; the other keyword arguments: fields of Conv2dOptions."""
        return self._append(lib.amun_graph_conv2d, src, path_bytes(name),
                            Conv2dOptions(**options)._struct)

    def linear(self, src: int, name: str, features: int, bias: bool) -> int:
        """Dense layer over a flat input, with `features` outputs."""
        return self._append(lib.amun_graph_linear, src, path_bytes(name), features, int(bias))

    def batchnorm(self, src: int, name: str, eps: float = 0, momentum: float = 0) -> int:
        """Batch normalisation over each channel. 0 stands for the library's default."""
        return self._append(lib.amun_graph_batchnorm, src, path_bytes(name), eps, momentum)

    def relu(self, src: int) -> int:
        """max(x, 0)."""
        return self._append(lib.amun_graph_relu, src)

    def add(self, a: int, b: int) -> int:
        """Sum of two nodes of the same shape (a residual connection)."""
        return self._append(lib.amun_graph_add, a, b)

    def scale(self, src: int, factor: float) -> int:
        """Multiplication by a constant."""
        return self._append(lib.amun_graph_scale, src, factor)

    def max_pool(self, src: int, **options: Unpack[PoolFields]) -> int:
        """Maximum of each window. Keyword arguments: fields of PoolOptions."""
        return self._append(lib.amun_graph_max_pool, src, PoolOptions(**options)._struct)

    def avg_pool(self, src: int, **options: Unpack[PoolFields]) -> int:
        """Average of each window; padding counts as zeros. Keyword arguments: fields of
        PoolOptions."""
        return self._append(lib.amun_graph_avg_pool, src, PoolOptions(**options)._struct)

    def global_pool(self, src: int) -> int:
        """Mean over height and width: [C, H, W] to [C, 1, 1]."""
        return self._append(lib.amun_graph_global_pool, src)

    def flatten(self, src: int) -> int:
        """[C, H, W] to [C * H * W, 1, 1], in that order."""
        return self._append(lib.amun_graph_flatten, src)

    def concat(self, srcs: Sequence[int]) -> int:
        """Concatenation along channels of 2 to 16 nodes of equal height and width."""
        srcs = list(srcs)
        return self._append(lib.amun_graph_concat, ffi.new("amun_node[]", srcs), len(srcs))

    def normalise(self, src: int, mean: ArrayLike, std: ArrayLike) -> int:
        """(x - mean) / std with one number per channel, inside the model, so that attacks keep
        working on pixels in [0, 1]."""
        mean, mean_c = vector(mean, np.float64, "mean")
        std, std_c = vector(std, np.float64, "std", mean.shape)
        return self._append(lib.amun_graph_normalise, src, mean_c, std_c)


def predict_by(function: Any, predictor: Any, images: Any, out: Any, progress: Any) -> Any:
    """What Model.predict and Ensemble.predict share."""
    images = View(images, what="images")
    if images.array.ndim != 4:
        raise ShapeError("images: expected [n, C, H, W], got %s" % list(images.array.shape))
    if out is None:
        out = np.empty((images.array.shape[0], predictor.classes), np.float32)
    logits = View(out, writable=True, what="out")
    Call(progress).run(function, predictor._c, images.struct, logits.struct)
    return out


def evaluate_by(function: Any, predictor: Any, data: Any, indices: Any,
                progress: Any) -> Evaluation:
    """What Model.evaluate and Ensemble.evaluate share."""
    kept, start, count = indices_of(indices, "indices")
    result = ffi.new("double[2]")
    Call(progress).run(function, result, result + 1, predictor._c, data._c, start, count)
    del kept
    return Evaluation(*result)


class Model(Handle):
    """A network with its weights. Make one with create(), from_graph(), from_torch() or load(). Any
    number of threads may read it (predict, evaluate, attack, audit), or one may change it."""
    _c_name = "amun_model"

    def __init__(self) -> None:
        raise TypeError("use Model.create, Model.from_graph, Model.from_torch or Model.load")

    @classmethod
    def create(cls, arch: str, context: Optional[Context] = None,
               **options: Unpack[ModelFields]) -> Model:
        """A named architecture (one of architectures()) with fresh weights. Keyword arguments:
        fields of ModelOptions."""
        context = context_of(context)
        return cls._make(context, lib.amun_model_create, context._c, path_bytes(arch),
                         ModelOptions(**options)._struct)

    @classmethod
    def from_graph(cls, graph: Graph, seed: int) -> Model:
        """A model of your own graph, whose last node is flat [classes]; `seed` of its weights."""
        return cls._make(graph.context, lib.amun_model_create_graph, graph.context._c, graph._c,
                         seed)

    @classmethod
    def from_torch(cls, module: torch.nn.Module, shape: Optional[Sequence[int]] = None,
                   arch: Optional[str] = None, compare: bool = True,
                   context: Optional[Context] = None) -> Model:
        """A model with the weights of a torch module, which must be one of the named architectures:
        its state_dict() has exactly their names and shapes (as in torchvision; a "module." prefix
        and pytorch-cifar's names are mapped).

        shape: (channels, height, width) of the images; default: channels of the first convolution,
        and 32 x 32. arch: its name; default: the first one that fits. compare: run the module, in
        evaluation mode, on random images and refuse an architecture whose logits differ, since
        different networks may have the same names. NotFoundError: none fits; it says why not."""
        return model_from_torch(cls, module, shape, arch, compare, context)

    @classmethod
    def load(cls, path: PathLike, context: Optional[Context] = None) -> Model:
        """A file that save() wrote, which names its architecture."""
        context = context_of(context)
        return cls._make(context, lib.amun_model_load, context._c, path_bytes(path))

    def clone(self) -> Model:
        """A new model with a copy of the weights."""
        return self._make(self.context, lib.amun_model_clone, self._c)

    def reset(self, seed: int) -> None:
        """Draws fresh initial weights."""
        check(lib.amun_model_reset(self._c, seed))

    def load_weights(self, path: PathLike) -> None:
        """Reads safetensors with PyTorch names into this model, all or nothing: FormatError names
        what is unknown or missing."""
        check(lib.amun_model_load_weights(self._c, path_bytes(path)))

    def save(self, path: PathLike) -> None:
        """Writes safetensors with PyTorch names, atomically."""
        check(lib.amun_model_save(self._c, path_bytes(path)))

    def to_state_dict(self, numpy: bool = False) -> Dict[str, Any]:
        """A copy of all parameters and statistics as torch tensors (numpy: as arrays) under
        PyTorch's names, num_batches_tracked among them: for a strict load_state_dict() of the same
        architecture in torch."""
        return to_state_dict(self, numpy)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The way back: tensors or arrays under PyTorch's names. Strict, and all or nothing:
        FormatError names what is unknown or missing, ShapeError what does not fit."""
        load_state_dict(self, state)

    @property
    def arch(self) -> str:
        """Name of the architecture, "custom" for an own graph."""
        return text(lib.amun_model_arch(self._c))

    @property
    def classes(self) -> int:
        """Number of logits."""
        return lib.amun_model_classes(self._c)

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(channels, height, width) of the input."""
        shape = ffi.new("int64_t[3]")
        check(lib.amun_model_shape(self._c, shape))
        return tuple(shape)

    @property
    def parameters(self) -> int:
        """Number of trainable scalars."""
        return lib.amun_model_parameters(self._c)

    def get_tensor(self, name: str, shape: Union[int, Sequence[int]],
                   out: Optional[ArrayLike] = None) -> np.ndarray:
        """One tensor by its PyTorch name, copied into a new array or into `out`, float32; `shape`
        (or a number of values) must fit."""
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        values, start = output(out, shape, np.float32)
        check(lib.amun_model_get_tensor(self._c, path_bytes(name), start,
                                        int(np.prod(shape, dtype=np.int64))))
        return values

    def set_tensor(self, name: str, values: ArrayLike) -> None:
        """Copies values into the tensor of that PyTorch name, which has as many."""
        values, start = vector(values, np.float32, name)
        check(lib.amun_model_set_tensor(self._c, path_bytes(name), start, values.size))

    def predict(self, images: ArrayLike, out: Optional[ArrayLike] = None,
                progress: ProgressLike = None) -> np.ndarray:
        """Logits [n, classes] of images [n, C, H, W] (float32 in [0, 1] or uint8, any strides) in
        evaluation mode; `out`: where to write them."""
        return predict_by(lib.amun_model_predict, self, images, out, progress)

    def evaluate(self, data: Dataset, indices: Indices = None,
                 progress: ProgressLike = None) -> Evaluation:
        """Evaluation(accuracy in percent, mean loss) on all of `data` or on `indices`."""
        return evaluate_by(lib.amun_model_evaluate, self, data, indices, progress)

    def estimate_memory(self, batch: int, mode: Union[Mode, str]) -> int:
        """Bytes that one plan needs; mode "infer", "attack", "train" or "tune"."""
        size = ffi.new("uint64_t *")
        check(lib.amun_model_estimate_memory(self._c, batch, enum_value("amun_mode", mode), size))
        return size[0]


def architectures() -> List[str]:
    """The names that Model.create() knows."""
    try:
        Model.create("?").close()
    except NotFoundError as error:  # whose message, as documented, lists them
        return str(error).partition("there are ")[2].split(", ")
    return []


def train(model: Model, data: Dataset, indices: Indices = None,
          options: Optional[TrainOptions] = None, progress: ProgressLike = None,
          **fields: Unpack[TrainFields]) -> TrainResult:
    """Trains `model` in place on all of `data` or on `indices`; returns a TrainResult.
    `options`: TrainOptions; or its fields as keyword arguments. Stopped by CancelledError, Ctrl-C
    or an exception of `progress`, the model keeps the weights of the last finished step; after any
    other failure it is as before."""
    options = options_of(TrainOptions, options, fields)
    kept, start, count = indices_of(indices, "indices")
    result = _TrainResult.new()
    Call(progress).run(lib.amun_train_run, result, model._c, data._c, start, count,
                       options._struct)
    del kept
    return _TrainResult.read(result)
