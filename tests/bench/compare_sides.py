"""For compare_pytorch.py: what PyTorch does there, at its best."""
import copy
import os
import sys
import time

PGD_STEPS, PGD_EPS, PGD_STEP = 5, 1.0, 0.2
SEARCH_STEPS = 50
LR, MOMENTUM, DECAY = 0.01, 0.9, 5e-4


def network(arch, weights, shape):
    """A PyTorch network with the weights of a safetensors file, for images of that shape."""
    import torch
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
    import safetensors_np
    import torch_nets
    net = torch_nets.make(arch, shape[1], 10, shape[2])
    tensors, _ = safetensors_np.load(weights)
    net.load_state_dict({name: torch.from_numpy(value.copy()).reshape(value.shape)
                         for name, value in tensors.items()})
    return net


class Torch:
    def __init__(self, options, weights, images, labels):
        import torch
        import torch.nn.functional as F
        self.torch, self.F, self.options = torch, F, options
        net = network(options.arch, weights, images.shape)
        self.all_images = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
        self.all_labels = torch.from_numpy(labels)
        self.use(options.batch, options.threads)
        self.net = net.to(memory_format=torch.channels_last)
        self.made = {}

    def use(self, batch, threads):
        """The first `batch` images, and so many threads, from now on."""
        self.images, self.labels = self.all_images[:batch], self.all_labels[:batch]
        self.torch.set_num_threads(threads)

    def frozen(self, folded):
        """Evaluation mode without parameter gradients; `folded`: batch norm in the weights."""
        if folded not in self.made:
            net = copy.deepcopy(self.net).eval()
            if folded:
                self.fold(net)
            self.made[folded] = net.requires_grad_(False).to(memory_format=self.torch.channels_last)
        return self.made[folded]

    def fold(self, net):
        from torch.nn.utils.fusion import fuse_conv_bn_eval
        for module in net.modules():
            for name in ("1", "2", "3"):
                if hasattr(module, "conv" + name) and hasattr(module, "bn" + name):
                    setattr(module, "conv" + name, fuse_conv_bn_eval(
                        getattr(module, "conv" + name), getattr(module, "bn" + name)))
                    setattr(module, "bn" + name, self.torch.nn.Identity())
            if getattr(module, "downsample", None) is not None:
                module.downsample = self.torch.nn.Sequential(
                    fuse_conv_bn_eval(module.downsample[0], module.downsample[1]))

    def trainee(self):
        if "train" not in self.made:
            net = copy.deepcopy(self.net).train()
            net = net.to(memory_format=self.torch.channels_last)
            sgd = self.torch.optim.SGD(net.parameters(), LR, MOMENTUM, weight_decay=DECAY)
            self.made["train"] = net, sgd
        return self.made["train"]

    def autocast(self, bf16):
        return self.torch.autocast("cpu", dtype=self.torch.bfloat16, enabled=bf16)

    def timed(self, function, repetitions):
        times = []
        for _ in range(repetitions):
            began = time.perf_counter()
            result = function()
            times.append(1e3 * (time.perf_counter() - began))
        return times, result

    def train(self, repetitions, bf16=False):
        net, sgd = self.trainee()

        def step():
            with self.autocast(bf16):
                loss = self.F.cross_entropy(net(self.images), self.labels)
            sgd.zero_grad(set_to_none=True)
            loss.backward()
            sgd.step()
            return loss.item()
        return self.timed(step, repetitions)

    def infer(self, repetitions, folded=False, bf16=False):
        net = self.frozen(folded)

        def run():
            with self.torch.no_grad(), self.autocast(bf16):
                return net(self.images)
        return self.timed(run, repetitions)

    def norm(self, x):
        return self.torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)

    def step_l2(self, a, x, gradient, alpha, eps):
        """One projected step; alpha and eps: numbers or one per image."""
        a = a + alpha * gradient / (self.norm(gradient) + 1e-10)
        delta = a - x
        size = self.norm(delta)
        delta = delta * self.torch.clamp(eps / size.clamp(min=1e-30), max=1.0)
        return (x + delta).clamp(0, 1)

    def pgd(self, repetitions, folded=False, bf16=False):
        net = self.frozen(folded)

        def run():
            a = self.images
            for _ in range(PGD_STEPS):
                a = a.detach().requires_grad_(True)
                with self.autocast(bf16):
                    loss = self.F.cross_entropy(net(a), self.labels, reduction="sum")
                gradient, = self.torch.autograd.grad(loss, a)
                a = self.step_l2(a.detach(), self.images, gradient, PGD_STEP, PGD_EPS)
            return a
        times, result = self.timed(run, repetitions)
        return [t / PGD_STEPS for t in times], result

    def search(self, count, batch, steps=SEARCH_STEPS):
        """Batch after batch, as the author's script does. (seconds, table)"""
        began = time.perf_counter()
        tables = [self.search_batch(self.all_images[at:min(at + batch, count)],
                                    self.all_labels[at:min(at + batch, count)], steps)
                  for at in range(0, count, batch)]
        return time.perf_counter() - began, self.torch.cat(tables).numpy()

    def search_batch(self, x, y, per_radius):
        """The author's procedure: a radius per image, so many steps each, doubled where the label still
        holds; the label is tested before each step; images that flipped leave the batch. Rows of
        eps, l2, updates, 1."""
        torch, net, count = self.torch, self.frozen(False), len(x)
        table = torch.zeros(count, 4)
        where = torch.arange(count)
        eps, steps, updates = torch.full((count,), 0.04), torch.zeros(count), torch.zeros(count)
        a = x
        while len(where) > 0:
            a = a.detach().requires_grad_(True)
            logits = net(a)
            loss = self.F.cross_entropy(logits, y, reduction="sum")
            flipped = logits.argmax(1) != y
            if flipped.any():
                size = self.norm(a.detach() - x).flatten()
                rows = torch.stack([eps, size, updates, torch.ones_like(eps)], 1)
                table[where[flipped]] = rows[flipped]
                if flipped.all():
                    break
            gradient, = torch.autograd.grad(loss, a)
            if flipped.any():
                keep = ~flipped
                a, x, y, gradient = a[keep], x[keep], y[keep], gradient[keep]
                where, eps, steps, updates = where[keep], eps[keep], steps[keep], updates[keep]
            grow = steps == per_radius
            eps = torch.where(grow, eps * 2, eps)
            steps = torch.where(grow, torch.zeros_like(steps), steps) + 1
            updates = updates + 1
            radius = eps.reshape(-1, 1, 1, 1)
            a = self.step_l2(a.detach(), x, gradient, radius / 10, radius)
        return table


class PowerQr:
    """One vector per convolution or dense layer, as a network of PyTorch's would iterate it."""

    def __init__(self, torch_side):
        self.torch, self.F = torch_side.torch, torch_side.F
        self.timed = torch_side.timed
        self.layers = {layout: self.trace(torch_side, layout) for layout in (
            self.torch.contiguous_format, self.torch.channels_last)}
        self.layout = {}

    def trace(self, side, layout):
        """[(module, start)] in a network of this layout."""
        torch, found = self.torch, []
        net = copy.deepcopy(side.net).eval().to(memory_format=layout)
        torch.manual_seed(1)

        def seen(module, inputs, _):
            start = torch.randn_like(inputs[0][:1])
            found.append([module, start / start.norm()])
        hooks = [m.register_forward_hook(seen) for m in net.modules()
                 if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
        with torch.no_grad():
            net(side.images[:1].contiguous(memory_format=layout))
        for hook in hooks:
            hook.remove()
        return found

    def orthonormalise(self, x):
        """QR of the n-by-1 matrix, back in the layout of `x`."""
        q, _ = self.torch.linalg.qr(x.reshape(1, -1).T)
        return self.torch.empty_like(x).copy_(q.T.reshape(x.shape))

    def author(self, layers):
        """As in the authors' program, which calls backward() on layers that are being trained: the
        gradients of their weights come with it, and are thrown away."""
        for layer in layers:
            module, v = layer
            module.requires_grad_(True)
            v = v.detach().requires_grad_(True)
            image = module(v) - module(self.torch.zeros_like(v))
            (0.5 * (image ** 2).sum()).backward()
            module.zero_grad()
            with self.torch.no_grad():
                layer[1] = self.orthonormalise(v + v.grad)

    def autograd(self, layers):
        """The same without gradients of weights."""
        for layer in layers:
            module, v = layer
            module.requires_grad_(False)
            v = v.detach().requires_grad_(True)
            image = module(v) - module(self.torch.zeros_like(v))
            gradient, = self.torch.autograd.grad(0.5 * (image ** 2).sum(), v)
            with self.torch.no_grad():
                layer[1] = self.orthonormalise(v + gradient)

    def lean(self, layers):
        with self.torch.no_grad():
            for layer in layers:
                module, v = layer
                w = module.weight
                if isinstance(module, self.torch.nn.Linear):
                    x = (v @ w.T) @ w
                else:
                    image = self.F.conv2d(v, w, None, module.stride, module.padding)
                    x = self.torch.nn.grad.conv2d_input(v.shape, w, image, module.stride,
                                                        module.padding)
                layer[1] = self.orthonormalise(x)

    def run(self, which, repetitions):
        step = getattr(self, which)
        if which not in self.layout:
            times = {layout: min(self.timed(lambda: step(layers), 5)[0])
                     for layout, layers in self.layers.items()}
            self.layout[which] = min(times, key=times.get)
        return self.timed(lambda: step(self.layers[self.layout[which]]), repetitions)[0]
