"""Choosing a rate, the two-sided check and relearning, through the binding."""
import unittest

from support import TRAIN, amun, blobs, linear, np


class Selecting(unittest.TestCase):
    def setUp(self):
        images, labels = blobs(90)
        self.data = amun.Dataset.from_arrays(images[:60], labels[:60], classes=3)
        self.heldout = amun.Dataset.from_arrays(images[60:], labels[60:], classes=3)
        self.model = linear()
        amun.train(self.model, self.data, **TRAIN)
        self.forget = list(range(10))

    def test_check(self):
        rng = np.random.default_rng(3)
        forget, unseen = rng.normal(1.0, 1, 80), rng.normal(0, 1, 120)
        told = amun.forget_check(forget, unseen)
        pairs = (forget[:, None] > unseen[None, :]).astype(float)
        variance = pairs.mean(1).var(ddof=1) / 80 + pairs.mean(0).var(ddof=1) / 120
        self.assertAlmostEqual(told.auc, 100 * pairs.mean(), places=9)
        self.assertAlmostEqual(told.error, 100 * np.sqrt(variance), places=9)
        self.assertIs(told.verdict, amun.Verdict.UNDER)
        self.assertIs(amun.forget_check(unseen, forget).verdict, amun.Verdict.OVER)
        with self.assertRaises(amun.InvalidArgumentError):
            amun.forget_check([1.0], unseen)

    def test_check_of_a_model(self):
        told = amun.forget_check_model(self.model, self.data, self.forget, self.heldout)
        self.assertLessEqual(told.low, told.auc)
        part = amun.forget_check_model(self.model, self.data, self.forget, self.heldout,
                                       indices=range(30))
        self.assertEqual(part, told)

    def test_rates(self):
        chosen = amun.select_rate(self.model, self.data, self.forget, self.heldout, [1e-6, 0.1],
                                  method="random_label", tolerance=100,
                                  train=dict(epochs=2, batch=10, augment_pad=0, augment_flip=0))
        self.assertEqual([trial.lr for trial in chosen.trials], [1e-6, 0.1])
        gaps = [abs(trial.auc - 50) for trial in chosen.trials]
        self.assertEqual(chosen.rate, chosen.trials[int(np.argmin(gaps))].lr)
        accuracy = chosen.model.evaluate(self.data, self.forget).accuracy
        best = chosen.trials[int(np.argmin(gaps))]
        self.assertAlmostEqual(accuracy, best.forget_accuracy, places=9)

    def test_relearning(self):
        known = amun.relearn_time(self.model, self.data, self.forget, 50)
        self.assertEqual(known.steps, 0)
        fresh = amun.relearn_time(linear(seed=9), self.data, self.forget, 90, lr=0.3, batch=10)
        self.assertGreater(fresh.steps, 0)
        self.assertGreaterEqual(fresh.after, 90)


if __name__ == "__main__":
    unittest.main()
