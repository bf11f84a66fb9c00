#!/usr/bin/env python3
"""Who may include whom. A room sees itself and the rooms before it; `nn` and `data` do not know
each other; each third-party library is known to one file."""
import re

from common import files_below, read, run, strip_comments

ROOMS = ["core", "io", "nn", "data", "spectral", "train", "attack", "ensemble", "unlearn", "mia"]
STRANGERS = {("nn", "data"), ("data", "nn")}

# public header -> the room that it belongs to
PUBLIC = {"version": "core", "base": "core", "context": "core", "tensor": "core",
          "graph": "nn", "model": "nn", "dataset": "data", "train": "train", "attack": "attack",
          "search": "attack",
          "spectral": "spectral", "clip": "spectral", "ensemble": "ensemble",
          "unlearn": "unlearn", "rivals": "unlearn", "trw": "unlearn", "mia": "mia",
          "select": "mia", "audit": "mia", "probe": "mia"}
PUBLIC_SYSTEM = {"stddef.h", "stdint.h"}

# (pattern of the header, files that may include it, name)
KEEPERS = [
    (r"(oneapi/)?dnnl.*", {"lib/nn/dnnl_impl.h", "lib/nn/dnnl_shim.h"}, "oneDNN"),
    (r"nn/dnnl_shim\.h", {"lib/nn/dnnl_impl.h"}, "the oneDNN shim"),
    (r"(libsvm/)?svm\.h", {"lib/mia/svc.c"}, "libsvm"),
    (r"(openblas/)?(f77blas|cblas|lapacke?|openblas_config).*\.h", {"lib/core/linalg.c"}, "BLAS"),
    (r"omp\.h", {"lib/core/threads.c"}, "OpenMP's functions"),
    (r"(torch|caffe2|fftw).*", set(), "a library that we do not use"),
    (r"amun/amun\.h", set(), "the umbrella header"),
]


def includes(path):
    text = strip_comments(read(path))
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def may_see(room, other):
    if other == room:
        return True
    return ROOMS.index(other) < ROOMS.index(room) and (room, other) not in STRANGERS


def target_room(name):
    """The room of an included file of ours; None for others."""
    first, _, rest = name.partition("/")
    if first == "amun":
        return PUBLIC.get(rest.removesuffix(".h"))
    return first if rest and first in ROOMS else None


def check_private(path, name):
    room = name.split("/")[1]
    if room not in ROOMS:
        yield f"{name}: lib/{room} is not a room"
        return
    for line, quote, header in includes(path):
        where = f"{name}:{line}"
        for pattern, allowed, what in KEEPERS:
            if re.fullmatch(pattern, header) and name not in allowed:
                yield f"{where}: only {', '.join(sorted(allowed)) or 'nobody'} may include {what}"
        other = target_room(header)
        if other is None:
            if quote == '"' and header != "amun_build_facts.h":
                yield f"{where}: \"{header}\" names no room; write \"room/file.h\""
        elif not may_see(room, other):
            yield f"{where}: {room} may not include {header} of {other}"
        elif header.endswith("_private.h") and other != room:
            yield f"{where}: {header} is private to {other}"


def check_public(path, name):
    stem = path.stem
    if stem == "amun":
        return
    if stem not in PUBLIC:
        yield f"{name}: belongs to no room (see PUBLIC in check_layers.py)"
        return
    for line, quote, header in includes(path):
        where = f"{name}:{line}"
        other = PUBLIC.get(header.removesuffix(".h"))
        if quote == "<":
            if header not in PUBLIC_SYSTEM:
                yield f"{where}: public headers include only {', '.join(sorted(PUBLIC_SYSTEM))}"
        elif other is None:
            yield f"{where}: \"{header}\" is not a public header"
        elif not may_see(PUBLIC[stem], other):
            yield f"{where}: {stem}.h of {PUBLIC[stem]} may not include {header} of {other}"


def check(root):
    problems = []
    for path, name in files_below(root, ["lib"], {".c", ".h"}):
        problems += check_private(path, name)
    for path, name in files_below(root, ["include"], {".h"}):
        problems += check_public(path, name)
    return problems


CLEAN = {
    "lib/core/core.h": '#include <math.h>\n#include "amun/base.h"\n',
    "lib/nn/dnnl_impl.h": '#include <oneapi/dnnl/dnnl.h>\n#include "core/core.h"\n',
    "lib/mia/svc.c": '#include <libsvm/svm.h>\n#include "amun/mia.h"\n#include "train/train.h"\n',
    "lib/train/loop.c": '#include "nn/nn.h"\n#include "data/data.h"\n',
    "include/amun/base.h": '#include <stddef.h>\n#include "version.h"\n',
    "include/amun/train.h": '#include "model.h"\n#include "dataset.h"\n',
    "include/amun/amun.h": '#include "train.h"\n',
}
SEEDS = [
    ("core sees io", {"lib/core/a.c": '#include "io/io.h"\n'}, "core may not include io/io.h"),
    ("data sees nn", {"lib/data/a.c": '#include "nn/nn.h"\n'}, "data may not include nn"),
    ("nn sees data", {"lib/nn/a.h": '#include "amun/dataset.h"\n'}, "nn may not include"),
    ("train sees attack", {"lib/train/a.c": '#  include "attack/attack.h"\n'}, "train may not"),
    ("dnnl elsewhere", {"lib/nn/plan.c": "#include <oneapi/dnnl/dnnl.h>\n"}, "oneDNN"),
    ("old dnnl path", {"lib/nn/plan.c": "#include <dnnl.h>\n"}, "oneDNN"),
    ("shim elsewhere", {"lib/nn/plan.c": '#include "nn/dnnl_shim.h"\n'}, "shim"),
    ("svm elsewhere", {"lib/mia/rmia.c": "#include <svm.h>\n"}, "libsvm"),
    ("blas elsewhere", {"lib/mia/rmia.c": "#include <cblas.h>\n"}, "BLAS"),
    ("omp elsewhere", {"lib/nn/plan.c": "#include <omp.h>\n"}, "OpenMP"),
    ("neighbour's private header", {"lib/io/a.c": '#include "core/context_private.h"\n'},
     "private to core"),
    ("nameless include", {"lib/io/a.c": '#include "io.h"\n'}, "names no room"),
    ("unknown room", {"lib/misc/a.c": "int x;\n"}, "not a room"),
    ("public header with stdio", {"include/amun/base.h": "#include <stdio.h>\n"}, "only stddef.h"),
    ("public arrow", {"include/amun/model.h": '#include "dataset.h"\n'}, "model.h of nn may not"),
    ("private in public", {"include/amun/model.h": '#include "nn/nn.h"\n'}, "not a public header"),
    ("stray public header", {"include/amun/extra.h": "int x;\n"}, "belongs to no room"),
]

if __name__ == "__main__":
    run(__doc__, check, CLEAN, SEEDS)
