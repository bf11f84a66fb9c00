#!/usr/bin/env python3
"""Spectra and Lipschitz constants against NumPy's singular values."""
import unittest

from support import amun, blobs, linear, np


def explicit(weights, height, width):
    """The matrix of a 3x3 convolution of stride 1, padded by zeros."""
    out, channels = weights.shape[:2]
    matrix = np.zeros((out, height, width, channels, height, width))
    for y in range(height):
        for x in range(width):
            for a in range(3):
                for b in range(3):
                    h, w = y + a - 1, x + b - 1
                    if 0 <= h < height and 0 <= w < width:
                        matrix[:, y, x, :, h, w] = weights[:, :, a, b]
    return matrix.reshape(out * height * width, -1)


def network(seed=1):
    graph = amun.Graph(2, 6, 6)
    at = graph.conv2d(graph.input, "conv", channels=4)
    at = graph.relu(graph.batchnorm(at, "bn"))
    graph.linear(graph.flatten(at), "fc", 3, bias=True)
    model = amun.Model.from_graph(graph, seed)
    rng = np.random.default_rng(seed)
    model.set_tensor("bn.weight", rng.uniform(-2, 2, 4).astype(np.float32))
    model.set_tensor("bn.running_var", rng.uniform(0.5, 2, 4).astype(np.float32))
    return model


class Spectra(unittest.TestCase):
    def setUp(self):
        self.model = network()
        weights = self.model.get_tensor("conv.weight", (4, 2, 3, 3)).astype(float)
        self.factors = (self.model.get_tensor("bn.weight", (4,)).astype(float)
                        / np.sqrt(self.model.get_tensor("bn.running_var", (4,)).astype(float)
                                    + 1e-5))
        self.flat = weights.reshape(4, -1)
        self.conv = explicit(weights, 6, 6)
        self.folded = explicit(weights * self.factors[:, None, None, None], 6, 6)
        self.fc = self.model.get_tensor("fc.weight", (3, 144)).astype(float)

    def test_layers(self):
        spectrum = amun.Spectrum(self.model, k=3, tol=1e-5)
        self.assertTrue(np.isnan(spectrum[0].sigma_lower))
        with self.assertRaises(amun.StateError):
            spectrum.values(0)
        seen = []
        self.assertIs(spectrum.run(progress=lambda p: seen.append(p.phase)), spectrum)
        self.assertEqual(set(seen), {"spectrum"})
        self.assertEqual([(l.name, l.kind, l.in_shape, l.converged) for l in spectrum],
                         [("conv", amun.LayerKind.CONV2D, (2, 6, 6), True),
                          ("bn", amun.LayerKind.BATCHNORM, (4, 6, 6), True),
                          ("fc", amun.LayerKind.LINEAR, (144, 1, 1), True)])
        for i, truth in ((0, np.linalg.svd(self.conv)[1]), (2, np.linalg.svd(self.fc)[1])):
            sigma, residuals = spectrum.values(i)
            np.testing.assert_allclose(sigma, truth[:3], rtol=1e-5)
            self.assertTrue((residuals <= 1e-4).all())
            self.assertLessEqual(spectrum[i].sigma_lower, spectrum[i].sigma_upper)
            self.assertGreaterEqual(spectrum[i].sigma_upper, truth[0])
        self.assertAlmostEqual(spectrum[0].sigma_flat, np.linalg.norm(self.flat, 2), 6)
        self.assertEqual(spectrum[-1].bound, amun.BoundKind.EXACT)
        self.assertAlmostEqual(spectrum[1].sigma_upper, abs(self.factors).max(), 5)
        vector = spectrum.vector(0, 1)
        self.assertEqual(vector.shape, (2, 6, 6))
        self.assertAlmostEqual(np.linalg.norm(self.conv @ vector.ravel()),
                               spectrum.values(0)[0][1], 4)
        for wrong in (3, -1):
            with self.assertRaises(amun.InvalidArgumentError):
                spectrum.vector(0, wrong)
        with self.assertRaises(IndexError):
            spectrum[3]

    def test_methods(self):
        exact = amun.Spectrum(self.model, method="exact", fold_batchnorm=1).run()
        truth = np.linalg.svd(self.folded)[1]
        self.assertEqual((exact[0].kind, exact[0].batchnorm),
                         (amun.LayerKind.CONV2D_BATCHNORM, "bn"))
        np.testing.assert_allclose(exact.values(0)[0], truth[:72], rtol=1e-10, atol=1e-12)
        legacy = amun.Spectrum(self.model, method="legacy", max_iterations=30, certify=0).run()
        self.assertEqual((legacy[0].iterations, legacy[0].converged), (30, False))
        self.assertEqual(legacy[0].sigma_upper, np.inf)
        with self.assertRaises(amun.NumericError):
            amun.Spectrum(self.model).run(1)
        with self.assertRaises(amun.InvalidArgumentError):
            amun.Spectrum(self.model, k=0)

    def test_lipschitz(self):
        spectrum = amun.Spectrum(self.model, fold_batchnorm=1, tol=1e-5).run()
        whole = spectrum.lipschitz()
        product = np.linalg.norm(self.folded, 2) * np.linalg.norm(self.fc, 2)
        self.assertGreaterEqual(whole.upper, product)
        self.assertAlmostEqual(whole.estimate, product, 4)
        nodes = spectrum.lipschitz_nodes(6)
        self.assertEqual((nodes[0], nodes[-1]), (1, whole.upper))
        with self.assertRaises(amun.ShapeError):
            spectrum.lipschitz_nodes(5)
        images = np.random.default_rng(0).random((5, 2, 6, 6), np.float32)
        data = amun.Dataset.from_arrays(images)
        local = amun.lipschitz_local(self.model, data)
        self.assertEqual(local.largest, local.per_image.max())
        self.assertLessEqual(local.largest, whole.upper)
        some = amun.lipschitz_local(self.model, data, indices=[3])
        self.assertAlmostEqual(some.largest, local.per_image[3], 5)

    def test_local_of_a_linear_model(self):
        model, (images, labels) = linear(), blobs(4)
        local = amun.lipschitz_local(model, amun.Dataset.from_arrays(images, labels))
        truth = np.linalg.norm(model.get_tensor("fc.weight", (3, 16)).astype(float), 2)
        np.testing.assert_allclose(local.per_image, truth, rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
