"""Tilted reweighting: the calls against NumPy, and the method in unlearn()."""
import unittest

from support import TRAIN, amun, blobs, linear, np


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def tilted(logits, scores, forget, beta):
    z = logits + beta * scores
    z[:, forget] = -np.inf
    return softmax(z)


class Arithmetic(unittest.TestCase):
    def setUp(self):
        random = np.random.RandomState(4)
        self.rows = random.randn(6, 20)
        self.logits = random.randn(30, 6)
        self.reference = random.randn(30, 6)
        self.forget, self.kept = [4, 1], [0, 2, 3, 5]
        self.labels = np.array(self.forget)[np.arange(30) % 2]
        self.features = random.rand(30, 7).astype(np.float32)
        self.remain = random.rand(400, 7).astype(np.float32)
        self.remain_labels = np.array(self.kept)[np.arange(400) % 4]

    def test_scores(self):
        centred = self.rows - self.rows.mean(0)
        u, s, _ = np.linalg.svd(centred, full_matrices=False)
        kept = 1 + int(np.searchsorted(np.cumsum(s ** 2), 0.8 * (s ** 2).sum()))
        x = u[:, :kept] * s[:kept]
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        scores = amun.trw_scores(self.rows, self.forget, energy=0.8, temperature=0.3)
        for row, f in zip(scores, self.forget):
            np.testing.assert_allclose(row[self.kept], softmax(x[self.kept] @ x[f] / 0.3),
                                       rtol=1e-10)
            self.assertEqual(list(row[self.forget]), [0, 0])
        cosines = amun.trw_scores(self.rows, 4, options=amun.TrwOptions(score="cosine",
                                                                        components=2))
        x = u[:, :2] * s[:2]
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.testing.assert_allclose(np.delete(cosines[0], 4), np.delete(x @ x[4], 4), rtol=1e-10)
        with self.assertRaises(amun.InvalidArgumentError):
            amun.trw_scores(self.rows, [1, 6])
        with self.assertRaises(TypeError):
            amun.trw_scores(self.rows, 1, options=amun.TrwOptions(), beta=1)

    def test_targets_and_tilt(self):
        scores = amun.trw_scores(self.rows, self.forget)
        mine = scores[(self.labels == 1).astype(int)]
        q = amun.trw_targets(self.logits, self.labels, self.forget, scores, beta=3)
        expected = tilted(self.logits, mine, self.forget, 3)
        np.testing.assert_allclose(q, expected, atol=1e-14)
        np.testing.assert_array_equal(
            q, amun.trw_targets(self.logits, None, self.forget, mine, beta=3))
        moment, slope = amun.trw_moment(self.logits, self.labels, self.forget, scores, 3)
        self.assertAlmostEqual(moment, (q * mine).sum(1).mean(), 13)
        self.assertAlmostEqual(slope, ((q * mine ** 2).sum(1) - (q * mine).sum(1) ** 2).mean(), 13)
        beta = amun.trw_solve_beta(self.logits, self.labels, self.forget, scores, moment)
        self.assertAlmostEqual(beta, 3, 9)
        wanted = (tilted(self.reference, mine, self.forget, 2) * mine).sum(1).mean()
        tilt, got = amun.trw_beta_from_reference(self.logits, self.reference + 2 * mine,
                                                 self.labels, self.forget, scores)
        self.assertAlmostEqual(got, wanted, 12)
        again = amun.trw_moment(self.logits, self.labels, self.forget, scores, tilt).moment
        self.assertAlmostEqual(again, wanted, 11)
        with self.assertRaises(amun.NumericError):
            amun.trw_solve_beta(self.logits, self.labels, self.forget, scores, 5.0)

    def test_samples(self):
        x, y = self.features.astype(float), self.remain.astype(float)
        mean = y.mean(0)
        means = np.array([y[self.remain_labels == j].mean(0) for j in self.kept]) - mean
        own = x - mean
        cosines = (own @ means.T) / np.linalg.norm(own, axis=1)[:, None] / np.linalg.norm(
            means, axis=1)
        scores = amun.trw_sample_scores(self.features, self.remain, self.remain_labels,
                                        self.forget, 6, temperature=0.5)
        np.testing.assert_allclose(scores[:, self.kept], softmax(cosines / 0.5), rtol=1e-9)
        unit = y / np.linalg.norm(y, axis=1)[:, None]
        nearest = np.argsort(-(x @ unit.T), axis=1)[:, :15]
        votes = np.array([[(self.remain_labels[row] == j).sum() for j in self.kept]
                          for row in nearest])
        near = amun.trw_sample_scores(self.features, self.remain, self.remain_labels,
                                      self.forget, 6, neighbours=15)
        np.testing.assert_allclose(near[:, self.kept], (votes + 1) / 19, rtol=1e-12)
        by_class = amun.trw_scores(self.rows, self.forget)
        mixed = amun.trw_mix(near, by_class, self.labels, self.forget, kappa=0.25)
        expected = 0.25 * near + 0.75 * by_class[(self.labels == 1).astype(int)]
        np.testing.assert_allclose(mixed, expected, rtol=1e-12)


class Method(unittest.TestCase):
    def setUp(self):
        self.images, self.labels = blobs(120)
        self.data = amun.Dataset.from_arrays(self.images, self.labels)
        self.model = linear()
        amun.train(self.model, self.data, **TRAIN)
        self.gone = int(self.labels[0])
        self.forget = np.flatnonzero(self.labels == self.gone)

    def test_a_class_is_forgotten(self):
        for method in ("trw", "delete"):
            model = self.model.clone()
            result = amun.unlearn(model, self.data, self.forget, method=method,
                                  trw=dict(beta=2, control="ranks"),
                                  train=dict(epochs=40, lr=1.0, batch=40, augment_pad=0,
                                             augment_flip=0))
            self.assertEqual(result.forget, len(self.forget))
            self.assertEqual(result.remain, 0 if method == "delete" else 120 - len(self.forget))
            guesses = model.predict(self.images[self.forget]).argmax(1)
            self.assertFalse((guesses == self.gone).any())
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.unlearn(self.model, self.data, self.forget[1:], method="trw")
        self.assertIn("whole classes", str(caught.exception))

    def test_rival_options(self):
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.unlearn(self.model, self.data, self.forget, method="neggrad_plus",
                         rival=dict(retain_weight=1.5))
        self.assertIn("retain_weight", str(caught.exception))

    def test_selection(self):
        seen = []
        chosen = amun.trw_select_beta(self.model, self.data, self.forget, betas=[0, 4], share=0.2,
                                      tolerance=100, trw=amun.TrwOptions(temperature=0.2),
                                      train=dict(epochs=1, augment_pad=0, augment_flip=0),
                                      progress=lambda p: seen.append(p.phase) and None)
        self.assertEqual(chosen.beta, 4)
        self.assertEqual(chosen.heldout.shape, (2,))
        self.assertTrue((chosen.heldout >= 0).all() and 0 <= chosen.original <= 100)
        self.assertEqual(seen.count("candidates"), 2)


if __name__ == "__main__":
    unittest.main()
