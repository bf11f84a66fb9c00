"""An exception for each status of the library."""
from __future__ import annotations

import re
from typing import Any, Dict, Optional, Type

from ._cdef import ENUMS
from ._lib import ffi, lib


class AmunError(Exception):
    """A call failed. `status` is the library's number; the text is its message."""
    status: Optional[int] = None


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


ERRORS: Dict[int, Type[AmunError]] = {}  # status: its class
for _name, _status in ENUMS["amun_status"].items():
    if _status:
        _class = globals()[_name[len("ERROR_"):].title().replace("_", "") + "Error"]
        _class.status = _status
        ERRORS[_status] = _class


def text(pointer: Any) -> str:
    """A C string as text."""
    return ffi.string(pointer).decode("utf-8", "replace")


def _dtype_name(match: Any) -> str:
    """The library tells element types by number; users of Python know them by name."""
    names = {value: name for name, value in ENUMS["amun_dtype"].items()}
    return "dtype %s" % names.get(int(match[1]), match[1])


def check(status: int) -> None:
    """Raises what belongs to a status other than OK."""
    if status != lib.AMUN_OK:
        kind = ERRORS.get(status, AmunError)
        told = text(lib.amun_last_error_message()) or text(lib.amun_status_string(status))
        error = kind(re.sub(r"\bdtype (\d+)\b", _dtype_name, told))
        error.status = status
        raise error
