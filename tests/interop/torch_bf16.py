#!/usr/bin/env python3
"""bf16 plans against PyTorch in double precision that rounds, forward and back, where such a plan keeps
activations: after each convolution, after each ReLU, after a batch norm that no ReLU follows.

In a network of three layers the library computes the same. Through many layers no two programs agree: a
sum that float rounding moves over the edge between two bf16 numbers moves the next layer's sums over such
edges, and so on. There the library has to lie no farther from PyTorch without rounding than PyTorch with
rounding does.

  torch_bf16.py ENGINE_DUMP   exit status 77 where torch is missing
"""
import os
import sys
import tempfile

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
try:
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

import safetensors_np
import torch_nets
from torch_oracle import double_copy, engine, errors, gradients, numpy_state

# arch, channels, size, batch, whether it is shallow
CASES = [("digits", 1, 8, 16, True), ("digits", 1, 8, 3, True), ("resnet8", 3, 32, 8, False),
         ("convnet", 3, 32, 4, False)]
SAME = 0.02    # shallow: of the distance to PyTorch without rounding
FARTHER = 1.5  # deep: of the distance between PyTorch with and without


def rounded(x):
    return x.to(torch.float32).to(torch.bfloat16).to(x.dtype)


class Kept(torch.autograd.Function):
    """A value in memory, and its gradient."""

    @staticmethod
    def forward(ctx, x):
        return rounded(x)

    @staticmethod
    def backward(ctx, gradient):
        return rounded(gradient)


def keep_all(net):
    """Hooks for modules; the ReLUs are functions, see run()."""
    for name, module in net.named_modules():
        alone = name.endswith(("bn2", "downsample.1")) and "layer" in name
        if isinstance(module, torch.nn.Conv2d) or alone:
            module.register_forward_hook(lambda _module, _inputs, out: Kept.apply(out))


def train(net, images, labels, rounding):
    plain = F.relu

    def relu(x):
        return Kept.apply(plain(x)) if x.dim() == 4 and x.shape[2] * x.shape[3] > 1 else plain(x)
    net.train()
    F.relu = relu if rounding else plain
    try:
        logits, diff, loss = gradients(net, images, labels)
    finally:
        F.relu = plain
    values = {"logits.train": logits, "diff_src.train": diff, "loss.train": loss}
    values.update({"diff." + name: p.grad.numpy() for name, p in net.named_parameters()})
    return values


def check(driver, arch, channels, size, batch, shallow):
    rng = np.random.default_rng(5)
    images = rng.random((batch, channels, size, size), np.float32)
    labels = rng.integers(0, 10, batch)
    torch.manual_seed(3)
    net = torch_nets.make(arch, channels, 10, size)
    torch_nets.stir(net, torch.from_numpy(images), True, 4)
    state = numpy_state(net)
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        np.save(path("images.npy"), images)
        np.save(path("labels.npy"), labels)
        safetensors_np.save(path("weights"), state, {"format": "pt"})
        engine(driver, arch=arch, channels=channels, classes=10, height=size, width=size,
               weights=path("weights"), images=path("images.npy"), labels=path("labels.npy"),
               out=path("out"), steps=0)
        got, _ = safetensors_np.load(path("out"))
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels)
    exact = train(double_copy(arch, channels, 10, size, state), x, y, False)
    twin = double_copy(arch, channels, 10, size, state)
    keep_all(twin)
    there = train(twin, x, y, True)
    near, far, theirs = errors(got, there), errors(got, exact), errors(there, exact)
    bad = [k for k in far if k != "loss.train" and
           not (near[k] <= SAME * far[k] if shallow else far[k] <= FARTHER * theirs[k])]
    print("FAIL" if bad else "ok", arch, size, batch)
    for name in far:
        print("    %-16s from PyTorch %.1e, PyTorch with rounding from it %.1e, from that %.1e%s" % (
            name, far[name], theirs[name], near[name], "  <--" if name in bad else ""), flush=True)
    return bool(bad)


if __name__ == "__main__":
    os.environ["AMUN_PRECISION"] = "bf16"
    sys.exit(1 if sum(check(sys.argv[1], *case) for case in CASES) else 0)
