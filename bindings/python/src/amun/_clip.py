"""Holding the spectral norms of a model's layers to a target."""
from __future__ import annotations

from typing import TYPE_CHECKING

from ._base import Call, Handle, ProgressLike, Result, check, ffi, lib
from ._options import ClipOptions
from ._results import ClipResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._fields import ClipFields
    from ._nets import Model

_ClipResult = Result("amun_clip_result", ClipResult)


class Clipper(Handle):
    """The layers of a model that are held to a norm, with the vectors that make a second clip
    cheap. Keyword arguments: the fields of ClipOptions. Keeps its model. One thread at a time. For
    training with a clip pass `clip` to train()."""
    _c_name = "amun_clipper"

    def __init__(self, model: Model, **options: Unpack[ClipFields]) -> None:
        out = ffi.new("amun_clipper **")
        kept = ClipOptions(**options)
        check(lib.amun_clipper_create(out, model._c, kept._struct))
        self._adopt(out, model.context)

    def run(self, progress: ProgressLike = None) -> ClipResult:
        """Clips all layers now; returns a ClipResult."""
        result = _ClipResult.new()
        Call(progress).run(lib.amun_clipper_run, result, self._c)
        return _ClipResult.read(result)

    def step(self) -> ClipResult:
        """One step of the schedule, before the forward pass of a training loop of your own; returns
        the ClipResult of this step."""
        result = _ClipResult.new()
        check(lib.amun_clipper_step(result, self._c))
        return _ClipResult.read(result)
