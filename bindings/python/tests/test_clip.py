#!/usr/bin/env python3
"""Clipping against NumPy's singular values, and as an option of training."""
import unittest

from support import TRAIN, amun, blobs, linear, np


def norm(model):
    return np.linalg.svd(model.get_tensor("fc.weight", (3, 16)).astype(float))[1].max()


class Clip(unittest.TestCase):
    def setUp(self):
        self.model = linear()
        weights = self.model.get_tensor("fc.weight", (3, 16)) * 5
        self.model.set_tensor("fc.weight", weights)
        self.u, self.s, self.vt = np.linalg.svd(weights.astype(float), full_matrices=False)

    def test_run(self):
        target = float(self.s[1])  # only the largest value is above
        seen = []
        result = amun.Clipper(self.model, target=target, final_scale=0).run(
            progress=lambda p: seen.append(p.phase))
        self.assertIsInstance(result, amun.ClipResult)
        self.assertEqual((result.layers, result.changed), (1, 1))
        self.assertEqual(set(seen), {"clip"})
        self.assertTrue(np.isinf(result.upper))
        clipped = (self.u * np.minimum(self.s, target)) @ self.vt
        np.testing.assert_allclose(self.model.get_tensor("fc.weight", (3, 16)), clipped, atol=1e-6)

    def test_certified(self):
        result = amun.Clipper(self.model, target=0.5, method="scale").run()
        self.assertLessEqual(result.upper, 1.0)
        self.assertLessEqual(norm(self.model), 0.5)

    def test_steps(self):
        clipper = amun.Clipper(self.model, target=0.5, every=2)
        self.assertEqual([clipper.step().changed for _ in range(4)], [0, 0, 1, 0])

    def test_training(self):
        images, labels = blobs(200)
        data = amun.Dataset.from_arrays(images, labels)
        free, held, how = linear(), linear(), dict(TRAIN, schedule="cosine")
        amun.train(free, data, **how)
        amun.train(held, data, clip={"target": 0.7, "every": 1}, **how)
        self.assertGreater(norm(free), 1.5)
        self.assertLess(norm(held), 0.75)  # the last update, a small one, comes after the last clip
        options = amun.TrainOptions(clip=amun.ClipOptions(method="miyato", target=1.2, every=1))
        self.assertEqual(options.clip.method, amun.ClipMethod.MIYATO)
        self.assertIsNone(amun.TrainOptions().clip)
        amun.train(held, data, clip=options.clip, **how)
        self.assertAlmostEqual(norm(held), 1.2, delta=0.05)

    def test_errors(self):
        with self.assertRaises(amun.InvalidArgumentError):
            amun.Clipper(self.model, target=0)
        with self.assertRaises(amun.UnsupportedError):
            amun.Clipper(self.model, method=amun.ClipMethod.GOUK,
                         batchnorm=amun.ClipBatchnorm.COMPOSITE)
        with self.assertRaises(amun.UnsupportedError):
            amun.Clipper(self.model, method="miyato").step()
        with self.assertRaises(TypeError):
            amun.Clipper(self.model, norm=1)


if __name__ == "__main__":
    unittest.main()
