"""The architectures of docs/architectures.md as torch modules, written from that page and with
torchvision's names. Deliberately not generated from the library's tables: they are the oracle."""
import copy

import torch
import torch.nn.functional as F
from torch import nn


def batchnorm(width, bare):
    return nn.Identity() if bare else nn.BatchNorm2d(width)


class BasicBlock(nn.Module):
    def __init__(self, width_in, width, stride, halve, bare):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = batchnorm(width, bare)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = batchnorm(width, bare)
        self.downsample = None
        self.halve = halve
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False),
                                            batchnorm(width, bare))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.downsample is None:
            return F.relu(y + x)
        y = y + self.downsample(x)
        return F.relu(y / 2 if self.halve else y)


class ResNet(nn.Module):
    def __init__(self, widths, blocks, halve, pool, channels, classes, size, bare=False,
                 bare_stem=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = batchnorm(widths[0], bare or bare_stem)
        self.stages = len(widths)
        self.pool = pool
        width_in = widths[0]
        for stage, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(width_in, width, stride, halve, bare))
                width_in = width
            setattr(self, "layer%d" % (stage + 1), nn.Sequential(*layers))
        side = -(-size // 2 ** (len(widths) - 1)) // pool if pool else 1
        self.fc = nn.Linear(widths[-1] * side * side, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            x = getattr(self, "layer%d" % (stage + 1))(x)
        x = F.avg_pool2d(x, self.pool) if self.pool else F.adaptive_avg_pool2d(x, 1)
        return self.fc(x.flatten(1))


class SimpleConv(nn.Module):
    def __init__(self, channels, classes, size):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, 1, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 1, 1)
        self.fc1 = nn.Linear(64 * (size // 4) ** 2, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class Digits(nn.Module):
    def __init__(self, channels, classes, size):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.conv3 = nn.Conv2d(64, 64, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        x = F.relu(self.bn3(self.conv3(x)))
        return self.fc(x.mean((2, 3)))


class ConvNet(nn.Module):
    ROWS = ((32, False), (64, True), (64, False), (192, True), (192, False), (192, True),
            (192, False))

    def __init__(self, channels, classes, size):
        super().__init__()
        for i, (width, _) in enumerate(self.ROWS, 1):
            setattr(self, "conv%d" % i, nn.Conv2d(channels, width, 3, 1, 1, bias=False))
            setattr(self, "bn%d" % i, nn.BatchNorm2d(width))
            channels = width
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        for i, (_, pool) in enumerate(self.ROWS, 1):
            x = getattr(self, "conv%d" % i)(x)
            x = F.relu(getattr(self, "bn%d" % i)(F.max_pool2d(x, 2) if pool else x))
        return self.fc(x.amax((2, 3))) / 8


class SimpleConvReflect(nn.Module):
    def __init__(self, channels, classes, size):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 3, padding=1, padding_mode="reflect", bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.fc = nn.Linear(64 * size * size, classes)

    def forward(self, x):
        return self.fc(F.relu(self.bn1(self.conv1(x))).flatten(1))


class VGG(nn.Module):
    """One convolution per number of `plan`, a pool per 0."""

    def __init__(self, plan, channels, classes, size):
        super().__init__()
        layers = []
        for width in plan:
            if width == 0:
                layers.append(nn.MaxPool2d(2, 2))
            else:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(512 * (size // 32) ** 2, classes)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class Bottleneck(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.bn1(x)))
        return torch.cat((self.conv2(F.relu(self.bn2(y))), x), 1)


class Transition(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.bn = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, width // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    def __init__(self, layers, growth, channels, classes, size):
        super().__init__()
        width = 2 * growth
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        for block, count in enumerate(layers):
            dense = []
            for _ in range(count):
                dense.append(Bottleneck(width, growth))
                width += growth
            setattr(self, "dense%d" % (block + 1), nn.Sequential(*dense))
            if block < 3:
                setattr(self, "trans%d" % (block + 1), Transition(width))
                width //= 2
        self.bn = nn.BatchNorm2d(width)
        self.linear = nn.Linear(width * (size // 32) ** 2, classes)

    def forward(self, x):
        x = self.conv1(x)
        x = self.trans3(self.dense3(self.trans2(self.dense2(self.trans1(self.dense1(x))))))
        return self.linear(F.avg_pool2d(F.relu(self.bn(self.dense4(x))), 4).flatten(1))


class Block(nn.Module):
    """DLA's basic block; where pytorch-cifar has an empty Sequential there is nothing to load."""

    def __init__(self, width_in, width, stride, bare):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = batchnorm(width, bare)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = batchnorm(width, bare)
        self.shortcut = nn.Sequential()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False),
                                          batchnorm(width, bare))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class Root(nn.Module):
    def __init__(self, width_in, width, bare):
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn = batchnorm(width, bare)

    def forward(self, parts):
        return F.relu(self.bn(self.conv(torch.cat(parts, 1))))


class Tree(nn.Module):
    """Recursive, as the paper draws it: levels level-1 ... 1 one after the other."""

    def __init__(self, width_in, width, level, stride, bare):
        super().__init__()
        self.level = level
        self.root = Root((2 if level == 1 else level + 2) * width, width, bare)
        below = range(level - 1, 0, -1)
        at = width_in
        for i in below:
            setattr(self, "level_%d" % i, Tree(at, width, i, stride, bare))
            at = width
        if level > 1:
            self.prev_root = Block(width_in, width, stride, bare)
        self.left_node = Block(at, width, stride if level == 1 else 1, bare)
        self.right_node = Block(width, width, 1, bare)

    def forward(self, x):
        parts = [self.prev_root(x)] if self.level > 1 else []
        for i in range(self.level - 1, 0, -1):
            x = getattr(self, "level_%d" % i)(x)
            parts.append(x)
        left = self.left_node(x)
        return self.root(parts + [left, self.right_node(left)])


class DLA(nn.Module):
    def __init__(self, channels, classes, size, bare=False):
        super().__init__()

        def conv(width_in, width):
            return nn.Sequential(nn.Conv2d(width_in, width, 3, padding=1, bias=False),
                                 batchnorm(width, bare), nn.ReLU())

        self.base = conv(channels, 16)
        self.layer1 = conv(16, 16)
        self.layer2 = conv(16, 32)
        self.layer3 = Tree(32, 64, 1, 1, bare)
        self.layer4 = Tree(64, 128, 2, 2, bare)
        self.layer5 = Tree(128, 256, 2, 2, bare)
        self.layer6 = Tree(256, 512, 1, 2, bare)
        self.linear = nn.Linear(512 * (-(-size // 8) // 4) ** 2, classes)

    def forward(self, x):
        x = self.layer2(self.layer1(self.base(x)))
        x = self.layer6(self.layer5(self.layer4(self.layer3(x))))
        return self.linear(F.avg_pool2d(x, 4).flatten(1))


RESNETS = {  # widths, blocks, halve, pool; no norms, no norm in the stem
    "resnet18": ((64, 128, 256, 512), 2, True, 4, False, False),
    "resnet18-standard": ((64, 128, 256, 512), 2, False, 0, False, False),
    "resnet18-lotos": ((64, 128, 256, 512), 2, True, 4, False, True),
    "resnet18-nobn": ((64, 128, 256, 512), 2, True, 4, True, True),
    "resnet8": ((16, 32, 64), 1, False, 0, False, False),
    "resnet8-nobn": ((16, 32, 64), 1, False, 0, True, True),
    "resnet20": ((16, 32, 64), 3, False, 0, False, False),
    "resnet20-nobn": ((16, 32, 64), 3, False, 0, True, True),
}
VGGS = {
    "vgg11": (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "vgg13": (64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0),
    "vgg16": (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0),
    "vgg19": (64, 64, 0, 128, 128, 0) + 4 * (256,) + (0,) + 2 * (4 * (512,) + (0,)),
}


def make(arch, channels, classes, size):
    if arch in RESNETS:
        widths, blocks, halve, pool, bare, bare_stem = RESNETS[arch]
        return ResNet(widths, blocks, halve, pool, channels, classes, size, bare, bare_stem)
    if arch in VGGS:
        return VGG(VGGS[arch], channels, classes, size)
    if arch == "densenet121":
        return DenseNet((6, 12, 24, 16), 32, channels, classes, size)
    if arch in ("dla", "dla-nobn"):
        return DLA(channels, classes, size, arch == "dla-nobn")
    return {"simple_conv": SimpleConv, "simple_conv_reflect": SimpleConvReflect,
            "digits": Digits, "convnet": ConvNet}[arch](channels, classes, size)


def norms(net):
    return [(name, m) for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]


def fill(tensor, generator, low, high):
    with torch.no_grad():
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))


def one_sided(net, generator):
    """For networks without batch norm and biases, on images >= 0: each convolution's channels have
    weights of one sign, so that each ReLU's input does. Negative channels end in their ReLU."""
    for name, conv in net.named_modules():
        if isinstance(conv, nn.Conv2d):
            fill(conv.weight, generator, 0.3, 0.9)
            with torch.no_grad():
                conv.weight /= conv.weight[0].numel()
                if not name.endswith(("conv2", "downsample.0", "shortcut.0")):  # those are summed
                    signs = torch.sign(torch.rand(len(conv.weight), generator=generator) - 0.3)
                    conv.weight *= signs.reshape(-1, 1, 1, 1)


class Kinks:
    """How near the forward passes inside `with` come to where a gradient jumps: a ReLU's input to 0,
    the two largest values of a window to each other. In units of the largest value there."""

    def __enter__(self):
        self.distance = float("inf")
        self.saved = F.relu, F.max_pool2d, torch.Tensor.amax
        relu, pool, amax = self.saved

        def watched_relu(x, *args, **kwargs):
            self.note(x.abs(), x)
            return relu(x, *args, **kwargs)

        def watched_pool(x, size, stride=None, *args, **kwargs):
            windows = F.unfold(x.reshape(-1, 1, *x.shape[2:]), size, stride=stride or size)
            self.note_largest(windows.transpose(1, 2), x)
            return pool(x, size, stride, *args, **kwargs)

        def watched_amax(x, dim):
            self.note_largest(x.flatten(2), x)
            return amax(x, dim)

        F.relu, F.max_pool2d, torch.Tensor.amax = watched_relu, watched_pool, watched_amax
        return self

    def __exit__(self, *_):
        F.relu, F.max_pool2d, torch.Tensor.amax = self.saved

    def note(self, gaps, x):
        if gaps.numel() > 0:
            self.distance = min(self.distance, float(gaps.min() / x.abs().max()))

    def note_largest(self, rows, x):
        top = rows.topk(2, -1).values
        gaps = top[..., 0] - top[..., 1]
        self.note(gaps[top[..., 0] != 0], x)  # what a ReLU made 0 gets no gradient anyway


def apart(make, tries=6, enough=1e-5):
    """make(seed) -> (nets, images, ...): cases of several seeds, that one first whose passes, in
    evaluation and in training, stay farthest from all kinks. Rounding that flips one moves a gradient
    by far more than rounding does, whoever computes it, and large networks always have one near. So
    a comparison may take the next case if one fails; what is wrong fails in all of them."""
    cases = []
    for seed in range(tries):
        case = make(seed)
        nets, images = case[:2]
        with Kinks() as kinks, torch.no_grad():
            for net in nets:
                twin = copy.deepcopy(net).double()
                for train in (False, True):
                    twin.train(train)(torch.from_numpy(images).double())
        cases.append((-kinks.distance, seed, case))
        if kinks.distance > enough:
            break
    return [case for _, _, case in sorted(cases, key=lambda entry: entry[:2])][:4]


def stir(net, images, smooth, seed):
    """Batch norms of a fresh net do nothing; after this they do. `smooth`: each ReLU's input stays
    on one side of 0 (channel by channel), so that rounding cannot flip one and gradients of two
    programs are comparable to many digits; else as in life. Running statistics near the true ones."""
    generator = torch.Generator().manual_seed(seed)
    if smooth and not norms(net):
        one_sided(net, generator)
    for name, norm in norms(net):
        if not smooth:
            fill(norm.weight, generator, 0.5, 1.5)
            fill(norm.bias, generator, -0.3, 0.3)
            continue
        fill(norm.weight, generator, 0.12, 0.18)  # times at most 5 sigma: below the shift
        fill(norm.bias, generator, 0.9, 1.1)
        if not name.endswith(("bn2", "downsample.1", "shortcut.1")):  # those are summed; the sum stays positive
            with torch.no_grad():
                norm.bias *= torch.sign(torch.rand(norm.bias.shape, generator=generator) - 0.3)
    for _, norm in norms(net):
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(images)
    for _, norm in norms(net):
        norm.momentum = 0.1
        norm.num_batches_tracked.zero_()
        with torch.no_grad():
            spread = norm.running_var.sqrt()
            norm.running_mean += 0.2 * spread * (torch.rand(spread.shape, generator=generator) - 0.5)
            norm.running_var *= 0.8 + 0.4 * torch.rand(spread.shape, generator=generator)
