"""Holding the spectral norms of a model's layers to a target."""
from ._base import Call, Handle, Result, check, ffi, lib, options_class

ClipOptions = options_class("ClipOptions", "amun_clip_options")
ClipResult = Result("ClipResult", "amun_clip_result")


class Clipper(Handle):
    """The layers of a model that are held to a norm, with the vectors that make a second clip cheap.
    Keyword arguments: the fields of ClipOptions. Keeps its model. One thread at a time. For
    training with a clip pass `clip` to train()."""
    _c_name = "amun_clipper"

    def __init__(self, model, **options):
        out = ffi.new("amun_clipper **")
        kept = ClipOptions(**options)
        check(lib.amun_clipper_create(out, model._c, kept._struct))
        self._adopt(out, model.context)

    def run(self, progress=None):
        """Clips all layers now; returns a ClipResult."""
        result = ClipResult.new()
        Call(progress).run(lib.amun_clipper_run, result, self._c)
        return ClipResult.read(result)

    def step(self):
        """One step of the schedule, before the forward pass of a training loop of your own; returns
        the ClipResult of this step."""
        result = ClipResult.new()
        check(lib.amun_clipper_step(result, self._c))
        return ClipResult.read(result)
