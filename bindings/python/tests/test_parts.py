"""Data, networks, attacks, unlearning, audits: that arguments arrive and results come back. What
the algorithms compute is tested in C; here a few figures are recomputed with NumPy."""
import gc
import json
import os
import sys
import tempfile
import unittest

from support import DIGITS, TRAIN, amun, blobs, linear, np

from amun import _data


class Data(unittest.TestCase):
    def test_arrays_are_not_copied(self):
        with amun.Context() as context:
            images, labels = np.zeros((500, 3, 32, 32), np.uint8), np.arange(500) % 10
            before = context.memory.current
            data = amun.Dataset.from_arrays(images, labels, context=context)
            self.assertLess(context.memory.current - before, images.nbytes // 2)
            images[7, 2, 1, 0] = 255  # not for users; it shows whose memory is read
            self.assertEqual(data.read(7, 1)[0, 2, 1, 0], 1.0)
            self.assertEqual((len(data), data.classes, data.shape), (500, 10, (3, 32, 32)))

    def test_arrays_live_as_long_as_needed(self):
        images, labels = blobs(20)
        held = sys.getrefcount(images)
        data = amun.Dataset.from_arrays(images, labels)
        part = data.subset([3])
        data.close()
        self.assertGreater(sys.getrefcount(images), held)
        expected = images[3].copy()
        np.testing.assert_array_equal(part.read()[0], expected)
        part.close()
        gc.collect()
        self.assertEqual(sys.getrefcount(images), held)
        for classes in (2, "3"):  # labels out of range; the wrong type
            with self.assertRaises((amun.AmunError, TypeError)):
                amun.Dataset.from_arrays(images, labels, classes=classes)
        gc.collect()
        self.assertEqual(sys.getrefcount(images), held)
        self.assertFalse([key for key, (view, _) in _data._borrowed.items()
                          if view.array is images])

    def test_digits(self):
        data = amun.Dataset.idx(*DIGITS)
        self.assertEqual((len(data), data.shape, data.classes), (1797, (1, 8, 8), 10))
        labels = np.fromfile(DIGITS[1], np.uint8)[8:]
        pixels = np.fromfile(DIGITS[0], np.uint8)[16:].reshape(-1, 1, 8, 8)
        np.testing.assert_array_equal(data.labels(), labels)
        np.testing.assert_array_equal(data.labels(100, 3), labels[100:103])
        np.testing.assert_allclose(data.read(5, 2), pixels[5:7] / 255, atol=1e-7)
        with self.assertRaises(amun.AmunError):
            data.labels(1790, 100)
        with self.assertRaises(amun.AmunError):
            data.read(1790, 10**6)

    def test_npy(self):
        images, labels = blobs(6)
        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, name) for name in ("x.npy", "y.npy")]
            amun.npy_write(names[0], images)
            amun.npy_write(names[1], labels)
            np.testing.assert_array_equal(np.load(names[0]), images)
            np.testing.assert_array_equal(amun.Dataset.npy(*names).read(), images)

    def test_forget_indices(self):
        expected = np.random.RandomState(10).permutation(50000)[:100]
        np.testing.assert_array_equal(amun.forget_indices(100, 50000, 10), expected)


class Nets(unittest.TestCase):
    def test_predict_against_numpy(self):
        images, _ = blobs(9)
        model = linear()
        weight = np.random.default_rng(3).normal(size=(3, 16)).astype(np.float32)
        bias = np.array([1, 2, 3], np.float32)
        model.set_tensor("fc.weight", weight)
        model.set_tensor("fc.bias", bias)
        np.testing.assert_array_equal(model.get_tensor("fc.weight", (3, 16)), weight)
        expected = images.reshape(9, 16) @ weight.T + bias
        np.testing.assert_allclose(model.predict(images), expected, atol=1e-5)
        reverse = np.asfortranarray(images)[::-1]
        np.testing.assert_allclose(model.predict(reverse), expected[::-1], atol=1e-5)
        out = np.zeros((9, 3), np.float32)
        self.assertIs(model.predict(images, out=out), out)
        np.testing.assert_allclose(out, expected, atol=1e-5)
        out.flags.writeable = False
        with self.assertRaises(TypeError):
            model.predict(images, out=out)
        with self.assertRaises(amun.ShapeError):
            model.predict(images, out=np.zeros((8, 3), np.float32))
        with self.assertRaises(amun.ShapeError):
            model.predict(images[0])
        with self.assertRaises(amun.AmunError):
            model.set_tensor("fc.weight", weight[:2])

    def test_graph(self):
        graph = amun.Graph(3, 8, 8)
        x = graph.normalise(graph.input, [0.5, 0.4, 0.3], [0.2, 0.2, 0.2])
        x = graph.relu(graph.batchnorm(graph.conv2d(x, "conv1", channels=8), "bn1"))
        y = graph.scale(graph.conv2d(x, "conv2", channels=8, kernel_h=1, kernel_w=1, pad_h=0,
                                     pad_w=0, bias=1), 0.5)
        x = graph.concat([graph.add(x, y), y])
        x = graph.avg_pool(graph.max_pool(x), kernel_h=2, kernel_w=2)
        x = graph.flatten(graph.global_pool(x))
        graph.linear(x, "fc", 5, bias=False)
        model = amun.Model.from_graph(graph, seed=4)
        self.assertEqual((model.classes, model.shape, model.arch), (5, (3, 8, 8), "custom"))
        self.assertEqual(model.parameters, 3 * 8 * 9 + 16 + 8 * 8 + 8 + 16 * 5)
        self.assertEqual(model.predict(np.zeros((2, 3, 8, 8), np.uint8)).shape, (2, 5))
        self.assertGreater(model.estimate_memory(8, "train"), model.estimate_memory(1, "infer"))
        with self.assertRaises(amun.StateError):
            graph.relu(x)
        with self.assertRaises(amun.ShapeError):
            amun.Graph(3, 8, 8).normalise(0, [0, 0, 0], [1, 1])

    def test_training_is_reproducible_and_saved(self):
        data = amun.Dataset.from_arrays(*blobs(200))
        first, second = linear(), linear()
        untrained = first.evaluate(data)
        result = amun.train(first, data, seed=3, **TRAIN)
        amun.train(second, data, options=amun.TrainOptions(seed=3, **TRAIN))
        self.assertEqual((result.epochs, result.samples), (8, 1600))
        trained = first.evaluate(data)
        self.assertLess(trained.loss, untrained.loss / 2)
        logits = first.predict(data.read())
        right = 100 * np.mean(logits.argmax(1) == data.labels())
        self.assertAlmostEqual(trained.accuracy, right, places=9)
        wrong = np.flatnonzero(logits.argmax(1) != data.labels())[:1]
        if wrong.size:
            self.assertEqual(first.evaluate(data, wrong).accuracy, 0)
        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, name) for name in "ab"]
            first.save(names[0])
            second.save(names[1])
            with open(names[0], "rb") as a, open(names[1], "rb") as b:
                self.assertEqual(a.read(), b.read())
            second.reset(1)
            second.load_weights(names[0])
        np.testing.assert_array_equal(second.predict(data.read()), logits)
        np.testing.assert_array_equal(first.clone().predict(data.read()), logits)
        with self.assertRaises(TypeError):
            amun.train(first, data, options=amun.TrainOptions(), lr=1)

    def test_named_architecture_is_loaded_again(self):
        model = amun.Model.create("digits", channels=1, height=8, width=8, seed=2)
        with tempfile.TemporaryDirectory() as folder:
            model.save(os.path.join(folder, "m"))
            again = amun.Model.load(os.path.join(folder, "m"))
        images = amun.Dataset.idx(*DIGITS).read(0, 3)
        self.assertEqual(again.arch, "digits")
        np.testing.assert_array_equal(again.predict(images), model.predict(images))


class Forgetting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.images, cls.labels = blobs(120)
        cls.data = amun.Dataset.from_arrays(cls.images, cls.labels)
        cls.model = linear()
        amun.train(cls.model, cls.data, **TRAIN)
        cls.forget = amun.forget_indices(10, 120, 1)

    def test_fixed_attacks(self):
        for attack, key, bound in [(amun.Attack.fgsm(eps=0.1), "linf", 0.1),
                                   (amun.Attack.ffgsm(eps=0.1, seed=3), "linf", 0.1),
                                   (amun.Attack.pgd_linf(eps=0.1, steps=3), "linf", 0.1),
                                   (amun.Attack.pgd_l2(eps=0.4, steps=3), "l2", 0.4),
                                   (amun.Attack.mim(eps=0.1, step=0.04, steps=3), "linf", 0.1),
                                   (amun.Attack.apgd(eps=0.1, steps=3), "linf", 0.1),
                                   (amun.Attack.apgd(eps=0.4, steps=3, norm="l2", loss="dlr"),
                                    "l2", 0.4),
                                   (amun.Attack.square(eps=0.1, queries=5), "linf", 0.1),
                                   (amun.Attack.standard(eps=0.1, steps=2, targets=1, queries=4),
                                    "linf", 0.1)]:
            out = np.empty_like(self.images)
            adversarial, records = attack.run(self.model, self.images, self.labels, out=out)
            self.assertIs(adversarial, out)
            moved = (adversarial - self.images).reshape(120, -1).astype(np.float64)
            np.testing.assert_allclose(records["l2"], np.linalg.norm(moved, axis=1), atol=1e-5)
            np.testing.assert_allclose(records["linf"], np.abs(moved).max(1), atol=1e-6)
            self.assertLessEqual(records[key].max(), bound + 1e-5)
            self.assertGreater(records[key].max(), bound / 2)
            np.testing.assert_array_equal(records["adversarial"],
                                          self.model.predict(adversarial).argmax(1))
            np.testing.assert_array_equal(records["label"], self.labels)
            np.testing.assert_array_equal(records["index"], np.arange(120))

    def test_clamp_modes(self):
        self.assertEqual(amun.Attack.apgd().clamp, amun.Clamp.PIXELS)
        legacy = amun.Attack.pgd_linf(legacy_normalised_clamp=1)
        self.assertEqual(legacy.clamp, amun.Clamp.NORMALISED)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            legacy.run(self.model, self.images, self.labels)
        self.assertIn("normalise", str(caught.exception))

    def test_bad_pixels_are_named(self):
        images = self.images[:3].copy()
        images[2, 0, 1, 1] = np.nan
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.Attack.fgsm().run(self.model, images, self.labels[:3])
        self.assertIn("nan", str(caught.exception).lower())

    def test_adversarial_set(self):
        advset = amun.AdvSet.build(amun.Attack.search(), self.model, self.data, self.forget)
        self.assertEqual((len(advset), advset.found), (10, 10))
        table = advset.records
        np.testing.assert_array_equal(table["index"], self.forget)
        np.testing.assert_array_equal(table["outcome"], amun.AttackOutcome.FLIPPED)
        self.assertFalse(table.flags.writeable)
        for i, row in enumerate(table):
            image = advset.image(i)
            self.assertEqual(self.model.predict(image[None]).argmax(), row["adversarial"])
            self.assertNotEqual(row["adversarial"], row["label"])
            self.assertAlmostEqual(np.linalg.norm(image - self.images[row["index"]]), row["l2"],
                                   places=5)
        with self.assertRaises(amun.AmunError):
            advset.image(10)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "set")
            advset.save(path)
            again = amun.AdvSet.load(path, self.data)
            np.testing.assert_array_equal(again.records, table)
            np.testing.assert_array_equal(again.image(4), advset.image(4))
            other = amun.Dataset.from_arrays(self.images, (self.labels + 1) % 3)
            with self.assertRaises(amun.FormatError):
                amun.AdvSet.load(path, other)
        copy = table.copy()
        advset.close()
        gc.collect()
        np.testing.assert_array_equal(table, copy)  # the array has a reference of its own

    def test_unlearning(self):
        advset = amun.AdvSet.build(amun.Attack.search(), self.model, self.data, self.forget)
        amun_model, retrained = self.model.clone(), self.model.clone()
        result = amun.unlearn(amun_model, self.data, self.forget, advset, method="amun",
                              train=dict(TRAIN, epochs=2))
        self.assertEqual((result.remain, result.forget, result.adversarial, result.failed),
                         (110, 10, 10, 0))
        result = amun.unlearn(retrained, self.data, self.forget, method="retrain", seed=1,
                              train=amun.TrainOptions(**TRAIN))
        self.assertEqual((result.remain, result.adversarial), (110, 0))
        fresh = linear(seed=1)  # the same as training on the rest from those weights
        rest = np.setdiff1d(np.arange(120), self.forget)
        amun.train(fresh, self.data, rest, **TRAIN)
        np.testing.assert_allclose(retrained.predict(self.images), fresh.predict(self.images),
                                   atol=1e-5)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.unlearn(self.model.clone(), self.data, [7, 7], method="retrain")
        self.assertIn("7", str(caught.exception))
        with self.assertRaises(amun.InvalidArgumentError):
            amun.unlearn(self.model.clone(), self.data, [], method="retrain")

    def test_rivals(self):
        gone = np.flatnonzero(self.labels == 1)
        before = self.model.predict(self.images)
        small = dict(unsir_noise=8, unsir_noise_steps=2, svd_samples=20)
        for method in ("finetune", "random_label", "gradient_ascent", "neggrad_plus",
                       "boundary_shrink", "boundary_expand", "l1_sparse", "salun", "scrub", "ssd",
                       "svd", "bad_teacher", "unsir", "euk", "cfk"):
            model = self.model.clone()
            result = amun.unlearn(model, self.data, gone, method=method, rival=small,
                                  train=dict(epochs=1, augment_pad=0, augment_flip=0))
            self.assertLessEqual(result.forget, len(gone), method)
            self.assertGreater(np.abs(model.predict(self.images) - before).max(), 0, method)
        self.assertEqual(amun.unlearn_train_options("bad_teacher").optimiser, amun.Optimiser.ADAM)
        outputs = []
        for rival in ({"ssd_lambda": 0.5}, amun.RivalOptions(ssd_lambda=0.5), None):
            model = self.model.clone()
            amun.unlearn(model, self.data, gone, method="ssd", rival=rival)
            outputs.append(model.predict(self.images))
        np.testing.assert_array_equal(outputs[0], outputs[1])
        self.assertGreater(np.abs(outputs[0] - outputs[2]).max(), 0)

    def test_a_dict_of_training_options_starts_from_those_of_the_method(self):
        advset = amun.AdvSet.build(amun.Attack.search(), self.model, self.data, self.forget)
        by_dict, by_options = self.model.clone(), self.model.clone()
        change = dict(epochs=1, augment_pad=0, augment_flip=0)
        amun.unlearn(by_dict, self.data, self.forget, advset, method="amun", train=change)
        amun.unlearn(by_options, self.data, self.forget, advset, method="amun",
                     train=amun.unlearn_train_options("amun", **change))
        np.testing.assert_array_equal(by_dict.predict(self.images),
                                      by_options.predict(self.images))


class Ensembles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.images, cls.labels = blobs(60)
        cls.data = amun.Dataset.from_arrays(cls.images, cls.labels)
        cls.models = [linear(seed=seed) for seed in (1, 2)]
        for model in cls.models:
            amun.train(model, cls.data, **TRAIN)
        cls.ensemble = amun.Ensemble(cls.models)

    def test_output_against_numpy(self):
        rows = np.array([model.predict(self.images) for model in self.models], np.float64)
        rows = np.exp(rows - rows.max(2, keepdims=True))
        mean = (rows / rows.sum(2, keepdims=True)).mean(0)
        out = np.empty((60, 3), np.float32)
        self.assertIs(self.ensemble.predict(self.images, out=out), out)
        np.testing.assert_allclose(out, np.log(mean), atol=1e-5)
        accuracy, loss = self.ensemble.evaluate(self.data)
        self.assertAlmostEqual(accuracy, 100 * (mean.argmax(1) == self.labels).mean())
        self.assertAlmostEqual(loss, -np.log(mean[np.arange(60), self.labels]).mean(), 5)

    def test_members_and_files(self):
        self.assertEqual((len(self.ensemble), self.ensemble.classes), (2, 3))
        for mine, model in zip(self.models, self.ensemble.models):
            np.testing.assert_array_equal(mine.get_tensor("fc.weight", (3, 16)),
                                          model.get_tensor("fc.weight", (3, 16)))
        with self.assertRaises(amun.InvalidArgumentError):
            amun.Ensemble([])
        with self.assertRaises(TypeError):
            amun.Ensemble([self.data])
        members = [amun.Model.create("digits", channels=1, height=8, width=8, seed=s)
                   for s in (3, 4)]
        with tempfile.TemporaryDirectory() as folder:
            amun.Ensemble(members).save(os.path.join(folder, "both"))
            again = amun.Ensemble.load(os.path.join(folder, "both"))
            with self.assertRaises(amun.AmunError):
                amun.Ensemble.load(folder)
        image = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
        np.testing.assert_array_equal(again.predict(image), amun.Ensemble(members).predict(image))
        again.close()
        with self.assertRaises(amun.InvalidArgumentError):
            again.predict(image)

    def test_attack_and_transfer(self):
        attack = amun.Attack.pgd_linf(eps=0.5, step=0.2, steps=4)
        images = [attack.run(model, self.images, self.labels)[0] for model in self.models]
        clean = [model.predict(self.images).argmax(1) == self.labels for model in self.models]
        told = amun.transfer(self.models, attack, self.data)
        for i in range(2):
            fooled = clean[i] & (self.models[i].predict(images[i]).argmax(1) != self.labels)
            self.assertAlmostEqual(told.rates[i, i], fooled.sum() / clean[i].sum())
            both = fooled & clean[1 - i]
            self.assertEqual(told.eligible[i, 1 - i], both.sum())
            wrong = self.models[1 - i].predict(images[i]).argmax(1) != self.labels
            self.assertAlmostEqual(told.rates[i, 1 - i], (both & wrong).sum() / both.sum())
        self.assertEqual((told.result.samples, told.result.clamp), (60, amun.Clamp.PIXELS))
        target = amun.Ensemble(self.models[1:])
        black = amun.transfer_black_box(self.models[:1], attack, target, self.data)
        self.assertAlmostEqual(black.rates[0], told.rates[0, 1])
        right = target.predict(images[0]).argmax(1) == self.labels
        self.assertAlmostEqual(black.robust[0], (right & clean[1]).sum() / clean[1].sum())
        adversarial, records = self.ensemble.attack(attack, self.images, self.labels)
        sure = self.ensemble.predict(self.images).argmax(1) == self.labels
        held = sure & (self.ensemble.predict(adversarial).argmax(1) == self.labels)
        white = amun.transfer_white_box(attack, self.ensemble, self.data)
        self.assertAlmostEqual(white.robust, held.sum() / sure.sum())
        self.assertEqual(len(records), 60)


class JointTraining(unittest.TestCase):
    train = dict(epochs=2, batch=16, augment_pad=0, augment_flip=0)

    @staticmethod
    def networks():
        return [amun.Model.create("digits", channels=1, height=8, width=8, seed=s) for s in (3, 4)]

    @classmethod
    def setUpClass(cls):
        rng = np.random.default_rng(0)
        cls.data = amun.Dataset.from_arrays(rng.random((40, 1, 8, 8), np.float32),
                                            np.arange(40) % 10)
        cls.image = rng.random((5, 1, 8, 8), np.float32)

    def test_plain_is_training_alone(self):
        together, alone = self.networks(), self.networks()
        result = amun.Ensemble(together).train(self.data, train=self.train)
        losses = [amun.train(model, self.data, **self.train).loss for model in alone]
        self.assertAlmostEqual(result.loss, np.mean(losses), 10)
        for a, b in zip(together, alone):
            np.testing.assert_array_equal(a.predict(self.image), b.predict(self.image))

    def test_lotos(self):
        outputs = []
        for lotos in (None, dict(lambda_=0.0), {"lambda": 1.0, "mal": 0.1, "match": "first_only"},
                      amun.LotosOptions(lambda_=1.0, mal=0.1, match=amun.LotosMatch.PAIRS,
                                        pairs=[(0, "conv1", 1, "conv1")])):
            models = self.networks()
            amun.Ensemble(models).train(self.data, train=self.train, lotos=lotos)
            outputs.append(models[0].predict(self.image))
        np.testing.assert_array_equal(outputs[0], outputs[1])
        self.assertGreater(np.abs(outputs[0] - outputs[2]).max(), 0)
        np.testing.assert_array_equal(outputs[2], outputs[3])

    def test_options(self):
        options = amun.LotosOptions(pairs=[(0, "a", 1, "b")])
        self.assertEqual((options.pair_count, options.pairs), (1, [(0, "a", 1, "b")]))
        self.assertEqual((options.lambda_, options.mal), (0.05, 0.8))
        self.assertIsNone(amun.LotosOptions().pairs)
        ensemble = amun.Ensemble(self.networks())
        with self.assertRaisesRegex(amun.InvalidArgumentError, '"a"'):
            options.match = "pairs"
            ensemble.train(self.data, lotos=options)
        with self.assertRaisesRegex(amun.InvalidArgumentError, "same model"):
            amun.Ensemble([ensemble.models[0]] * 2).train(self.data)
        with self.assertRaises(TypeError):
            ensemble.train(self.data, lamda=1)

    def test_methods(self):
        for method in ("pgd_at", "trades", amun.EnsembleMethod.ADP):
            result = amun.Ensemble(self.networks()).train(
                self.data, method=method, train=dict(self.train, epochs=1))
            self.assertTrue(np.isfinite(result.loss))


class Auditing(unittest.TestCase):
    def test_figures_against_numpy(self):
        rng = np.random.default_rng(0)
        positives, negatives = rng.integers(0, 9, 40), rng.integers(0, 7, 30)
        pairs = np.sign(positives[:, None] - negatives[None]) / 2 + 0.5
        self.assertAlmostEqual(amun.auc(positives, negatives), pairs.mean(), places=12)
        rates = [(np.mean(negatives >= t), np.mean(positives >= t)) for t in range(-1, 10)]
        self.assertAlmostEqual(amun.tpr_at_fpr(positives, negatives, 0.2),
                               max(tpr for fpr, tpr in rates if fpr <= 0.2), places=12)
        logits, labels = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        values, bad = amun.signal(logits, labels, signal="softmax", temperature=1)
        np.testing.assert_allclose(values, p[np.arange(20), labels], rtol=1e-6)
        self.assertEqual(bad, 0)
        confidence, entropy, _ = amun.svc_features(logits, labels)
        np.testing.assert_allclose(confidence, p[np.arange(20), labels], rtol=1e-6)
        np.testing.assert_allclose(entropy, -(p * np.log(p)).sum(1), rtol=1e-6)

    def test_rmia(self):
        included = amun.rmia_inclusion(4, 50, seed=2)
        np.testing.assert_array_equal(included.sum(0), 2)
        rng = np.random.default_rng(1)
        references, target = rng.uniform(0.1, 0.9, (4, 50)), rng.uniform(0.1, 0.9, 50)
        scores = amun.rmia_scores(target, references, included.astype(bool), gamma=2)
        # online: ratio of the target's signal to the mean over all references, and the share of the
        # others z whose ratio it exceeds by the factor gamma
        ratio = target / references.mean(0)
        expected = [np.mean(r / np.delete(ratio, i) >= 2) for i, r in enumerate(ratio)]
        np.testing.assert_allclose(scores, expected, atol=1e-12)
        self.assertGreater(np.ptp(scores), 0.1)
        with self.assertRaises(amun.ShapeError):
            amun.rmia_scores(target[:-1], references)

    def test_audit_and_report(self):
        train = amun.Dataset.from_arrays(*blobs(60, seed=1))
        test = amun.Dataset.from_arrays(*blobs(60, seed=2))
        model = linear()
        amun.train(model, train, **TRAIN)
        forget = amun.forget_indices(20, 60, 3)
        mia = amun.Mia(train, test, references=2, rmia=dict(signal="softmax"))
        self.assertEqual(mia.inclusion.shape, (2, 120))
        with tempfile.TemporaryDirectory() as folder:
            mia.train_references(model, folder, **TRAIN)
            self.assertIn("reference_000.safetensors", os.listdir(folder))
        audit = mia.audit(model, forget)
        self.assertIsInstance(audit, amun.Audit)
        self.assertAlmostEqual(audit.ua, model.evaluate(train, forget).accuracy, places=6)
        self.assertAlmostEqual(audit.ta, model.evaluate(test).accuracy, places=6)
        self.assertEqual(audit.references, 2)
        mia.set_reference(0, np.zeros((120, 3), np.float32))
        with self.assertRaises(amun.InvalidArgumentError):
            mia.set_reference(2, np.zeros((120, 3), np.float32))

        report = amun.Report("blobs", "linear", 20, 2)
        report.add("original", 3, audit, 1.5)
        report.add("original", 4, audit._replace(ua=audit.ua - 2), 2.5)
        report.add_provenance("train_options", amun.TrainOptions(**TRAIN))
        mean, deviation, seconds = report.get("original")
        self.assertAlmostEqual(mean.ua, audit.ua - 1)
        self.assertAlmostEqual(deviation.ua, 2 ** 0.5)
        self.assertEqual(seconds, 2)
        self.assertIn("original", report.table())
        with self.assertRaises(amun.NotFoundError):
            report.get("retrain")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "report.json")
            report.write(path)
            with open(path, encoding="utf-8") as file:
                written = json.load(file)
        self.assertEqual(written["schema"], "amun.report/1")
        self.assertEqual(written["provenance"]["train_options"]["lr"], TRAIN["lr"])


if __name__ == "__main__":
    unittest.main()
