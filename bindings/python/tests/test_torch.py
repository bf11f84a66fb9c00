"""Whole models from and to PyTorch: names, values, logits. Skipped where torch is not installed."""
import pathlib
import subprocess
import sys
import unittest

from support import ROOT, amun, environment, np

try:
    import torch
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(ROOT) / "tests" / "interop"))
import torch_nets  # noqa: E402

SMALL = {"digits": (1, 5, 8), "resnet8": (3, 10, 16), "resnet8-nobn": (3, 4, 16),
         "simple_conv": (1, 10, 28), "simple_conv_reflect": (3, 10, 8), "convnet": (3, 10, 32)}


def network(arch, channels=3, classes=10, size=32, seed=1):
    """A torch network whose statistics are not those of a fresh one, and images."""
    torch.manual_seed(seed)
    net = torch_nets.make(arch, channels, classes, size)
    images = torch.rand(4, channels, size, size)
    net.train()
    with torch.no_grad():
        for _ in range(3):
            net(images)
    return net.eval(), images


def logits(net, images):
    with torch.no_grad():
        return net.double()(images.double()).numpy()


class Networks(unittest.TestCase):
    def compare(self, arch, channels, classes, size):
        net, images = network(arch, channels, classes, size)
        model = amun.Model.from_torch(net, shape=(channels, size, size), arch=arch)
        self.assertEqual((model.arch, model.classes, model.shape),
                         (arch, classes, (channels, size, size)))
        state = model.to_state_dict()
        self.assertEqual(set(state), set(net.state_dict()))
        for name, value in net.state_dict().items():
            self.assertEqual(state[name].dtype, value.dtype, name)
            self.assertEqual(state[name].shape, value.shape, name)
            self.assertTrue(torch.equal(state[name], value), name)
        again = torch_nets.make(arch, channels, classes, size)
        again.load_state_dict(state, strict=True)
        ours, theirs = model.predict(images), logits(again.eval(), images)
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max(), rtol=0)
        self.assertGreater(np.abs(theirs).max(), 0)

    def test_small_ones(self):
        for arch, (channels, classes, size) in SMALL.items():
            with self.subTest(arch):
                self.compare(arch, channels, classes, size)

    def test_all_others(self):
        for arch in amun.architectures():
            if arch not in SMALL:
                with self.subTest(arch):
                    self.compare(arch, 3, 10, 32)

    def test_which_one_it_is(self):
        for arch in ("digits", "resnet8-nobn", "simple_conv"):
            channels, classes, size = SMALL[arch]
            net, images = network(arch, channels, classes, size)
            model = amun.Model.from_torch(net, shape=(channels, size, size))
            self.assertEqual(model.arch, arch)
            np.testing.assert_allclose(model.predict(images), logits(net, images), atol=1e-4)
        net, _ = network("resnet18-standard")  # the names of resnet18, which halves some blocks
        self.assertEqual(amun.Model.from_torch(net).arch, "resnet18-standard")
        net.train()
        with self.assertRaisesRegex(amun.NotFoundError, "resnet18: the same names, but logits"):
            amun.Model.from_torch(net, arch="resnet18")
        self.assertTrue(net.training)  # put back as it was
        self.assertEqual(amun.Model.from_torch(net, arch="resnet18", compare=False).arch,
                         "resnet18")
        wrapped = torch.nn.DataParallel(network("resnet8")[0])
        self.assertEqual(amun.Model.from_torch(wrapped, compare=False).arch, "resnet8")

    def test_what_is_none_of_them(self):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(),
                                  torch.nn.Linear(4 * 30 * 30, 10))
        with self.assertRaisesRegex(amun.NotFoundError, "no architecture fits"):
            amun.Model.from_torch(net)
        with self.assertRaisesRegex(amun.FormatError, '^state: 4 unknown .*"0.bias".* missing'):
            amun.Model.from_torch(net, arch="digits")
        with self.assertRaises(amun.InvalidArgumentError):
            amun.Model.from_torch(torch.nn.Linear(3, 2))


class StateDicts(unittest.TestCase):
    def setUp(self):
        self.net, self.images = network("digits", 1, 10, 8)
        self.model = amun.Model.create("digits", channels=1, height=8, width=8)
        self.images = self.images.numpy()

    def test_strict_and_whole(self):
        before = self.model.predict(self.images)
        state = self.net.state_dict()
        for change, kind, part in (
                (lambda s: s.pop("conv2.weight"), amun.FormatError, "conv2.weight"),
                (lambda s: s.update(more=torch.zeros(2)), amun.FormatError, "more"),
                (lambda s: s.update({"fc.bias": torch.zeros(9)}), amun.ShapeError, "fc.bias"),
                (lambda s: s.update({"fc.bias": torch.full((10,), np.nan)}), amun.NumericError,
                 "fc.bias"),
                (lambda s: s.update({"fc.bias": torch.zeros(10, dtype=torch.complex64)}), TypeError,
                 "fc.bias")):
            wrong = dict(state)
            change(wrong)
            with self.assertRaisesRegex(kind, part):
                self.model.load_state_dict(wrong)
            np.testing.assert_array_equal(self.model.predict(self.images), before)
        self.model.load_state_dict(state)
        self.assertGreater(np.abs(self.model.predict(self.images) - before).max(), 0)

    def test_element_types(self):
        state = self.net.state_dict()
        for kind in (torch.float64, torch.float16, torch.bfloat16):
            changed = {name: value.to(kind) if value.is_floating_point() else value
                       for name, value in state.items()}
            self.model.load_state_dict(changed)
            for name, value in self.model.to_state_dict().items():
                self.assertTrue(torch.equal(value, changed[name].to(value.dtype)), name)
        named = dict(self.net.named_parameters())
        self.model.load_state_dict({**state, **named})  # those that require a gradient

    def test_arrays(self):
        self.model.load_state_dict(self.net.state_dict())
        arrays = self.model.to_state_dict(numpy=True)
        self.assertTrue(all(isinstance(value, np.ndarray) for value in arrays.values()))
        self.assertEqual(arrays["bn1.num_batches_tracked"].shape, ())
        self.assertEqual(int(arrays["bn1.num_batches_tracked"]), 3)
        arrays["fc.bias"] += 1  # a copy
        other = amun.Model.create("digits", channels=1, height=8, width=8, seed=4)
        other.load_state_dict(arrays)
        np.testing.assert_allclose(other.predict(self.images),
                                   self.model.predict(self.images) + 1, atol=1e-5)

    def test_own_graphs(self):
        graph = amun.Graph(1, 8, 8)
        at = graph.relu(graph.batchnorm(graph.conv2d(graph.input, "0", channels=4, bias=1), "1"))
        graph.linear(graph.flatten(at), "4", 3, bias=True)
        model = amun.Model.from_graph(graph, seed=2)
        net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4),
                                  torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 3))
        net.load_state_dict(model.to_state_dict(), strict=True)
        np.testing.assert_allclose(model.predict(self.images),
                                   logits(net.eval(), torch.from_numpy(self.images)), atol=1e-5)

    def test_torch_is_imported_when_needed_only(self):
        code = ("import amun, sys\nm = amun.Model.create('digits', channels=1, height=8, width=8)\n"
                "m.load_state_dict(m.to_state_dict(numpy=True))\n"
                "assert 'torch' not in sys.modules\n")
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                             env=environment(), check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
