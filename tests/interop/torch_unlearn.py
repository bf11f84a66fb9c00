#!/usr/bin/env python3
"""Unlearning methods against PyTorch in double precision: the losses written from their papers, two
epochs of one batch each, and how far every weight went.

  torch_unlearn.py UNLEARN_DUMP [METHOD ...]   compare; exit status 77 where torch is missing
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
from torch_oracle import double_copy, engine, numpy_state, relative

# Numbers of amun_unlearn_method.
NUMBERS = {"finetune": 4, "random_label": 5, "gradient_ascent": 6, "neggrad_plus": 7,
           "boundary_shrink": 8, "l1_sparse": 10, "salun": 11, "scrub": 12, "ssd": 13, "svd": 14,
           "bad_teacher": 15, "euk": 17, "cfk": 18}
# arch, channels, classes, size, samples
NETS = [("digits", 1, 10, 8, 40), ("resnet8", 3, 10, 12, 30)]
EPOCHS, GONE, SEED, RATIO = 2, 3, 21, 0.5
RATES = {"gradient_ascent": 0.05, "neggrad_plus": 0.005, "boundary_shrink": 0.01, "scrub": 0.002,
         "bad_teacher": 1e-3}
# Euclidean error of all that moved, relative to how far it went. A mask is a choice between gradients
# that may be closer to each other than rounding; Adam divides small gradients by their own size.
LIMIT, LIMITS = 5e-4, {"salun": 1e-2, "bad_teacher": 5e-3}
OPTIONS = {
    "neggrad_plus": {"retain_weight": 0.8}, "l1_sparse": {"l1": 0.002},
    "gradient_ascent": {"ascent_norm": 0.5},
    "scrub": {"scrub_temperature": 3.0, "scrub_gamma": 0.8, "scrub_alpha": 0.3},
    "ssd": {"ssd_alpha": 3.0, "ssd_lambda": 0.8}, "svd": {"svd_patches": 10000000},
    "bad_teacher": {"teacher_share": 1.0, "teacher_temperature": 2.0},
    "euk": {"last_blocks": 0}, "cfk": {"last_blocks": 0},
}


class Task:
    """One network, its data split in two, and what the engine drew."""

    def __init__(self, net, x, y, fresh, drawn, options):
        self.net, self.fresh, self.drawn, self.options = net, fresh, drawn, options
        gone = y == GONE
        self.xf, self.yf, self.xr, self.yr = x[gone], y[gone], x[~gone], y[~gone]
        self.x, self.y = x, y

    def frozen(self, source=None):
        copy = double_copy(*self.shape, numpy_state(source or self.net, np.float64))
        return copy.eval()


# ---- training -------------------------------------------------------------------------------------

def train(task, losses, lr, kept=None, adam=False, clip=None):
    """One step per loss; `kept`: {parameter: mask}, the rest stands still."""
    net = task.net.train()
    optimiser = (torch.optim.Adam(net.parameters(), lr=lr) if adam else
                 torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9,
                                 weight_decay=task.options.get("decay", 5e-4)))
    for loss in losses:
        before = {k: v.detach().clone() for k, v in net.named_parameters()}
        optimiser.zero_grad()
        loss(net).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
        optimiser.step()
        with torch.no_grad():
            for name, value in net.named_parameters():
                if kept is not None:
                    value.copy_(torch.where(kept[name], value, before[name]))


def retain_loss(task):
    return lambda net: F.cross_entropy(net(task.xr), task.yr)


def finetune(task, lr):
    train(task, [retain_loss(task)] * EPOCHS, lr)


def l1_sparse(task, lr):
    def loss(epoch):
        share = task.options["l1"] * (1 - epoch / EPOCHS)
        return lambda net: retain_loss(task)(net) + share * sum(p.abs().sum()
                                                                for p in net.parameters())
    train(task, [loss(epoch) for epoch in range(EPOCHS)], lr)


def random_losses(task):
    x = torch.cat((task.xr, task.xf))
    return [lambda net, labels=labels: F.cross_entropy(net(x), torch.cat((task.yr, labels)))
            for labels in task.drawn]


def random_label(task, lr):
    assert all((labels != GONE).all() for labels in task.drawn)
    train(task, random_losses(task), lr)


def salun(task, lr):
    net = task.frozen()
    F.cross_entropy(net(task.xf), task.yf).backward()
    flat = torch.cat([p.grad.abs().flatten() for p in net.parameters()])
    order = torch.from_numpy(np.argsort(-flat.numpy(), kind="stable"))
    mask = torch.zeros(len(flat), dtype=torch.bool)
    mask[order[:int(RATIO * len(flat))]] = True
    kept, at = {}, 0
    for name, p in net.named_parameters():
        kept[name] = mask[at:at + p.numel()].reshape(p.shape)
        at += p.numel()
    train(task, random_losses(task), lr, kept)


def gradient_ascent(task, lr):
    """Ends after an epoch that leaves nothing of D_F right."""
    def losses():
        for _ in range(EPOCHS):
            yield retain_loss(task)
            yield lambda net: -F.cross_entropy(net(task.xf), task.yf)
            with torch.no_grad():
                right = (task.net.eval()(task.xf).argmax(1) == task.yf).sum()
            task.net.train()
            if right == 0:
                return
    train(task, losses(), lr, clip=task.options["ascent_norm"])


def neggrad_plus(task, lr):
    times = int(len(task.xr) / len(task.xf) + 0.5)
    x, alpha = torch.cat([task.xr] + [task.xf] * times), task.options["retain_weight"]

    def loss(net):
        z = net(x)
        down = F.cross_entropy(z[:len(task.xr)], task.yr)
        return alpha * down - (1 - alpha) * F.cross_entropy(z[len(task.xr):], task.yf.repeat(times))
    train(task, [loss] * EPOCHS, lr)


def boundary_shrink(task, lr):
    net = task.frozen()
    x = task.xf.clone().requires_grad_(True)
    F.cross_entropy(net(x), task.yf).backward()
    near = ((x.detach() + 0.1 * x.grad.sign()).clamp(0, 1) * 255 + 0.5).floor() / 255
    labels = net(near).argmax(1)
    moved = labels != task.yf
    assert torch.equal(labels[moved], task.drawn[0]), "other neighbours"
    away = lambda net: F.cross_entropy(net(task.xf[moved]), labels[moved])
    train(task, [retain_loss(task), away] * EPOCHS, lr)


def scrub(task, lr):
    teacher, o = task.frozen(), task.options
    heat = o["scrub_temperature"]

    def distance(net, x):
        with torch.no_grad():
            target = F.softmax(teacher(x) / heat, 1)
        return heat ** 2 * F.kl_div(F.log_softmax(net(x) / heat, 1), target, reduction="batchmean")

    def both(net):  # one forward: running statistics move once
        z = net(task.xr)
        with torch.no_grad():
            target = F.softmax(teacher(task.xr) / heat, 1)
        kl = heat ** 2 * F.kl_div(F.log_softmax(z / heat, 1), target, reduction="batchmean")
        return o["scrub_gamma"] * F.cross_entropy(z, task.yr) + o["scrub_alpha"] * kl
    train(task, [lambda net: -distance(net, task.xf), both, both], lr)


def bad_teacher(task, lr):
    good, bad, heat = task.frozen(), task.frozen(task.fresh), task.options["teacher_temperature"]
    x = torch.cat((task.xr, task.xf))
    with torch.no_grad():
        target = F.softmax(torch.cat((good(task.xr), bad(task.xf))) / heat, 1)
    train(task, [lambda net: F.kl_div(F.log_softmax(net(x) / heat, 1), target,
                                      reduction="batchmean")] * EPOCHS, lr, adam=True)


def last_layer(task):
    names = [name for name, _ in task.net.named_parameters()]
    head = names[-1].rsplit(".", 1)[0] + "."
    return {name: torch.full(p.shape, name.startswith(head), dtype=torch.bool)
            for name, p in task.net.named_parameters()}, head


def cfk(task, lr):
    train(task, [retain_loss(task)] * EPOCHS, lr, last_layer(task)[0])


def euk(task, lr):
    head = last_layer(task)[1]
    state = task.net.state_dict()
    state.update({k: v for k, v in task.fresh.state_dict().items() if k.startswith(head)})
    task.net.load_state_dict(state)
    cfk(task, lr)


# ---- closed forms ---------------------------------------------------------------------------------

def squares(task, x, y):
    net = task.frozen()
    F.cross_entropy(net(x), y).backward()
    return {name: p.grad ** 2 for name, p in net.named_parameters()}


def ssd(task, lr):
    alpha, strength = task.options["ssd_alpha"], task.options["ssd_lambda"]
    whole, gone = squares(task, task.x, task.y), squares(task, task.xf, task.yf)
    with torch.no_grad():
        for name, p in task.net.named_parameters():
            factor = (strength * whole[name] / gone[name]).clamp(max=1)
            p.copy_(torch.where(gone[name] > alpha * whole[name], p * factor, p))


def layer_inputs(task, x):
    """{layer: [d, patches]}"""
    net, found, hooks = task.frozen(), {}, []

    def take(name, layer):
        def hook(_, inputs):
            a = inputs[0].detach()
            if isinstance(layer, torch.nn.Conv2d):
                a = F.unfold(a, layer.kernel_size, padding=layer.padding, stride=layer.stride)
                a = a.transpose(1, 2).flatten(0, 1)
            found[name] = a.t()
        return hook
    for name, layer in net.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            hooks.append(layer.register_forward_pre_hook(take(name, layer)))
    with torch.no_grad():
        net(x)
    return found


def projection(a, alpha):
    u, s, _ = torch.linalg.svd(a, full_matrices=False)
    rho = s ** 2 / (s ** 2).sum()
    return u @ torch.diag(alpha * rho / ((alpha - 1) * rho + 1)) @ u.t()


def svd(task, lr):
    retain, forget = layer_inputs(task, task.xr), layer_inputs(task, task.xf)
    layers = dict(task.net.named_modules())
    with torch.no_grad():
        for name in retain:
            w, eye = layers[name].weight, torch.eye(len(retain[name]), dtype=torch.float64)
            cut = eye - projection(forget[name], 3.0) @ (eye - projection(retain[name], 100.0))
            w.copy_((w.flatten(1) @ cut.t()).reshape(w.shape))


# ---- comparison -----------------------------------------------------------------------------------

def moved(state, start, running):
    names = [k for k in sorted(start) if ("running_" in k) == running
             and not k.endswith("num_batches_tracked")]
    return np.concatenate([(np.asarray(state[k], np.float64) - start[k]).ravel()
                           for k in names] or [np.zeros(1)])


def compare(driver, method, shape):
    arch, channels, classes, size, count = shape
    rng = np.random.default_rng(7)
    images = rng.random((count, channels, size, size), np.float32)
    labels = np.arange(count) % 5
    torch.manual_seed(3)
    net = torch_nets.make(arch, channels, classes, size)
    torch_nets.stir(net, torch.from_numpy(images), True, 4)
    start, options = numpy_state(net), OPTIONS.get(method, {})
    lr = RATES.get(method, 0.01)
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        np.save(path("images.npy"), images)
        np.save(path("labels.npy"), labels)
        safetensors_np.save(path("weights"), start, {"format": "pt"})
        common = dict(arch=arch, channels=channels, classes=classes, height=size, width=size,
                      seed=SEED)
        engine(driver, **dict(common, initial=path("fresh")))
        fresh = safetensors_np.load(path("fresh"))[0]
        more = {"drawn": path("drawn")} if method in ("random_label", "salun",
                                                       "boundary_shrink") else {}
        engine(driver, **dict(common, weights=path("weights"), images=path("images.npy"),
                              labels=path("labels.npy"), method=NUMBERS[method], forget=GONE,
                              epochs=EPOCHS if method != "scrub" else 2, lr=lr, out=path("out"),
                              **options, **more))
        got = {k: np.array(v) for k, v in safetensors_np.load(path("out"))[0].items()}
        drawn = [torch.tensor([int(w) for w in line.split()])
                 for line in open(path("drawn"))] if more else None
    if method == "boundary_shrink":
        options = dict(options, decay=0.0)
    task = Task(double_copy(arch, channels, classes, size, start),
                torch.from_numpy(images).double(), torch.from_numpy(labels),
                double_copy(arch, channels, classes, size, fresh), drawn, options)
    task.shape = (arch, channels, classes, size)
    globals()[method](task, lr)
    want = numpy_state(task.net, np.float64)
    weights = relative(moved(got, start, False), moved(want, start, False))
    there = moved(want, start, True)
    still = not np.any(there)
    running = (float(np.abs(moved(got, start, True)).max()) if still
               else relative(moved(got, start, True), there))
    return weights, running


def main(driver, only):
    failures = 0
    for method in NUMBERS:
        if only and method not in only:
            continue
        for shape in NETS:
            weights, running = compare(driver, method, shape)
            limit = LIMITS.get(method, LIMIT)
            bad = not (weights <= limit and running <= limit)
            failures += bad
            print("FAIL" if bad else "ok", method, shape[0], "weights %.1e, running statistics %.1e "
                  "(limit %.0e)" % (weights, running, limit), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
