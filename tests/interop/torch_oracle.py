#!/usr/bin/env python3
"""The engine against PyTorch in double precision, on the same safetensors and the same batch:
logits, input gradient, every parameter gradient, running statistics, and ten SGD steps.

  torch_oracle.py ENGINE_DUMP [ARCH ...]   compare; exit status 77 where torch is missing;
                                           `large` and `small` stand for parts of all
  torch_oracle.py ENGINE_DUMP golden FILE  write values for tests/unit/test_golden.c
"""
import json
import os
import subprocess
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

STEPS = 10
LR = 0.01
# arch, channels, classes, size, batch, backend, nesterov, smooth. A ReLU that rounding flips moves
# gradients by far more than rounding does, in every float32 program (PyTorch's included): networks
# with millions of ReLUs are compared where none can flip (torch_nets.stir), small ones as they are.
CASES = [
    ("resnet18", 3, 10, 32, 4, "default", 0, True),
    ("resnet18-standard", 3, 10, 32, 4, "default", 1, True),
    ("resnet20", 3, 100, 32, 8, "default", 0, True),
    ("resnet8", 3, 10, 32, 8, "default", 1, True),
    ("resnet8", 1, 10, 13, 8, "reference", 0, False),
    ("simple_conv", 3, 10, 12, 2, "default", 0, False),
    ("simple_conv", 1, 10, 12, 8, "reference", 1, False),
    ("convnet", 3, 10, 32, 4, "default", 0, True),
    ("convnet", 1, 10, 17, 2, "reference", 1, True),
    ("digits", 1, 10, 8, 4, "default", 0, False),
    ("digits", 1, 10, 8, 6, "reference", 1, False),
    ("simple_conv_reflect", 1, 10, 11, 4, "default", 0, True),
    ("simple_conv_reflect", 1, 10, 6, 4, "reference", 0, True),
    ("resnet8-nobn", 3, 10, 12, 2, "default", 0, False),
    ("resnet8-nobn", 1, 10, 9, 2, "reference", 1, False),
    ("resnet18-lotos", 3, 10, 25, 3, "default", 0, True),
    ("resnet18-nobn", 3, 10, 25, 2, "default", 0, True),
    ("dla", 3, 10, 25, 3, "default", 0, True),
    ("dla-nobn", 3, 10, 25, 2, "default", 0, True),
    ("vgg11", 3, 10, 32, 3, "default", 0, True),
    ("densenet121", 3, 10, 32, 3, "default", 0, True),
]
# Compared by the names and shapes of their tensors alone: the same code with other numbers.
NAMES = ["resnet20-nobn", "vgg13", "vgg16", "vgg19"]
LARGE = ("resnet18-", "dla", "vgg", "densenet")
# Fewer steps where they are slow, and where a max pool can switch between two nearly equal inputs,
# which rounding decides as it does ReLUs.
STEPS_OF = {"convnet": 3, "dla": 3, "dla-nobn": 3, "vgg11": 3, "densenet121": 2, "resnet18-lotos": 3,
            "resnet18-nobn": 3}
# Relative errors (Euclidean norms) that are allowed against double precision.
# Gradients of whole networks pass twenty batch norms, each of which cancels most of what it gets.
LIMITS = {"diff.*": 1e-3, "logits.after": 1e-3, "weights.after": 1e-3, "statistics.after": 1e-3,
          "weights.moved": 1e-3, "statistics.moved": 1e-3}
LIMIT = 1e-4


def engine(driver, **options):
    words = [word for key, value in options.items() for word in (key, str(value))]
    subprocess.run([driver] + words, check=True)


def missing_code(driver):
    """Why AMUN_CONV cannot be obeyed on this machine, or None."""
    if not os.environ.get("AMUN_CONV"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        images, labels = (os.path.join(folder, name) for name in ("images.npy", "labels.npy"))
        np.save(images, np.zeros((1, 1, 8, 8), np.float32))
        np.save(labels, np.zeros(1, np.int64))
        done = subprocess.run([driver, "arch", "digits", "channels", "1", "height", "8", "width", "8",
                               "images", images, "labels", labels, "out", os.path.join(folder, "out")],
                              stderr=subprocess.PIPE, text=True)
    return done.stderr.strip() if "asked for" in done.stderr else None


def relative(got, want):
    """Euclidean norm of the difference over that of the wanted value."""
    got, want = np.asarray(got, np.float64).ravel(), np.asarray(want, np.float64).ravel()
    assert got.shape == want.shape, (got.shape, want.shape)
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - want) / max(np.linalg.norm(want), 1e-12))


def numpy_state(net, dtype=np.float32):
    state = {}
    for name, tensor in net.state_dict().items():
        array = tensor.detach().numpy()
        state[name] = array if array.dtype == np.int64 else array.astype(dtype)
    return state


def double_copy(arch, channels, classes, size, state):
    net = torch_nets.make(arch, channels, classes, size)
    net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.items()}, strict=True)
    return net.double()


def gradients(net, images, labels):
    x = images.clone().requires_grad_(True)
    net.zero_grad(set_to_none=True)
    logits = net(x)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    return logits.detach().numpy(), x.grad.numpy(), float(loss)


def oracle(net, images, labels, steps, lr, nesterov):
    """Everything that engine_dump writes, from torch; `net` has taken the steps afterwards."""
    want, state = {}, {k: v.clone() for k, v in net.state_dict().items()}
    net.eval()
    want["logits.infer"], want["diff_src.attack"], want["loss.infer"] = gradients(net, images,
                                                                                  labels)
    want["logits.attack"] = want["logits.infer"]
    net.train()
    want["logits.train"], want["diff_src.train"], want["loss.train"] = gradients(net, images,
                                                                                 labels)
    for name, parameter in net.named_parameters():
        want["diff." + name] = parameter.grad.numpy().copy()
    net.load_state_dict(state)  # that forward moved the running statistics
    optimiser = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4,
                                nesterov=bool(nesterov))
    for _ in range(steps):
        optimiser.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimiser.step()
    net.eval()
    with torch.no_grad():
        want["logits.after"] = net(images).numpy()
    return want


def groups(values, state, start):
    """{figure: flat vector}: parameter gradients tensor by tensor; final weights, and how
    far they moved from the start, all together."""
    out = {k: v for k, v in values.items()}
    for figure, running in (("weights.after", False), ("statistics.after", True)):
        names = [k for k in sorted(state) if ("running_" in k) == running
                 and not k.endswith("num_batches_tracked")]
        if names:
            flat = [np.concatenate([np.asarray(d[k], np.float64).ravel() for k in names])
                    for d in (state, start)]
            out[figure], out[figure.replace("after", "moved")] = flat[0], flat[0] - flat[1]
    return out


def errors(got, want):
    """{figure: relative error}; for gradients the worst tensor's, those that cancel (a shift before
    a batch norm) on the scale of all of them."""
    assert set(got) >= set(want), set(want) - set(got)
    scale = np.sqrt(sum(np.sum(v ** 2) for k, v in want.items() if k.startswith("diff.")))
    worst = {}
    for name, value in want.items():
        error = relative(got[name], value)
        if name.startswith("diff."):
            norm = np.linalg.norm(value)
            error *= norm / max(norm, 1e-2 * scale)
            name = "diff.*"
        worst[name] = max(worst.get(name, 0.0), float(error))
    return worst


def check_names(driver, folder, arch):
    """Fresh weights of the library load strictly, and are as many."""
    path = os.path.join(folder, "initial")
    engine(driver, arch=arch, initial=path)
    state, _ = safetensors_np.load(path)
    net = double_copy(arch, 3, 10, 32, state)
    return sum(p.numel() for p in net.parameters())


def inputs(case):
    """Nets, images, labels, best first."""
    arch, channels, classes, size, batch, _, _, smooth = case

    def make(seed):
        rng = np.random.default_rng(5 + 100 * seed)
        images = rng.random((batch, channels, size, size), np.float32)
        labels = rng.integers(0, classes, batch)
        torch.manual_seed(3 + 100 * seed)
        net = torch_nets.make(arch, channels, classes, size)
        torch_nets.stir(net, torch.from_numpy(images), smooth, 4)
        return [net], images, labels

    return torch_nets.apart(make)


def check_case(driver, folder, case, given):
    steps = STEPS_OF.get(case[0], STEPS)
    arch, channels, classes, size, batch, backend, nesterov, smooth = case
    path = lambda name: os.path.join(folder, name)
    (net,), images, labels = given
    np.save(path("images.npy"), images)
    np.save(path("labels.npy"), labels)
    state = numpy_state(net)
    safetensors_np.save(path("weights"), state, {"format": "pt"})
    engine(driver, arch=arch, channels=channels, classes=classes, height=size, width=size,
           weights=path("weights"), initial=path("initial"), images=path("images.npy"),
           labels=path("labels.npy"), backend=backend, steps=steps, lr=LR, nesterov=nesterov,
           out=path("out"), after=path("after"))

    # what went in comes out again, bit for bit
    saved, metadata = safetensors_np.load(path("initial"))
    assert metadata["amun.arch"] == arch, metadata
    assert saved.keys() == state.keys(), saved.keys() ^ state.keys()
    for name, array in state.items():
        assert saved[name].dtype == array.dtype and saved[name].shape == array.shape, name
        assert (saved[name] == array).all(), name

    results = {}
    for dtype in (torch.float32, torch.float64):
        twin = double_copy(arch, channels, classes, size, saved).to(dtype)  # strict
        values = oracle(twin, torch.from_numpy(images).to(dtype), torch.from_numpy(labels), steps, LR,
                        nesterov)
        results[dtype] = groups(values, twin.state_dict(), state)
    got, _ = safetensors_np.load(path("out"))
    after, _ = safetensors_np.load(path("after"))
    double_copy(arch, channels, classes, size, after)  # strict
    for name, value in after.items():
        assert not name.endswith("num_batches_tracked") or value == steps, (name, value)
    assert sum(k.startswith("diff.") for k in got) == len(list(net.parameters()))
    want = results[torch.float64]
    ours, theirs = errors(groups(got, after, state), want), errors(results[torch.float32], want)
    limits = {k: LIMITS.get(k, LIMIT) for k in ours}
    return ours, theirs, limits


def wanted(arch, only, backend="default"):
    part = "large" if arch.startswith(LARGE) else "small"
    if backend == "reference" and os.environ.get("AMUN_CONV"):
        return False  # it has one kind of convolution
    return not only or arch in only or part in only


def compare(driver, only):
    failures = 0
    for case in CASES:
        if not wanted(case[0], only, case[5]):
            continue
        for given in inputs(case):
            with tempfile.TemporaryDirectory() as folder:
                ours, theirs, limits = check_case(driver, folder, case, given)
            bad = [k for k in ours if not ours[k] <= limits[k]]
            if not bad:
                break
            print("near a kink?", *case, *("%s %.1e" % (k, ours[k]) for k in bad), flush=True)
        failures += bool(bad)
        print("FAIL" if bad else "ok", *case, flush=True)
        for name in ours:
            print("    %-18s %.1e  (limit %.0e, torch float32 %.1e)%s" % (
                name, ours[name], limits[name], theirs[name], "  <--" if name in bad else ""), flush=True)
    for arch in NAMES:
        if wanted(arch, only):
            with tempfile.TemporaryDirectory() as folder:
                print("ok", arch, check_names(driver, folder, arch), "parameters", flush=True)
    return 1 if failures else 0


def fractions(count):
    """frac((i + 1) * golden ratio): the same numbers in every language."""
    return ((np.arange(1, count + 1, dtype=np.float64) * 0.6180339887498949) % 1.0).astype(np.float32)


def golden_norm(part, kind, array):
    """As torch_nets.stir(smooth), without a generator; running statistics as they are."""
    if kind == "weight":
        return np.float32(0.12) + np.float32(0.06) * fractions(array.size)
    if kind == "bias":
        summed = part.endswith(("bn2", "downsample.1"))
        negative = (np.arange(array.size) % 3 == 2) & (not summed)
        return np.where(negative, np.float32(-1), np.float32(1))
    return array


def golden(driver, out):
    """Weights and images come from the library's own generator, so the file needs none."""
    cases = []
    for arch, batch, steps in (("resnet8", 2, 3), ("resnet18", 2, 2)):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "initial")
            engine(driver, arch=arch, seed=7, initial=path)
            state, _ = safetensors_np.load(path)
        for name in state:
            part, _, kind = name.rpartition(".")
            if "bn" in part or "downsample.1" in part:
                state[name] = golden_norm(part, kind, state[name])
        net = double_copy(arch, 3, 10, 32, state)
        images = fractions(batch * 3 * 32 * 32).reshape(batch, 3, 32, 32)
        labels = np.arange(batch) % 10
        want = oracle(net, torch.from_numpy(images).double(), torch.from_numpy(labels), steps, 0.05, 1)
        case = {"arch": arch, "seed": 7, "batch": batch, "steps": steps, "lr": 0.05, "momentum": 0.9,
                "weight_decay": 5e-4, "nesterov": 1, "values": {}, "after": {}}
        for name, value in want.items():
            case["values"][name] = summary(value)
        for name, value in numpy_state(net, np.float64).items():
            case["after"][name] = summary(value)
        cases.append(case)
    with open(out, "w") as file:
        file.write('{"torch": "%s", "cases": [\n' % torch.__version__)
        for i, case in enumerate(cases):
            lines = []
            for key, value in case.items():
                if isinstance(value, dict):
                    rows = ["  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in value.items()]
                    lines.append("%s: {\n%s}" % (json.dumps(key), ",\n".join(rows)))
                else:
                    lines.append("%s: %s" % (json.dumps(key), json.dumps(value)))
            file.write("{" + ",\n".join(lines) + "}" + (",\n" if i + 1 < len(cases) else "\n"))
        file.write("]}\n")
    return 0


def summary(value):
    """[norm, sum, first, middle, last]"""
    flat = np.asarray(value, np.float64).ravel()
    numbers = [np.linalg.norm(flat), flat.sum(), flat[0], flat[flat.size // 2], flat[-1]]
    return [float("%.8g" % number) for number in numbers]


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) == 4 and sys.argv[2] == "golden":
        sys.exit(golden(sys.argv[1], sys.argv[3]))
    reason = missing_code(sys.argv[1])
    if reason:
        print("skipped:", reason)
        sys.exit(77)
    sys.exit(compare(sys.argv[1], sys.argv[2:]))
