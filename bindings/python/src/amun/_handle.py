"""Handles of the library, and the context that they are made in."""
from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Union

from ._enums import LogLevel
from ._errors import check, text
from ._lib import ffi, lib
from ._options import ContextOptions
from ._results import MemoryStats
from ._struct import Result, enum_value

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._fields import ContextFields


class Handle:
    """Owns one reference. close(), `with`, garbage collection and the end of the process give it
    back, once. Handles may be closed in any order: the library counts."""
    _c_name: str  # "amun_model"
    _pointer: Any
    _context: Any
    _finalizer: Any

    def _adopt(self, owned: Any, context: Optional["Context"] = None) -> None:
        """Takes the reference in `owned`, which is what `**out` pointed to."""
        # finalize and not ffi.gc: it runs before the modules are torn down at exit, while the
        # callbacks that a release may call are still there
        self._pointer = owned[0] if ffi.typeof(owned).item.kind == "pointer" else owned
        self._context = context
        self._finalizer = weakref.finalize(self, getattr(lib, self._c_name + "_unref"),
                                           self._pointer)

    @classmethod
    def _make(cls, context: Optional["Context"], function: Any, *args: Any) -> "Self":
        """The handle that `function(**out, ...)` creates."""
        out = ffi.new(cls._c_name + " **")
        check(function(out, *args))
        return cls._from(out, context)

    @classmethod
    def _from(cls, out: Any, context: Optional["Context"]) -> "Self":
        self = cls.__new__(cls)
        self._adopt(out, context)
        return self

    @property
    def _c(self) -> Any:
        """The pointer; after close() NULL, which the library refuses by name."""
        return self._pointer if self._finalizer.alive else ffi.NULL

    @property
    def context(self) -> "Context":
        """The context that it was made in."""
        return self._context

    def close(self) -> None:
        """Gives the reference back now; a second time does nothing."""
        self._finalizer()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


_MemoryStats = Result("amun_memory_stats", MemoryStats)
_log_functions: Dict[int, Any] = {}
_log_keys = itertools.count(1)


@ffi.callback("amun_log_fn")
def _on_log(level: int, message: Any, user_data: Any) -> None:
    function = _log_functions.get(int(ffi.cast("intptr_t", user_data)))
    if function is not None:
        function(LogLevel(level), text(message))


class Context(Handle):
    """Threads, memory accounting and log of everything made in it. Keyword arguments: the fields
    of ContextOptions. Any number of threads may use it."""
    _c_name = "amun_context"

    def __init__(self, **options: "Unpack[ContextFields]") -> None:
        out = ffi.new("amun_context **")
        kept = ContextOptions(**options)
        check(lib.amun_context_create(out, kept._struct))
        self._adopt(out)
        self._log_key = next(_log_keys)
        weakref.finalize(self, _log_functions.pop, self._log_key, None).atexit = False

    @property
    def context(self) -> "Context":
        """Itself."""
        return self

    @property
    def threads(self) -> int:
        """Threads of later calls; 0 when set: the runtime's choice."""
        return lib.amun_context_get_threads(self._c)

    @threads.setter
    def threads(self, count: int) -> None:
        check(lib.amun_context_set_threads(self._c, count))

    @property
    def memory(self) -> MemoryStats:
        """MemoryStats(current, peak, blocks) of what was allocated through this context."""
        stats = _MemoryStats.new()
        check(lib.amun_context_get_memory(self._c, stats))
        return _MemoryStats.read(stats)

    def set_memory_limit(self, limit: int) -> None:
        """In bytes; 0 removes the limit. Beyond it calls raise OutOfMemoryError."""
        check(lib.amun_context_set_memory_limit(self._c, limit))

    def set_log(self, function: Optional[Callable[[LogLevel, str], Any]],
                level: Union[LogLevel, str] = LogLevel.INFO) -> None:
        """function(level, message) for messages of `level` and more severe ones; None for
        silence."""
        _log_functions[self._log_key] = function
        check(lib.amun_context_set_log(self._c, _on_log if function else ffi.NULL,
                                       ffi.cast("void *", self._log_key),
                                       enum_value("amun_log_level", level)))


_default: Optional[Context] = None
_default_lock = threading.Lock()


def default_context() -> Context:
    """The context of calls that are given none; made at its first use."""
    global _default
    with _default_lock:
        if _default is None or not _default._finalizer.alive:
            _default = Context()
        return _default


def context_of(context: Optional[Context]) -> Context:
    """What an argument `context` stands for."""
    if context is None:
        return default_context()
    if not isinstance(context, Context):
        raise TypeError("context is %r, expected an amun.Context" % (context,))
    return context
