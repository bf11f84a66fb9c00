"""Long calls: progress, bars, exceptions, Ctrl-C."""
from __future__ import annotations

import math
import sys
import threading
from typing import Any, Callable, Optional, Tuple, Union

from ._errors import check, text
from ._lib import ffi
from ._options import CallOptions
from ._results import Progress

ProgressLike = Union[None, bool, Callable[[Progress], Any],
                     Tuple[Union[bool, Callable[[Progress], Any]], int]]

_active = threading.local()  # .call: the innermost long call of this thread


def _on_error(_kind: Any, value: Any, traceback: Any) -> None:
    """An exception on its way out of the callback: kept until the library has returned."""
    _active.call.error = value.with_traceback(traceback)


@ffi.callback("amun_progress_fn", error=1, onerror=_on_error)
def _on_progress(progress: Any, _user_data: Any) -> int:
    call = _active.call
    if call.error is not None:
        return 1
    if call.progress is None:
        return 0  # being here is enough: Python raises KeyboardInterrupt on the way in or out
    seen = Progress(text(progress.phase), *(getattr(progress, name)
                                            for name in Progress._fields[1:]))
    return 1 if call.progress(seen) else 0


class Bars:
    """What progress=True shows: a bar of tqdm for each phase; without tqdm, lines on the standard
    error stream."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._phase: Optional[str] = None
        try:
            from tqdm.auto import tqdm
            self._new = tqdm
        except ImportError:
            self._new = _Lines

    def __call__(self, seen: Progress) -> None:
        if self._bar is None or seen.phase != self._phase or seen.step < self._bar.n:
            self.close()
            self._bar = self._new(total=seen.total or None, desc=seen.phase)
            self._phase = seen.phase
        self._bar.update(seen.step - self._bar.n)
        told = {name: getattr(seen, name) for name in ("loss", "metric")}
        told = {name: "%.4g" % value for name, value in told.items() if not math.isnan(value)}
        if told:
            self._bar.set_postfix(told, refresh=False)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """A stand-in for tqdm: a line per tenth."""

    def __init__(self, total: Optional[int], desc: Optional[str]) -> None:
        self.n, self._total, self._name, self._next = 0, total, desc, 0.0
        self._told = ""

    def set_postfix(self, told: Any, refresh: bool) -> None:
        """Figures for the next line."""
        self._told = ", ".join("%s %s" % pair for pair in told.items())

    def update(self, steps: int) -> None:
        """Counts, and writes a line if a tenth is full."""
        self.n += steps
        share = self.n / self._total if self._total else 0.0
        if share >= self._next:
            print("%s: %d%s %s" % (self._name, self.n, "/%d" % self._total if self._total else "",
                                   self._told), file=sys.stderr)
            self._next = math.floor(share * 10 + 1) / 10

    def close(self) -> None:
        """Nothing is open."""


class Call:
    """`Call(progress).run(lib.f, ...)`. An exception raised by the progress function,
    KeyboardInterrupt included, stops the library and is raised by run().

    progress: a function of a Progress; true for bars; or (one of these, milliseconds between two
    calls), where the library's own interval does not suit."""

    def __init__(self, progress: ProgressLike = None) -> None:
        self._kept = CallOptions()
        if isinstance(progress, tuple):
            progress, self._kept.min_interval_ms = progress
        if progress is not None and not isinstance(progress, bool) and not callable(progress):
            raise TypeError("progress: %r is not callable" % (progress,))
        self._bars = Bars() if progress is True else None
        self.progress = self._bars or (None if isinstance(progress, bool) else progress)
        self.error: Optional[BaseException] = None
        self.options = self._kept._struct
        self.options.progress = _on_progress

    def run(self, function: Any, *args: Any) -> None:
        """Calls `function` with `args` and the call options, and raises what went wrong."""
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
            if self._bars is not None:
                self._bars.close()
