"""What the tests share: skipping, small data, small models."""
import os
import pathlib
import sys

try:
    import cffi  # noqa: F401
    import numpy as np
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "bindings" / "python" / "src"
sys.path.insert(0, str(PACKAGE))

import amun  # noqa: E402

DIGITS = [ROOT / "examples" / "data" / ("digits-%s.idx" % part) for part in ("images", "labels")]


def blobs(count, classes=3, seed=0):
    """Images [count, 1, 4, 4] that are easy to tell apart, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    labels[:classes] = np.arange(classes)
    centres = np.random.default_rng(99).uniform(0.2, 0.8, (classes, 1, 4, 4))
    images = centres[labels] + rng.normal(0, 0.08, (count, 1, 4, 4))
    return np.clip(images, 0, 1).astype(np.float32), labels.astype(np.int64)


def linear(context=None, classes=3, seed=1):
    """flatten and one dense layer on blobs."""
    graph = amun.Graph(1, 4, 4, context=context)
    graph.linear(graph.flatten(graph.input), "fc", classes, bias=True)
    return amun.Model.from_graph(graph, seed)


TRAIN = dict(epochs=8, batch=32, lr=0.5, schedule="constant", augment_pad=0, augment_flip=0)


def environment(**changes):
    """For a child process: this one's, with the package on its path."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), **changes}
    return {name: value for name, value in env.items() if value is not None}
