"""Finds and loads the shared library. What it offers is in _cdef.py."""
from __future__ import annotations

import os
import pathlib
import subprocess
from typing import Any, Iterator, Optional, Tuple

from ._cdef import CDEF
from ._ffi import ffi


def _major_minor(text: str) -> Tuple[int, int]:
    """The interface that _cdef.py was written for."""
    numbers = dict(line.split()[1:] for line in text.splitlines()
                   if line.startswith("#define AMUN_ABI_"))
    return int(numbers["AMUN_ABI_MAJOR"]), int(numbers["AMUN_ABI_MINOR"])


def _pkg_config() -> str:
    """The folder of the library that pkg-config calls amun; an OSError says why there is none."""
    try:
        told = subprocess.run([os.environ.get("PKG_CONFIG", "pkg-config"), "--variable=libdir",
                               "amun"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise OSError("cannot be run: %s" % error) from None
    folder = told.stdout.strip()
    if told.returncode != 0 or not folder:
        raise OSError("knows no package amun")
    return folder


def _candidates(major: int) -> Iterator[Tuple[str, str]]:
    """(path or name, where it comes from), in the order in which they are tried."""
    soname = "libamun.so.%d" % major
    chosen = os.environ.get("AMUN_LIBRARY")
    if chosen:
        yield chosen, "AMUN_LIBRARY"
        return
    beside = pathlib.Path(__file__).resolve().parent / soname
    yield str(beside), "beside this package"
    yield soname, "the dynamic linker's search path"
    try:
        yield os.path.join(_pkg_config(), soname), "pkg-config"
    except OSError as error:
        yield "", "pkg-config %s" % error


def _refusal(library: Any, major: int, minor: int) -> Optional[str]:
    """Why this library does not fit, or None."""
    try:
        running = library.amun_abi_version()
    except (AttributeError, ffi.error):
        return "is not libamun: it has no amun_abi_version"
    if running >> 16 != major or (running & 0xffff) < minor:
        return "has binary interface %d.%d, but %d.%d or a later %d.x is needed" % (
            running >> 16, running & 0xffff, major, minor, major)
    return None


def load() -> Any:
    """The library, opened; an ImportError lists all that was tried."""
    major, minor = _major_minor(CDEF)
    tried = []
    for name, origin in _candidates(major):
        if not name:
            tried.append(origin)
            continue
        if origin == "AMUN_LIBRARY" and not os.path.isabs(name):
            tried.append("%s (%s): must be an absolute path" % (name, origin))
            continue
        if origin == "beside this package" and not os.path.exists(name):
            tried.append("%s (%s): no such file" % (name, origin))
            continue
        try:
            library = ffi.dlopen(name)
        except OSError as error:
            tried.append("%s (%s): %s" % (name, origin, error))
            continue
        refusal = _refusal(library, major, minor)
        if refusal is None:
            return library
        tried.append("%s (%s): %s" % (name, origin, refusal))
    raise ImportError("the shared library of amun was not found. Tried:\n  " + "\n  ".join(tried)
                      + "\nSet AMUN_LIBRARY to the full path of libamun.so.%d." % major)


lib = load()
