#!/usr/bin/env python3
"""TRW and DELETE on real networks against PyTorch and NumPy in double precision: scores, targets and
SGD steps written from their definitions.

  torch_trw.py TRW_DUMP [CASE ...]    compare; exit status 77 where torch is missing
  torch_trw.py TRW_DUMP golden FILE   write values for tests/unit/test_trw_recipe.c
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
from torch_oracle import double_copy, engine, fractions, numpy_state, relative

# name: arch, channels, classes, size, samples, forget class, options of the dump
CASES = {
    "digits": ("digits", 1, 10, 8, 40, 3, {"beta": 10}),
    "digits.two": ("digits", 1, 10, 8, 40, 7, {"epochs": 2, "temperature": 0.5, "floor": 0.01}),
    "digits.delete": ("digits", 1, 10, 8, 40, 2, {"method": "delete"}),
    "digits.frozen": ("digits", 1, 10, 8, 40, 2, {"frozen": 1, "lambda": 0.5, "energy": 0.6}),
    "resnet8": ("resnet8", 3, 10, 12, 30, 0, {"beta": 5}),
    "resnet8.means": ("resnet8", 3, 10, 12, 30, 4, {"kappa": 0.5, "temperature": 0.3}),
    "resnet8.near": ("resnet8", 3, 10, 12, 30, 4, {"kappa": 1, "neighbours": 5}),
    "convnet": ("convnet", 1, 10, 17, 30, 1, {"beta": 20}),  # its logits are scaled
}
GOLDEN = ("digits", 1, 10, 8, 40, 3, {"beta": 10, "temperature": 0.2})
SGD = {"lr": 0.05, "momentum": 0.9, "decay": 5e-4}
# Relative errors of the moved weights' differences (Euclidean norms) that are allowed.
LIMIT = 1e-3


def arguments(case):
    arch, channels, classes, size, _, label, options = case
    return dict(arch=arch, channels=channels, classes=classes, height=size, width=size,
                **{"class": label}, **SGD, **options)


def last_layer(net):
    """(module, its weight as doubles)"""
    module = [m for m in net.modules() if isinstance(m, torch.nn.Linear)][-1]
    return module, module.weight.detach().numpy().astype(np.float64)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def class_scores(rows, gone, kept, energy, temperature):
    centred = rows - rows.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    share = np.cumsum(s ** 2) / np.sum(s ** 2)
    m = int(np.argmax(share >= energy - 1e-12)) + 1
    x = u[:, :m] * s[:m]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return softmax((x[kept] @ x[gone]) / temperature)


def sample_scores(own, remain, labels, kept, temperature, neighbours):
    if neighbours:
        unit = remain / np.linalg.norm(remain, axis=1, keepdims=True)
        near = np.argsort(-(own @ unit.T), axis=1)[:, :neighbours]
        votes = np.array([[np.sum(labels[row] == j) for j in kept] for row in near])
        return (votes + 1) / (neighbours + len(kept))
    mean = remain.mean(0)
    means = np.array([remain[labels == j].mean(0) for j in kept]) - mean
    x = own - mean
    return softmax((x @ means.T) / np.linalg.norm(x, axis=1)[:, None]
                   / np.linalg.norm(means, axis=1) / temperature)


def features_and_logits(net, images):
    kept = []
    handle = last_layer(net)[0].register_forward_hook(lambda _m, inputs, _o: kept.append(inputs[0]))
    net.eval()
    with torch.no_grad():
        logits = net(images)
    handle.remove()
    return kept[0].numpy(), logits.numpy()


def targets(net, images, labels, case):
    gone, options = case[5], case[6]
    kept = [j for j in range(case[2]) if j != gone]
    forget = labels == gone
    features, logits = features_and_logits(net, images)
    temperature = options.get("temperature", 0.1)
    delete = options.get("method") == "delete"
    beta, scores = (0.0, 0.0) if delete else (options.get("beta", 10), class_scores(
        last_layer(net)[1], gone, kept, options.get("energy", 0.95), temperature))
    kappa = options.get("kappa", 0.0)
    if kappa:
        own = sample_scores(features[forget], features[~forget], labels[~forget], kept,
                            temperature, options.get("neighbours", 0))
        scores = kappa * own + (1 - kappa) * scores
    floor = options.get("floor", 0.0)
    q = np.full((forget.sum(), case[2]), floor)
    q[:, kept] = (1 - floor) * softmax(logits[forget][:, kept] + beta * scores)
    return q


def steps(state, images, labels, case):
    """The state after the run."""
    options = case[6]
    net = double_copy(*case[:4], state)
    x = torch.from_numpy(images).double()
    forget = labels == case[5]
    rows = np.eye(case[2])[labels]
    rows[forget] = targets(net, x, labels, case)
    weight = np.where(forget, options.get("lambda", 1.0), 1.0)
    used = forget if options.get("method") == "delete" else np.ones_like(forget)
    x, rows, weight = x[used], torch.from_numpy(rows[used]), torch.from_numpy(weight[used])
    sgd = torch.optim.SGD(net.parameters(), lr=SGD["lr"], momentum=SGD["momentum"],
                          weight_decay=SGD["decay"])
    net.train(not options.get("frozen"))
    for _ in range(options.get("epochs", 1)):
        sgd.zero_grad()
        loss = -(rows * F.log_softmax(net(x), 1)).sum(1)
        (weight * loss).mean().backward()
        sgd.step()
    return numpy_state(net, np.float64)


def run(driver, folder, case, state, images, labels):
    paths = [os.path.join(folder, name) for name in ("w", "i.npy", "l.npy", "o")]
    safetensors_np.save(paths[0], state)
    np.save(paths[1], images)
    np.save(paths[2], labels)
    engine(driver, weights=paths[0], images=paths[1], labels=paths[2], out=paths[3],
           **arguments(case))
    return safetensors_np.load(paths[3])[0]


def worst_error(before, got, want):
    """Of what moved: each floating tensor's difference from `before`."""
    names = [k for k in want if want[k].dtype != np.int64]
    assert set(got) >= set(names), sorted(set(names) - set(got))
    flat = [np.concatenate([(np.asarray(s[k], np.float64) - before[k]).ravel() for k in names])
            for s in (got, want)]
    return relative(*flat)


def compare(driver, only):
    failures = 0
    for name, case in CASES.items():
        if only and name not in only:
            continue
        arch, channels, classes, size, count = case[:5]
        labels = np.arange(count) % classes

        def make(seed):
            rng = np.random.default_rng(6 + 100 * seed)
            images = rng.random((count, channels, size, size), np.float32)
            torch.manual_seed(7 + 100 * seed)
            net = torch_nets.make(arch, channels, classes, size)
            # Large nets: else a gradient in ten to two crosses a ReLU's kink by rounding alone.
            torch_nets.stir(net, torch.from_numpy(images), arch != "digits", 3)
            return [net], images

        for (net,), images in torch_nets.apart(make):
            state = numpy_state(net)
            with tempfile.TemporaryDirectory() as folder:
                got = run(driver, folder, case, state, images, labels)
            error = worst_error(state, got, steps(state, images, labels, case))
            if error <= LIMIT:
                break
        failures += not error <= LIMIT
        print("ok" if error <= LIMIT else "FAIL", name, "%.1e (limit %.0e)" % (error, LIMIT),
              flush=True)
    return 1 if failures else 0


def golden(driver, out):
    arch, channels, classes, size, count = GOLDEN[:5]
    images = fractions(count * channels * size * size).reshape(count, channels, size, size)
    labels = np.arange(count) % classes
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "initial")
        engine(driver, **dict(arguments(GOLDEN), initial=path))
        state = safetensors_np.load(path)[0]
        got = run(driver, folder, GOLDEN, state, images, labels)
    want = steps(state, images, labels, GOLDEN)
    print(worst_error(state, got, want))
    moved = {k: want[k] - state[k] for k in want if want[k].dtype != np.int64}
    rows = {k: ["%.9g" % np.linalg.norm(v)] + ["%.9g" % x for x in v.ravel()[:3]]
            for k, v in moved.items()}
    with open(out, "w") as file:
        json.dump({"torch": torch.__version__,
                   "moved": {k: [float(x) for x in v] for k, v in rows.items()}}, file, indent=1)
        file.write("\n")
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[2:3] == ["golden"]:
        sys.exit(golden(sys.argv[1], sys.argv[3]))
    sys.exit(compare(sys.argv[1], sys.argv[2:]))
