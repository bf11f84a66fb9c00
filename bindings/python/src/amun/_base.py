"""What all parts of the binding share: errors, enumerations, options, results, arrays, calls,
handles, the context. Nothing here knows an algorithm or a default value."""
import collections
import enum
import itertools
import os
import threading
import weakref

import numpy as np

from ._cdef import ENUM_FIELDS, ENUMS
from ._lib import ffi, lib

# ---- errors ------------------------------------------------------------------------------------


class AmunError(Exception):
    """A call failed. `status` is the library's number; the text is its message."""
    status = None


class InvalidArgumentError(AmunError, ValueError):
    """A value outside its documented range, NULL, or a wrong handle."""


class OutOfMemoryError(AmunError, MemoryError):
    """The allocator or the context's memory limit said no."""


class IoError(AmunError, OSError):
    """The operating system refused to read or write."""


class FormatError(AmunError, ValueError):
    """A file is malformed, truncated, or does not match."""


class UnsupportedError(AmunError, NotImplementedError):
    """Valid, but not in this build or version."""


class ShapeError(AmunError, ValueError):
    """Extents do not fit together."""


class StateError(AmunError, RuntimeError):
    """The handle is not in a state that allows the call."""


class BusyError(AmunError, RuntimeError):
    """Another thread is using the handle in a conflicting way."""


class CancelledError(AmunError):
    """The progress function returned something true."""


class NumericError(AmunError, ArithmeticError):
    """NaN, infinity, or no convergence."""


class BackendError(AmunError, RuntimeError):
    """oneDNN refused."""


class NotFoundError(AmunError, LookupError):
    """No such name, or no such file."""


class InternalError(AmunError, RuntimeError):
    """A bug in the library."""


ERRORS = {}
for _name, _status in ENUMS["amun_status"].items():
    if _status:
        _class = globals()[_name[len("ERROR_"):].title().replace("_", "") + "Error"]
        _class.status = _status
        ERRORS[_status] = _class


def text(pointer):
    return ffi.string(pointer).decode("utf-8", "replace")


def check(status):
    """Raises what belongs to a status other than OK."""
    if status != lib.AMUN_OK:
        kind = ERRORS.get(status, AmunError)
        error = kind(text(lib.amun_last_error_message()) or text(lib.amun_status_string(status)))
        error.status = status
        raise error


# ---- enumerations ------------------------------------------------------------------------------


def enumeration(name, c_name):
    return enum.IntEnum(name, ENUMS[c_name], module="amun")


Dtype = enumeration("Dtype", "amun_dtype")
LogLevel = enumeration("LogLevel", "amun_log_level")
Mode = enumeration("Mode", "amun_mode")
Norm = enumeration("Norm", "amun_norm")
Padding = enumeration("Padding", "amun_padding")
AttackLoss = enumeration("AttackLoss", "amun_attack_loss")
ConvChoice = enumeration("ConvChoice", "amun_conv_choice")
Clamp = enumeration("Clamp", "amun_clamp")
FailurePolicy = enumeration("FailurePolicy", "amun_failure_policy")
SearchMethod = enumeration("SearchMethod", "amun_search_method")
AttackOutcome = enumeration("AttackOutcome", "amun_attack_outcome")
Schedule = enumeration("Schedule", "amun_schedule")
Optimiser = enumeration("Optimiser", "amun_optimiser")
EnsembleMethod = enumeration("EnsembleMethod", "amun_ensemble_method")
LotosMatch = enumeration("LotosMatch", "amun_lotos_match")
Signal = enumeration("Signal", "amun_signal")
RmiaMode = enumeration("RmiaMode", "amun_rmia_mode")
RmiaPopulation = enumeration("RmiaPopulation", "amun_rmia_population")
SpectrumMethod = enumeration("SpectrumMethod", "amun_spectrum_method")
ClipMethod = enumeration("ClipMethod", "amun_clip_method")
ClipBatchnorm = enumeration("ClipBatchnorm", "amun_clip_batchnorm")
LayerKind = enumeration("LayerKind", "amun_layer_kind")
BoundKind = enumeration("BoundKind", "amun_bound_kind")
UnlearnMethod = enumeration("UnlearnMethod", "amun_unlearn_method")
TrwScore = enumeration("TrwScore", "amun_trw_score")
TrwControl = enumeration("TrwControl", "amun_trw_control")
Verdict = enumeration("Verdict", "amun_verdict")
SelectRule = enumeration("SelectRule", "amun_select_rule")


def enum_value(c_name, value):
    """A number, or a name in any case ("l2"), as the number."""
    if isinstance(value, str):
        names = ENUMS[c_name]
        if value.upper() not in names:
            raise InvalidArgumentError("%s: %r is none of %s" % (
                c_name, value, ", ".join(repr(name.lower()) for name in names)))
        return names[value.upper()]
    return int(value)


# ---- option and result structs -----------------------------------------------------------------


class Options:
    """One of the library's option structs, filled by its init function.

    Keyword arguments set fields; every field is an attribute. Fields of an enumeration take its
    members or their names as text; nested options take such an object or a dict."""
    _c_name = None  # "amun_train_options"
    _init = None    # name of the init function, where it is not <struct>_init

    def __init__(self, *init_args, **fields):
        self._struct = ffi.new(self._c_name + " *")
        self._kept = {}  # memory that fields point to
        init = getattr(lib, self._init or self._c_name + "_init")
        check(init(self._struct, ffi.sizeof(self._c_name), *init_args))
        for name, value in fields.items():
            setattr(self, name, value)

    @classmethod
    def _fields(cls):
        return {name: field.type for name, field in ffi.typeof(cls._c_name).fields
                if name != "struct_size" and not name.startswith("reserved")}

    def _type_of(self, name):
        fields = self._fields()
        if name not in fields:
            raise TypeError("%s has no field %r; it has %s" % (
                self._c_name, name, ", ".join(sorted(fields))))
        return fields[name]

    def __setattr__(self, name, value):
        if name.startswith("_"):
            return super().__setattr__(name, value)
        kind = self._type_of(name)
        enum_name = ENUM_FIELDS.get(self._c_name, {}).get(name)
        if kind.kind == "pointer":
            value = self._pointer(name, kind, value)
        elif enum_name:
            value = enum_value(enum_name, value)
        try:
            setattr(self._struct, name, value)
        except (TypeError, OverflowError) as error:
            raise type(error)("%s.%s: %s" % (self._c_name, name, error)) from None

    def _pointer(self, name, kind, value):
        """The address of a text or of nested options, which stay alive with this object."""
        nested = NESTED.get(kind.item.cname)
        if value is None:
            kept = ffi.NULL
        elif kind.item.cname == "char":
            kept = path_bytes(value)
        elif nested:
            options = value if isinstance(value, nested) else nested(**value)
            self._kept[name + "."] = options
            kept = options._struct
        else:
            raise TypeError("%s.%s cannot be set from Python" % (self._c_name, name))
        self._kept[name] = kept
        return kept

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            kind = self._type_of(name)
        except TypeError as error:
            raise AttributeError(str(error)) from None
        value = getattr(self._struct, name)
        if kind.kind != "pointer":
            return value
        if kind.item.cname == "char":
            return None if value == ffi.NULL else text(value)
        return self._kept.get(name + ".")

    def as_dict(self):
        """All fields, nested options included; an unset text is None."""
        values = {name: getattr(self, name) for name in self._fields()}
        return {name: value.as_dict() if isinstance(value, Options) else value
                for name, value in values.items()}

    def __dir__(self):
        return list(super().__dir__()) + list(self._fields())

    def __repr__(self):
        return "%s(%s)" % (type(self).__name__, ", ".join(
            "%s=%r" % (name, getattr(self, name)) for name in self._fields()))


NESTED = {}  # struct name: its class


def options_class(name, c_name, init=None):
    kind = type(name, (Options,), {"_c_name": c_name, "_init": init, "__module__": "amun",
                                   "__doc__": "Fields of %s; see the C header." % c_name})
    NESTED.setdefault(c_name, kind)
    return kind


class Result:
    """A named tuple for a result struct, with the way in and out of C."""

    def __init__(self, name, c_name):
        self.c_name = c_name
        self.fields = [field for field, _ in ffi.typeof(c_name).fields if field != "struct_size"]
        self.type = collections.namedtuple(name, self.fields, module="amun")
        self.type.__doc__ = "Fields of %s; see the C header." % c_name

    def new(self):
        struct = ffi.new(self.c_name + " *")
        struct.struct_size = ffi.sizeof(self.c_name)
        return struct

    def read(self, struct):
        return self.type(*(getattr(struct, field) for field in self.fields))

    def write(self, values):
        struct = self.new()
        for field, value in zip(self.fields, values):
            setattr(struct, field, value)
        return struct


# ---- texts and arrays --------------------------------------------------------------------------


def path_bytes(path):
    """A path (str, bytes or os.PathLike) or text as a C string, NULL for None."""
    if path is None:
        return ffi.NULL
    name = os.fsencode(path)
    if b"\0" in name:
        raise InvalidArgumentError("a NUL in %r" % path)
    return ffi.new("char[]", name)


DTYPES = {np.dtype(name): lib_name for name, lib_name in [
    ("=f4", Dtype.F32), ("=f8", Dtype.F64), ("=f2", Dtype.F16), ("=u1", Dtype.U8),
    ("=i4", Dtype.I32), ("=i8", Dtype.I64), ("?", Dtype.BOOL)]}


class View:
    """An amun_tensor_view of an array (NumPy, torch on the CPU, any buffer), without copying."""

    def __init__(self, source, writable=False, what="array"):
        array = source if isinstance(source, np.ndarray) else np.asarray(source)
        if writable and (array is not source and not np.shares_memory(array, np.asarray(source))
                         or not array.flags.writeable):
            raise TypeError("%s: needs an array that can be written" % what)
        if array.dtype not in DTYPES:
            raise TypeError("%s: elements of type %s are not supported" % (what, array.dtype))
        if array.ndim > lib.AMUN_MAX_NDIM:
            raise ShapeError("%s: %d dimensions, at most %d" % (what, array.ndim,
                                                                lib.AMUN_MAX_NDIM))
        if not array.flags.aligned:
            if writable:
                raise TypeError("%s: is not aligned to its element" % what)
            array = array.copy()
        self.array = array  # keeps the memory alive
        self.struct = ffi.new("amun_tensor_view *")
        self.struct.data = ffi.cast("void *", array.ctypes.data)
        self.struct.dtype = DTYPES[array.dtype]
        self.struct.ndim = array.ndim
        self.struct.flags = 0 if array.flags.writeable else lib.AMUN_VIEW_READONLY
        for axis in range(array.ndim):
            self.struct.shape[axis] = array.shape[axis]
            self.struct.strides[axis] = array.strides[axis]


def vector(values, dtype, what, shape=None):
    """A dense array of `dtype` and its C pointer. Copies only if it has to."""
    array = np.asarray(values)
    if np.dtype(dtype).kind in "iu" and array.size and array.dtype.kind not in "iu":
        raise TypeError("%s: expected whole numbers, got %s" % (what, array.dtype))
    array = np.ascontiguousarray(array, dtype=dtype)
    if shape is not None and array.shape != tuple(shape):
        raise ShapeError("%s: expected shape %s, got %s" % (what, list(shape), list(array.shape)))
    return array, pointer(array)


POINTERS = {np.dtype("f4"): "float *", np.dtype("f8"): "double *", np.dtype("i8"): "int64_t *",
            np.dtype("u1"): "uint8_t *"}


def pointer(array):
    return ffi.cast(POINTERS[array.dtype], array.ctypes.data)


def indices_of(values, what):
    """(array, pointer, count) of sample indices; None gives (None, NULL, 0)."""
    if values is None:
        return None, ffi.NULL, 0
    array, start = vector(values, np.int64, what)
    if array.ndim != 1:
        raise ShapeError("%s: expected one dimension, got %d" % (what, array.ndim))
    return array, start, array.size


# ---- long calls: progress, exceptions, Ctrl-C --------------------------------------------------

Progress = collections.namedtuple("Progress", "phase step total loss metric seconds", module="amun")
_active = threading.local()  # .call: the innermost long call of this thread


def _on_error(_kind, value, _traceback):
    """An exception on its way out of the callback: kept until the library has returned."""
    _active.call.error = value


@ffi.callback("amun_progress_fn", error=1, onerror=_on_error)
def _on_progress(progress, _user_data):
    call = _active.call
    if call.error is not None:
        return 1
    if call.progress is None:
        return 0  # being here is enough: Python raises KeyboardInterrupt on the way in or out
    seen = Progress(text(progress.phase), *(getattr(progress, name)
                                            for name in Progress._fields[1:]))
    return 1 if call.progress(seen) else 0


CallOptions = options_class("CallOptions", "amun_call_options")


class Call:
    """`with Call(progress) as call: check(lib.f(..., call.options))`. An exception raised by the
    progress function, KeyboardInterrupt included, stops the library and is raised by run()."""

    def __init__(self, progress=None):
        if progress is not None and not callable(progress):
            raise TypeError("progress: %r is not callable" % (progress,))
        self.progress, self.error = progress, None
        self._kept = CallOptions()
        self.options = self._kept._struct
        self.options.progress = _on_progress

    def run(self, function, *args):
        outer = getattr(_active, "call", None)
        _active.call = self
        try:
            status = function(*args, self.options)
            if self.error is not None:
                raise self.error
            check(status)
        finally:
            _active.call = outer
            self.error = None


# ---- handles -----------------------------------------------------------------------------------


class Handle:
    """Owns one reference. close(), `with`, garbage collection and the end of the process give it
    back, once. Handles may be closed in any order: the library counts."""
    _c_name = None  # "amun_model"

    def _adopt(self, owned, context=None):
        """Takes the reference in `owned`, which is what `**out` pointed to."""
        # finalize and not ffi.gc: it runs before the modules are torn down at exit, while the
        # callbacks that a release may call are still there
        self._pointer = owned[0] if ffi.typeof(owned).item.kind == "pointer" else owned
        self._context = context
        self._finalizer = weakref.finalize(self, getattr(lib, self._c_name + "_unref"),
                                           self._pointer)

    @classmethod
    def _make(cls, context, function, *args):
        """The handle that `function(**out, ...)` creates."""
        out = ffi.new(cls._c_name + " **")
        check(function(out, *args))
        return cls._from(out, context)

    @classmethod
    def _from(cls, out, context):
        self = cls.__new__(cls)
        self._adopt(out, context)
        return self

    @property
    def _c(self):
        """The pointer; after close() NULL, which the library refuses by name."""
        return self._pointer if self._finalizer.alive else ffi.NULL

    @property
    def context(self):
        return self._context

    def close(self):
        """Gives the reference back now."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


ContextOptions = options_class("ContextOptions", "amun_context_options")
MemoryStats = Result("MemoryStats", "amun_memory_stats")

_log_functions = {}
_log_keys = itertools.count(1)


@ffi.callback("amun_log_fn")
def _on_log(level, message, user_data):
    function = _log_functions.get(int(ffi.cast("intptr_t", user_data)))
    if function is not None:
        function(LogLevel(level), text(message))


class Context(Handle):
    """Threads, memory accounting and log of everything made in it. Keyword arguments: the fields
    of amun_context_options that are not function pointers."""
    _c_name = "amun_context"

    def __init__(self, **options):
        out = ffi.new("amun_context **")
        kept = ContextOptions(**options)
        check(lib.amun_context_create(out, kept._struct))
        self._adopt(out)
        self._log_key = next(_log_keys)
        weakref.finalize(self, _log_functions.pop, self._log_key, None).atexit = False

    @property
    def context(self):
        return self

    @property
    def threads(self):
        return lib.amun_context_get_threads(self._c)

    @threads.setter
    def threads(self, count):
        check(lib.amun_context_set_threads(self._c, count))

    @property
    def memory(self):
        """MemoryStats(current, peak, blocks)."""
        stats = MemoryStats.new()
        check(lib.amun_context_get_memory(self._c, stats))
        return MemoryStats.read(stats)

    def set_memory_limit(self, limit):
        """In bytes; 0 removes the limit."""
        check(lib.amun_context_set_memory_limit(self._c, limit))

    def set_log(self, function, level=LogLevel.INFO):
        """function(level, message); None for silence."""
        _log_functions[self._log_key] = function
        check(lib.amun_context_set_log(self._c, _on_log if function else ffi.NULL,
                                       ffi.cast("void *", self._log_key),
                                       enum_value("amun_log_level", level)))


_default = None
_default_lock = threading.Lock()


def default_context():
    """The context of calls that are given none; made at its first use."""
    global _default
    with _default_lock:
        if _default is None or not _default._finalizer.alive:
            _default = Context()
        return _default
