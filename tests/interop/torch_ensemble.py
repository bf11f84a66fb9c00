#!/usr/bin/env python3
"""One step of joint training against PyTorch in double precision: the losses of GAL, TRS and DVERGE
written from their papers, and the members' gradients by double backward.

  torch_ensemble.py JOINT_DUMP [CASE ...]    compare; exit status 77 where torch is missing
  torch_ensemble.py JOINT_DUMP golden FILE   write values for tests/unit/test_rivals_joint.c
  torch_ensemble.py JOINT_DUMP radius        why no finite differences: their error by radius
"""
import json
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
from torch_oracle import double_copy, engine, fractions, numpy_state, relative, summary

# Networks with so many ReLUs that rounding flips one are compared where none can (torch_nets.stir).
SMOOTH = ("dla", "densenet121")
# name: method, arch, channels, classes, size, batch, members, options of the dump
CASES = {
    "gal": ("gal", "resnet8", 3, 10, 12, 6, 3, {"lambda": 0.5}),
    "gal.digits": ("gal", "digits", 1, 10, 8, 8, 2, {"lambda": 3.0}),
    "gal.convnet": ("gal", "convnet", 1, 10, 17, 5, 2, {"lambda": 1.0}),
    "gal.plain": ("gal", "simple_conv", 3, 10, 12, 4, 2, {"lambda": 1.0}),
    "gal.dla": ("gal", "dla", 3, 10, 25, 3, 2, {"lambda": 1.0}),
    "gal.densenet": ("gal", "densenet121", 3, 10, 32, 2, 2, {"lambda": 1.0}),
    "gal.reflect": ("gal", "simple_conv_reflect", 1, 10, 9, 4, 2, {"lambda": 1.0}),
    "trs.l2": ("trs", "resnet8", 3, 10, 12, 6, 3, {"cosine": 40.0, "smooth": 0.05, "l2": 1}),
    "trs.cosine": ("trs", "digits", 1, 10, 8, 8, 3, {"cosine": 5.0, "smooth": 0.0}),
    "trs.smooth": ("trs", "digits", 1, 10, 8, 8, 2, {"cosine": 0.0, "smooth": 0.1, "l2": 1}),
    "trs": ("trs", "resnet8", 3, 10, 12, 6, 2,
            {"cosine": 10.0, "smooth": 0.05, "eps": 0.03, "steps": 6, "epochs": 5, "epoch": 3}),
    "dverge": ("dverge", "resnet8", 3, 10, 12, 6, 3, {"eps": 0.07, "step": 0.007, "steps": 10}),
}
GOLDEN = {
    "gal": ("gal", "digits", 1, 10, 8, 8, 3, {"lambda": 0.5}),
    "trs": ("trs", "digits", 1, 10, 8, 8, 3, {"cosine": 40.0, "smooth": 0.05, "l2": 1}),
    "gal.resnet8": ("gal", "resnet8", 3, 10, 16, 4, 2, {"lambda": 2.0}),
    "trs.resnet8": ("trs", "resnet8", 3, 10, 16, 4, 2, {"cosine": 3.0, "smooth": 0.1, "l2": 1}),
}
# Relative errors (Euclidean norms) that are allowed against double precision.
LOSS, DIFF = 1e-5, 1e-3


# ---- the losses, from the papers ------------------------------------------------------------------

def input_gradients(nets, x, y):
    """Per sample, of the sum of the cross-entropies; part of the graph."""
    out = []
    for net in nets:
        x = x.detach().requires_grad_(True)
        loss = F.cross_entropy(net(x), y, reduction="sum")
        out.append(torch.autograd.grad(loss, x, create_graph=True)[0].flatten(1))
    return out


def pair_cosines(g):
    """[pairs, batch]"""
    return torch.stack([(g[i] * g[j]).sum(1) / (g[i].norm(dim=1) * g[j].norm(dim=1))
                        for i in range(len(g)) for j in range(i + 1, len(g))])


def entropies(nets, x, y):
    return sum(F.cross_entropy(net(x), y) for net in nets)


def gal_term(nets, x, y, options):
    return options["lambda"] * pair_cosines(input_gradients(nets, x, y)).exp().sum(0).log().mean()


def trs_term(nets, x, y, options, near=None):
    cosine = pair_cosines(input_gradients(nets, x, y)).abs().mean()
    smooth = sum((2 * (g ** 2).sum(1)).mean() for g in input_gradients(
        nets, x if near is None else near, y)) / len(nets)
    return options["cosine"] * cosine + options["smooth"] * smooth


def objective(method, nets, x, y, options, given):
    if method == "dverge":
        return sum(F.cross_entropy(net(z), y) for i, net in enumerate(nets)
                   for j, z in enumerate(given) if j != i)
    if method == "gal":
        return entropies(nets, x, y) + gal_term(nets, x, y, options)
    near = None if options.get("l2") or not options["smooth"] else given[0]
    return entropies(nets, x, y) + trs_term(nets, x, y, options, near)


def climb(nets, x, y, images, eps):
    """One step of TRS's attack from `images`: rows of the second half follow the sign."""
    z = images.clone().requires_grad_(True)
    total = 0
    for net in nets:
        loss = F.cross_entropy(net(z), y, reduction="sum")
        total = total + (torch.autograd.grad(loss, z, create_graph=True)[0] ** 2).sum()
    moved = z.detach() + eps / 3 * torch.autograd.grad(total, z)[0].sign()
    moved = torch.max(torch.min(moved, x + eps), x - eps).clamp(0, 1)
    return torch.cat((images[:len(x) // 2], moved[len(x) // 2:]))


# ---- cases ------------------------------------------------------------------------------------------

def arguments(case):
    method, arch, channels, classes, size, _, members, options = case
    return dict(method=method, arch=arch, channels=channels, classes=classes, height=size, width=size,
                members=members, seed=11, **options)


def run_dump(driver, folder, case, states, images, labels, **more):
    path = lambda name: os.path.join(folder, name)
    np.save(path("images.npy"), images)
    np.save(path("labels.npy"), labels)
    for i, state in enumerate(states):
        safetensors_np.save(path("weights%d" % i), state, {"format": "pt"})
    engine(driver, **dict(arguments(case), weights=path("weights"), images=path("images.npy"),
                          labels=path("labels.npy"), out=path("out"), **more))
    return safetensors_np.load(path("out"))[0]


def torch_step(case, states, images, labels, given):
    """{"loss": value, "diff.<i>.<parameter>": array}"""
    method, arch, channels, classes, size, _, _, options = case
    nets = [double_copy(arch, channels, classes, size, state) for state in states]
    for net in nets:
        net.train()
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels)
    loss = objective(method, nets, x, y, options, given)
    loss.backward()
    want = {"loss.0": loss.item()}
    for i, net in enumerate(nets):
        for name, parameter in net.named_parameters():
            want["diff.%d.%s" % (i, name)] = parameter.grad.numpy()
    return want


def errors(got, want):
    """Loss; the worst tensor's gradient, those that cancel on the scale of all."""
    scale = np.sqrt(sum(np.sum(v ** 2) for k, v in want.items() if k.startswith("diff")))
    worst = {"loss": relative(got["loss.0"], want["loss.0"]), "diff": 0.0}
    assert {k for k in got if k.startswith("diff")} == {k for k in want if k.startswith("diff")}
    for name, value in want.items():
        if name.startswith("diff"):
            norm = np.linalg.norm(value)
            error = relative(got[name], value) * norm / max(norm, 1e-2 * scale)
            worst["diff"] = max(worst["diff"], float(error))
    return worst


def fresh(case, seed):
    """Nets, images, labels."""
    method, arch, channels, classes, size, batch, members, _ = case
    rng = np.random.default_rng(5 + 100 * seed)
    images = rng.random((batch, channels, size, size), np.float32)
    labels = rng.integers(0, classes, batch)
    nets = []
    for i in range(members):
        torch.manual_seed(20 + i)
        nets.append(torch_nets.make(arch, channels, classes, size))
        torch_nets.stir(nets[i], torch.from_numpy(images), arch in SMOOTH, 30 + i)
    return nets, images, labels


def check_climb(driver, folder, case, states, images, labels):
    """Share of the values that a step of TRS's attack leaves where PyTorch does."""
    _, arch, channels, classes, size, _, _, options = case
    nets = [double_copy(arch, channels, classes, size, state).train() for state in states]
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels)
    share = options["epoch"] / (options["epochs"] - 1)
    eps = 0.005 + (options["eps"] - 0.005) * share
    before, after = (torch.from_numpy(np.array(run_dump(
        driver, folder, case[:7] + (dict(options, steps=steps),), states, images,
        labels)["images.0"])).double().reshape(x.shape) for steps in (2, 3))
    want = climb(nets, x, y, before, eps)
    assert (before - x).abs().max() <= eps + 1e-6 and (after[:len(x) // 2] == x[:len(x) // 2]).all()
    return float(((want - after).abs() < 1e-6).double().mean())


def compare(driver, only):
    failures = 0
    for name, case in CASES.items():
        if only and name not in only:
            continue
        bad = True
        for given in torch_nets.apart(lambda seed: fresh(case, seed)):
            if bad:
                bad = not check_case(driver, name, case, *given)
        failures += bad
        print("FAIL" if bad else "ok", name, flush=True)
    return 1 if failures else 0


def check_case(driver, name, case, nets, images, labels):
    states = [numpy_state(net) for net in nets]
    with tempfile.TemporaryDirectory() as folder:
        got = run_dump(driver, folder, case, states, images, labels)
        given = [torch.from_numpy(np.array(got[k])).double().reshape(images.shape)
                 for k in sorted(got) if k.startswith("images")]
        worst = errors(got, torch_step(case, states, images, labels, given))
        share = check_climb(driver, folder, case, states, images, labels) if name == "trs" else 1.0
    print("    loss %.1e (limit %.0e), gradients %.1e (limit %.0e)" % (
        worst["loss"], LOSS, worst["diff"], DIFF), "" if share == 1.0 else "same step %.5f" % share)
    return worst["loss"] <= LOSS and worst["diff"] <= DIFF and share >= 0.999


# ---- golden values ----------------------------------------------------------------------------------

def golden_state(state):
    """Batch norms that do something, as in the C test."""
    for name in state:
        part, _, kind = name.rpartition(".")
        if ("bn" in part or "downsample.1" in part) and kind in ("weight", "bias"):
            low, high = (0.5, 1.0) if kind == "weight" else (-0.3, 0.6)
            count = state[name].size
            state[name] = np.float32(low) + np.float32(high) * fractions(count)
    return state


def golden(driver, out):
    cases = []
    for name, case in GOLDEN.items():
        method, arch, channels, classes, size, batch, members, options = case
        images = fractions(batch * channels * size * size).reshape(batch, channels, size, size)
        labels = np.arange(batch) % classes
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "initial")
            engine(driver, **dict(arguments(case), initial=path))
            states = [golden_state(safetensors_np.load(path + str(i))[0]) for i in range(members)]
            got = run_dump(driver, folder, case, states, images, labels)
        want = torch_step(case, states, images, labels, None)
        print(name, errors(got, want))
        rows = {key: summary(value) for key, value in want.items()}
        cases.append((dict(arguments(case), name=name, batch=batch), rows))
    with open(out, "w") as file:
        file.write('{"torch": "%s", "cases": [\n' % torch.__version__)
        for i, (head, rows) in enumerate(cases):
            lines = ["  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in rows.items()]
            file.write('%s"values": {\n%s}}%s\n' % (json.dumps(head)[:-1] + ",\n", ",\n".join(lines),
                                                    "," if i + 1 < len(cases) else ""))
        file.write("]}\n")
    return 0


# ---- finite differences -----------------------------------------------------------------------------

def parameter_gradient(net, x, y):
    net.zero_grad(set_to_none=True)
    F.cross_entropy(net(x), y, reduction="sum").backward()
    return torch.cat([p.grad.flatten() for p in net.parameters()]).double()


def radius_table(batch):
    """GAL's gradient of one member by central differences in float32, against double backward."""
    case = ("gal", "resnet8", 3, 10, 32, batch, 2, {"lambda": 1.0})
    rng = np.random.default_rng(5)
    images = rng.random((batch, 3, 32, 32), np.float32)
    labels = rng.integers(0, 10, batch)
    states = fresh_states(case, images)
    nets = [double_copy("resnet8", 3, 10, 32, state).train() for state in states]
    x, y = torch.from_numpy(images).double(), torch.from_numpy(labels)
    g = input_gradients(nets, x, y)
    value = pair_cosines(g).exp().sum(0).log().sum()
    want = torch.autograd.grad(value, list(nets[0].parameters()), retain_graph=True,
                               allow_unused=True)
    want = torch.cat([torch.zeros_like(p).flatten() if w is None else w.flatten()
                      for w, p in zip(want, nets[0].parameters())])
    v = torch.autograd.grad(value, g[0])[0].reshape(x.shape)
    print("batch %d" % batch)
    for dtype in (torch.float32, torch.float64):
        net = double_copy("resnet8", 3, 10, 32, states[0]).train().to(dtype)
        for pixel in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7):
            r = pixel / v.abs().max()
            up, down = (parameter_gradient(net, (x + sign * r * v).to(dtype), y) for sign in (1, -1))
            print("  %-14s r max|v| %.0e: error %.1e" % (dtype, pixel, relative(
                ((up - down) / (2 * r)).numpy(), want.numpy())), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[2:3] == ["golden"]:
        sys.exit(golden(sys.argv[1], sys.argv[3]))
    if sys.argv[2:3] == ["radius"]:
        for size in (4, 32, 128):
            radius_table(size)
        sys.exit(0)
    sys.exit(compare(sys.argv[1], sys.argv[2:]))
