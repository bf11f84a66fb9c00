"""The nearest adversarial example by DDN and FMN: both walks recomputed with PyTorch's gradients."""
import math
import unittest

from support import amun, np

STEPS = 12


def two_layers():
    graph = amun.Graph(1, 4, 5)
    hidden = graph.relu(graph.linear(graph.flatten(graph.input), "fc1", 40, bias=True))
    graph.linear(hidden, "fc2", 4, bias=True)
    return amun.Model.from_graph(graph, seed=3)


def anneal(first, last, k):
    return last + (first - last) * (1 + math.cos(math.pi * k / STEPS)) / 2


def reference(torch, net, image, label, ddn):
    """(distance, label, radius) of the nearest wrong iterate, and the smallest lead of the label
    in absolute value: where it is zero, rounding decides where the walk goes."""
    x = torch.from_numpy(image).double()
    d, radius, best, closest = torch.zeros_like(x), 1.0 if ddn else 0.0, None, math.inf
    for k in range(STEPS + 1):
        at = (x + d).requires_grad_(True)
        logits = net(at)
        now = int(logits.argmax())
        others = torch.cat([logits[:label], logits[label + 1:]])
        gap = logits[label] - others.max()
        closest = min(closest, abs(float(gap)))
        if now != label and (best is None or float(d.norm()) < best[0]):
            best = float(d.norm()), now, radius if k else 0.0
        if k == STEPS or (k == 0 and best):
            break
        loss = torch.logsumexp(logits, 0) - logits[label] if ddn else -gap
        gradient, = torch.autograd.grad(loss, at)
        if ddn:
            radius *= 0.95 if now != label else 1.05
        elif now != label:
            radius = min(radius * (1 - anneal(0.05, 0.001, k)), best[0])
        else:
            grown = radius * (1 + anneal(0.05, 0.001, k))
            linear = float(d.norm() + gap.detach() / gradient.norm())
            radius = grown if best else max(linear, grown)
        d = d + anneal(1, 0.01, k) * gradient / gradient.norm()
        d = d * (radius / d.norm() if ddn or d.norm() > radius else 1)
        d = (x + d).clamp(0, 1) - x
    return best, closest


class Search(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = two_layers()
        cls.images = np.random.default_rng(2).random((64, 1, 4, 5), np.float32)
        cls.labels = cls.model.predict(cls.images).argmax(axis=1)
        cls.labels[::9] = (cls.labels[::9] + 1) % 4

    def run_search(self, **options):
        return amun.Attack.search(**options).run(self.model, self.images, self.labels)

    def test_against_torch(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is not installed")
        shapes = {"fc1.weight": (40, 20), "fc1.bias": 40, "fc2.weight": (4, 40), "fc2.bias": 4}
        w1, b1, w2, b2 = (torch.from_numpy(self.model.get_tensor(name, shape)).double()
                          for name, shape in shapes.items())

        def net(at):
            return w2 @ torch.relu(w1 @ at.flatten() + b1) + b2

        for method in (amun.SearchMethod.DDN, amun.SearchMethod.FMN):
            _images, table = self.run_search(method=method, steps=STEPS)
            compared = 0
            for i, row in enumerate(table):
                best, closest = reference(torch, net, self.images[i], int(self.labels[i]),
                                          method == amun.SearchMethod.DDN)
                if closest < 1e-5:
                    continue
                compared += 1
                if best is None:
                    self.assertEqual(row["outcome"], amun.AttackOutcome.FAILED_BUDGET)
                    continue
                self.assertEqual(row["outcome"], amun.AttackOutcome.FLIPPED)
                self.assertEqual(row["adversarial"], best[1])
                self.assertAlmostEqual(row["l2"], best[0], places=4)
                self.assertAlmostEqual(row["eps"], best[2], places=4)
            self.assertGreater(compared, 20)

    def test_options(self):
        _images, table = self.run_search(method=amun.SearchMethod.FMN, steps=7, gamma=0.1)
        self.assertTrue(set(table["updates"]) <= {0, 7})
        _images, table = self.run_search(pilot=8, pilot_percentile=100, pilot_eps=0.3, growth=3)
        moved = table["updates"] > 0
        start = table["eps"][:8][moved[:8]].max()
        self.assertGreaterEqual(table["eps"][8:][moved[8:]].min(), start)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.Attack.search(method=amun.SearchMethod.DDN, norm=amun.Norm.LINF)
        self.assertIn("ddn", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
