#!/usr/bin/env python3
"""Training under MIYATO's clip against PyTorch's spectral normalisation in double precision: the
gradient by the raw weights in the first step, and where some SGD steps lead.

The power iteration starts from the library's own vectors u. torch.nn.utils.spectral_norm takes its
steps in the paper's order, v before u, as the library does: from the first u on everything is
PyTorch's. torch.nn.utils.parametrizations.spectral_norm has v at rest and u first, so there only
the normalisation and its gradient are PyTorch's: the vectors are set before each step, and stay.

  torch_miyato.py ENGINE_DUMP              compare; exit status 77 where torch is missing
  torch_miyato.py ENGINE_DUMP golden FILE  write values for tests/unit/test_miyato.c
"""
import json
import os
import sys
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch.nn.utils import parametrizations, parametrize, spectral_norm
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

import safetensors_np
import torch_nets
from torch_ensemble import golden_state
from torch_oracle import double_copy, engine, errors, fractions, numpy_state, relative, summary

# arch, channels, classes, size, batch, target, power iterations, steps
CASES = [
    ("digits", 1, 10, 8, 8, 1.0, 1, 2),
    ("digits", 1, 10, 8, 8, 1.5, 3, 3),
    ("resnet8", 3, 10, 12, 6, 0.7, 1, 2),
    ("resnet8-nobn", 1, 10, 9, 4, 1.0, 2, 2),
    ("simple_conv", 3, 10, 12, 4, 2.0, 1, 2),
    ("convnet", 1, 10, 17, 5, 1.0, 1, 2),
]
GOLDEN = [
    ("digits", 1, 10, 8, 8, 1.5, 1, 2),
    ("resnet8", 3, 10, 16, 4, 0.7, 2, 2),
]
LR, MOMENTUM, DECAY, CLIP_SEED = 0.05, 0.9, 5e-4, 4
# Relative errors (Euclidean norms) that are allowed against double precision.
DIFF, WEIGHTS = 1e-4, 1e-4


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, weight):
        return self.factor * weight


def power(weight, u, steps):
    """u, v after some steps; without any the v that belongs to u."""
    matrix = weight.detach().flatten(1)
    v = F.normalize(matrix.t() @ u, dim=0)
    for _ in range(steps):
        v = F.normalize(matrix.t() @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return u, v


def normalised(weight, u, target):
    """By the vectors as they are."""
    u, v = power(weight, u, 0)
    return target * weight.detach() / (u @ (weight.detach().flatten(1) @ v))


class Hook:
    """torch.nn.utils.spectral_norm: target 1."""

    def __init__(self, module, u, target, iterations):
        assert target == 1.0
        self.module = module
        spectral_norm(module, "weight", n_power_iterations=iterations)
        module.weight_u.copy_(u)

    def prepare(self):
        pass  # its forward hook does it all

    def raw(self):
        return self.module.weight_orig

    def u(self):
        return self.module.weight_u


class Parametrised:
    """torch.nn.utils.parametrizations.spectral_norm, times the target."""

    def __init__(self, module, u, target, iterations):
        self.module, self.iterations = module, iterations
        parametrizations.spectral_norm(module, "weight", n_power_iterations=iterations)
        parametrize.register_parametrization(module, "weight", Times(target))
        self.norm = module.parametrizations.weight[0]
        self.norm._u.copy_(u)

    def prepare(self):
        u, v = power(self.raw(), self.norm._u, self.iterations)
        self.norm.eval()  # no steps of its own
        self.norm._u.copy_(u)
        self.norm._v.copy_(v)

    def raw(self):
        return self.module.parametrizations.weight.original

    def u(self):
        return self.norm._u


def torch_run(case, state, vectors, images, labels, kind):
    """{"diff.<parameter>": array} of the first step; {parameter: array} at the end."""
    arch, channels, classes, size, _, target, iterations, steps = case
    net = double_copy(arch, channels, classes, size, state).train()
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels)
    norms = {}
    for name, module in list(net.named_modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            norms[name + ".weight"] = kind(module, F.normalize(vectors[name], dim=0), target, iterations)
    rows = {name: p for name, p in net.named_parameters()
            if not name.endswith((".weight_orig", ".original"))}
    rows.update((name, norm.raw()) for name, norm in norms.items())
    optimiser = torch.optim.SGD(rows.values(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    for step in range(steps):
        for norm in norms.values():
            norm.prepare()
        optimiser.zero_grad()
        F.cross_entropy(net(x), y).backward()
        if step == 0:
            diffs = {"diff." + name: p.grad.numpy().copy() for name, p in rows.items()}
        optimiser.step()
    after = {name: p.detach().numpy() for name, p in rows.items() if name not in norms}
    after.update((name, normalised(norm.raw(), norm.u(), target).numpy())
                 for name, norm in norms.items())
    return diffs, after


def start_of(case, state, vectors):
    """Where a training with lr 0 ends: normalised by vectors that took all their steps."""
    target, iterations, steps = case[5:]
    out = {name: np.asarray(v, np.float64) for name, v in state.items()}
    for name, u in vectors.items():
        weight = torch.from_numpy(out[name + ".weight"])
        out[name + ".weight"] = normalised(weight, power(weight, u, iterations * steps)[0],
                                           target).numpy()
    return out


def arguments(case):
    arch, channels, classes, size, _, target, iterations, steps = case
    return dict(arch=arch, channels=channels, classes=classes, height=size, width=size, seed=11,
                miyato=target, iterations=iterations, steps=steps, lr=LR, momentum=MOMENTUM,
                weight_decay=DECAY, clip_seed=CLIP_SEED)


def run_dump(driver, folder, case, state, images, labels):
    """Gradients, vectors u of the layers, weights afterwards."""
    path = lambda name: os.path.join(folder, name)
    np.save(path("images.npy"), images)
    np.save(path("labels.npy"), labels)
    safetensors_np.save(path("weights"), state, {"format": "pt"})
    engine(driver, **dict(arguments(case), weights=path("weights"), images=path("images.npy"),
                          labels=path("labels.npy"), out=path("out"), after=path("after")))
    got = {k: np.array(v) for k, v in safetensors_np.load(path("out"))[0].items()}
    vectors = {k[2:]: torch.from_numpy(got.pop(k)).double() for k in list(got) if k.startswith("u.")}
    return got, vectors, {k: np.array(v) for k, v in safetensors_np.load(path("after"))[0].items()}


def distance(got, want, start):
    """Of all trained weights, relative to how far they went."""
    flat = [np.concatenate([np.asarray(d[k], np.float64).ravel() for k in sorted(want)])
            for d in (got, want, start)]
    return relative(flat[0] - flat[2], flat[1] - flat[2])


def compare(driver):
    failures = 0
    for case in CASES:
        arch, channels, classes, size, batch, target = case[:6]
        rng = np.random.default_rng(5)
        images = rng.random((batch, channels, size, size), np.float32)
        labels = rng.integers(0, classes, batch)
        torch.manual_seed(3)
        net = torch_nets.make(arch, channels, classes, size)
        torch_nets.stir(net, torch.from_numpy(images), False, 4)
        state = numpy_state(net)
        with tempfile.TemporaryDirectory() as folder:
            got, vectors, after = run_dump(driver, folder, case, state, images, labels)
        for kind in (Hook, Parametrised) if target == 1.0 else (Parametrised,):
            diffs, want = torch_run(case, state, vectors, images, labels, kind)
            assert set(diffs) == set(got), set(diffs) ^ set(got)
            error = errors(got, diffs)["diff.*"]
            moved = distance(after, want, start_of(case, state, vectors))
            bad = not (error <= DIFF and moved <= WEIGHTS)
            failures += bad
            print("FAIL" if bad else "ok", *case, kind.__name__, "gradients %.1e (limit %.0e), weights "
                  "%.1e (limit %.0e)" % (error, DIFF, moved, WEIGHTS), flush=True)
    return 1 if failures else 0


def golden(driver, out):
    """Weights, vectors and images come from the library's own generator: the file needs none."""
    cases = []
    for case in GOLDEN:
        arch, channels, classes, size, batch = case[:5]
        images = fractions(batch * channels * size * size).reshape(batch, channels, size, size)
        labels = np.arange(batch) % classes
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "initial")
            options = arguments(case)
            options.pop("miyato")
            engine(driver, **dict(options, initial=path))
            state = golden_state(safetensors_np.load(path)[0])
            got, vectors, after = run_dump(driver, folder, case, state, images, labels)
        diffs, want = torch_run(case, state, vectors, images, labels, Parametrised)
        print(arch, errors(got, diffs), distance(after, want, start_of(case, state, vectors)))
        rows = {name: summary(value) for name, value in diffs.items()}
        rows.update(("after." + name, summary(value)) for name, value in want.items())
        cases.append((dict(arguments(case), batch=batch), rows))
    with open(out, "w") as file:
        file.write('{"torch": "%s", "cases": [\n' % torch.__version__)
        for i, (head, rows) in enumerate(cases):
            lines = ["  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in rows.items()]
            file.write('%s"values": {\n%s}}%s\n' % (json.dumps(head)[:-1] + ",\n", ",\n".join(lines),
                                                    "," if i + 1 < len(cases) else ""))
        file.write("]}\n")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[2:3] == ["golden"]:
        sys.exit(golden(sys.argv[1], sys.argv[3]))
    sys.exit(compare(sys.argv[1]))
