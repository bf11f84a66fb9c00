"""What all parts of the binding share, in one place to import from. Nothing in it knows an
algorithm or a default value."""
from ._arrays import View, as_array, indices_of, output, pointer, vector
from ._call import Call, ProgressLike
from ._errors import ERRORS, AmunError, InvalidArgumentError, ShapeError, check, text
from ._handle import Context, Handle, context_of
from ._lib import ffi, lib
from ._struct import NESTED, Options, PathLike, Result, enum_value, path_bytes

__all__ = ["AmunError", "Call", "Context", "ERRORS", "Handle", "InvalidArgumentError", "NESTED",
           "Options", "PathLike", "ProgressLike", "Result", "ShapeError", "View", "as_array",
           "check", "context_of", "enum_value", "ffi", "indices_of", "lib", "output",
           "path_bytes", "pointer", "text", "vector"]
