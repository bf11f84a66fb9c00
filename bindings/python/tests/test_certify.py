"""What Lipschitz constants promise, through the binding: radii against the distance to a hyperplane,
the transfer proposition and the terms of AMUN's bound against NumPy."""
import unittest

from support import TRAIN, amun, blobs, linear, np


def losses(model, images, labels):
    z = model.predict(images).astype(np.float64)
    z -= z.max(1, keepdims=True)
    return np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels]


class Certifying(unittest.TestCase):
    def setUp(self):
        self.images, self.labels = blobs(60)
        self.data = amun.Dataset.from_arrays(self.images, self.labels, classes=3)
        self.models = [linear(seed=seed) for seed in (1, 2)]
        for model in self.models:
            amun.train(model, self.data, **TRAIN)
        self.norms = [np.linalg.norm(model.get_tensor("fc.weight", (3, 16)).astype(np.float64), 2)
                      for model in self.models]

    def test_radii(self):
        alone = amun.Ensemble(self.models[:1])
        told = amun.certify(alone, self.norms[0], self.data, eps=0.05)
        z = self.models[0].predict(self.images).astype(np.float64)
        own = z[np.arange(60), self.labels]
        z[np.arange(60), self.labels] = -np.inf
        margin = own - z.max(1)
        expected = np.maximum(margin, 0) / (np.sqrt(2) * self.norms[0])
        np.testing.assert_allclose(told.radii, expected, atol=1e-6)
        self.assertEqual(told.result.right, (margin > 0).sum())
        self.assertEqual(told.result.certified, (expected > 0.05).sum())
        some = amun.certify(alone, self.norms[0], self.data, indices=[3, 5])
        np.testing.assert_allclose(some.radii, told.radii[[3, 5]], rtol=1e-5)  # rounding
        both = amun.certify(amun.Ensemble(self.models), self.norms, self.data)
        self.assertEqual(both.radii.shape, (60,))
        with self.assertRaises(amun.InvalidArgumentError):
            amun.certify(alone, 0.0, self.data)

    def test_transfer_bound(self):
        attack = amun.Attack.pgd_l2(eps=0.3, step=0.1, steps=5)
        told = amun.transfer_bound(*self.models, self.norms, 0.3, self.data, attack=attack)
        moved, _ = attack.run(self.models[0], self.images, self.labels)
        for i, model in enumerate(self.models):
            self.assertAlmostEqual(told.clean[i], losses(model, self.images, self.labels).mean(), 5)
            self.assertAlmostEqual(told.attacked[i], losses(model, moved, self.labels).mean(), 5)
        gap = abs(told.clean[0] - told.clean[1])
        self.assertAlmostEqual(told.bound, gap + 2 * np.sqrt(2) * max(self.norms) * 0.3, 6)
        self.assertLessEqual(abs(told.attacked[0] - told.attacked[1]), told.bound)

    def test_unlearn_diagnose(self):
        forget = [2, 7, 11]
        found = amun.AdvSet.build(amun.Attack.search(), self.models[0], self.data, forget)
        told = amun.unlearn_diagnose(self.models[0], self.models[1], self.data, found,
                                     self.norms[0], 10.0)
        self.assertEqual(told.samples, 3)
        self.assertAlmostEqual(told.delta, found.records["l2"].mean(), 6)
        self.assertAlmostEqual(told.l_delta, np.sqrt(2) * self.norms[0] * told.delta, 6)
        self.assertTrue(np.isnan(told.bound))
        full = amun.unlearn_diagnose(self.models[0], self.models[1], self.data, found,
                                     self.norms[0], 10.0, retrained=self.models[1])
        self.assertEqual(full.after, 0.0)
        self.assertAlmostEqual(full.retrained_clean,
                               losses(self.models[1], self.images[forget],
                                      self.labels[forget]).mean(), 5)


if __name__ == "__main__":
    unittest.main()
