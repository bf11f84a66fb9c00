"""The architectures of docs/architectures.md as torch modules, written from that page and with
torchvision's names. Deliberately not generated from the library's tables: they are the oracle."""
import torch
import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    def __init__(self, width_in, width, stride, halve):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        self.halve = halve
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False),
                                            nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.downsample is None:
            return F.relu(y + x)
        y = y + self.downsample(x)
        return F.relu(y / 2 if self.halve else y)


class ResNet(nn.Module):
    def __init__(self, widths, blocks, halve, pool, channels, classes, size):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.stages = len(widths)
        self.pool = pool
        width_in = widths[0]
        for stage, width in enumerate(widths):
            layers = []
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(BasicBlock(width_in, width, stride, halve))
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


def make(arch, channels, classes, size):
    if arch == "resnet18":
        return ResNet((64, 128, 256, 512), 2, True, 4, channels, classes, size)
    if arch == "resnet18-standard":
        return ResNet((64, 128, 256, 512), 2, False, 0, channels, classes, size)
    if arch == "resnet8":
        return ResNet((16, 32, 64), 1, False, 0, channels, classes, size)
    if arch == "resnet20":
        return ResNet((16, 32, 64), 3, False, 0, channels, classes, size)
    return {"simple_conv": SimpleConv, "digits": Digits}[arch](channels, classes, size)


def norms(net):
    return [(name, m) for name, m in net.named_modules() if isinstance(m, nn.BatchNorm2d)]


def fill(tensor, generator, low, high):
    with torch.no_grad():
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))


def stir(net, images, smooth, seed):
    """Batch norms of a fresh net do nothing; after this they do. `smooth`: each ReLU's input stays
    on one side of 0 (channel by channel), so that rounding cannot flip one and gradients of two
    programs are comparable to many digits; else as in life. Running statistics near the true ones."""
    generator = torch.Generator().manual_seed(seed)
    for name, norm in norms(net):
        if not smooth:
            fill(norm.weight, generator, 0.5, 1.5)
            fill(norm.bias, generator, -0.3, 0.3)
            continue
        fill(norm.weight, generator, 0.12, 0.18)  # times at most 5 sigma: below the shift
        fill(norm.bias, generator, 0.9, 1.1)
        if not name.endswith(("bn2", "downsample.1")):  # those are summed; the sum stays positive
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
