"""What is left of a class inside a model, through the binding."""
import unittest

from support import TRAIN, amun, blobs, np


def network(seed=1):
    """flatten, a hidden layer of 8, a dense layer of 3."""
    graph = amun.Graph(1, 4, 4)
    hidden = graph.relu(graph.linear(graph.flatten(graph.input), "hidden", 8, bias=True))
    graph.linear(hidden, "fc", 3, bias=True)
    return amun.Model.from_graph(graph, seed)


class Probing(unittest.TestCase):
    def setUp(self):
        self.images, self.labels = blobs(120)
        self.train = amun.Dataset.from_arrays(self.images[:80], self.labels[:80], classes=3)
        self.test = amun.Dataset.from_arrays(self.images[80:], self.labels[80:], classes=3)
        self.model = network()
        amun.train(self.model, self.train, **TRAIN)

    def head(self):
        return (self.model.get_tensor("fc.weight", (3, 8)),
                self.model.get_tensor("fc.bias", (3,)))

    def test_features(self):
        x = amun.features(self.model, self.test)
        weight = self.model.get_tensor("hidden.weight", (8, 16))
        wanted = np.maximum(self.images[80:].reshape(40, 16) @ weight.T
                            + self.model.get_tensor("hidden.bias", (8,)), 0)
        np.testing.assert_allclose(x, wanted, atol=1e-5)
        np.testing.assert_allclose(amun.features(self.model, self.test, [5, 2]), x[[5, 2]],
                                   atol=1e-5)
        with self.assertRaises(amun.InvalidArgumentError):
            amun.features(self.model, self.test, stage=1)

    def test_probe(self):
        told = amun.probe_model(self.model, self.train, self.test, 1, ridge=0.1)
        x, t = amun.features(self.model, self.train), amun.features(self.model, self.test)
        saved = amun.probe(x, self.labels[:80], t, self.labels[80:], 3, 1, ridge=0.1)
        self.assertEqual(told[:-1], saved[:-1])
        right = saved.logits.argmax(1) == self.labels[80:]
        self.assertAlmostEqual(told.forget_accuracy, 100 * right[self.labels[80:] == 1].mean())
        self.assertGreater(told.forget_accuracy, 90)
        self.assertIsNone(told.logits)

    def test_prototype(self):
        told = amun.prototype_model(self.model, self.train, self.test, [1], samples=3, draws=5)
        x, t = amun.features(self.model, self.train), amun.features(self.model, self.test)
        rows, bias = self.head()
        saved = amun.prototype(rows, x, self.labels[:80], t, self.labels[80:], 1, bias=bias,
                               samples=3, draws=5)
        self.assertEqual(told, saved)
        right = (t @ rows.T + bias).argmax(1) == self.labels[80:]
        self.assertAlmostEqual(told.forget_before, 100 * right[self.labels[80:] == 1].mean())

    def test_numbers(self):
        self.assertEqual(amun.loss_attack([0.1, 0.2, 0.3], [9.0, 9.5, 9.9]).accuracy, 100)
        self.assertEqual(amun.forget_quality([[0.0], [1.0]], [[5.0], [6.0]]).capped, 1)
        self.assertEqual(amun.gap(1.0, [2.0, 4.0]).gap, 2.0)
        with self.assertRaises(amun.NumericError):
            amun.gap(float("nan"), [1.0])
        with self.assertRaises(amun.ShapeError):
            amun.forget_quality(np.zeros((3, 2)), np.zeros((3, 4)))


if __name__ == "__main__":
    unittest.main()
