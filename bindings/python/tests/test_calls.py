"""Long calls: progress, bars, exceptions, Ctrl-C, what a stopped call leaves behind."""
import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
import time
import types
import unittest
import unittest.mock

from support import TRAIN, amun, blobs, linear, np


class Calls(unittest.TestCase):
    def setUp(self):
        self.data = amun.Dataset.from_arrays(*blobs(200))
        self.model = linear()

    def test_progress(self):
        seen = []
        amun.train(self.model, self.data, progress=lambda p: seen.append(p), **TRAIN)
        self.assertEqual(seen[0].phase, "train")
        self.assertLessEqual(seen[-1].step, seen[-1].total)
        self.assertEqual(seen[0]._fields[-1], "seconds")

    def test_cancel(self):
        with self.assertRaises(amun.CancelledError):
            amun.train(self.model, self.data, progress=lambda p: True, **TRAIN)

    def test_calls_inside_a_progress_function(self):
        other, images = linear(seed=5), blobs(4)[0]
        inner = []

        def progress(_progress):
            inner.append(other.predict(images, progress=lambda p: 0))
            with self.assertRaises(amun.BusyError):
                self.model.predict(images)

        amun.train(self.model, self.data, progress=progress, **TRAIN)
        self.assertTrue((inner[0] == other.predict(images)).all())
        with self.assertRaises(TypeError):
            self.model.predict(images, progress=3)

    def test_keyboard_interrupt(self):
        data = amun.Dataset.from_arrays(*blobs(5000))  # minutes, if nothing stops it
        images = blobs(4)[0]

        def interrupt():
            """Ctrl-C, but not before the library is at work."""
            while True:
                try:
                    self.model.predict(images)
                except amun.BusyError:
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                except BaseException:
                    return

        helper = threading.Thread(target=interrupt, daemon=True)
        before = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            helper.start()
            for _ in range(100):  # the helper's own reading may be what makes this call busy
                try:
                    amun.train(self.model, data, **{**TRAIN, "epochs": 20000})
                except amun.BusyError:
                    time.sleep(0.001)
        self.assertLess(time.monotonic() - before, 60)
        helper.join()
        self.model.predict(images)  # usable after it

    def test_interval(self):
        steps, seen = 8 * 7, []
        amun.train(self.model, self.data, progress=(lambda p: seen.append(p.step), 0), **TRAIN)
        self.assertEqual(seen, list(range(1, steps + 1)))
        rare = []
        amun.train(self.model, self.data, progress=(lambda p: rare.append(p.step), 3600000),
                   **TRAIN)
        self.assertLess(len(rare), steps)
        with self.assertRaises(amun.InvalidArgumentError):
            amun.train(self.model, self.data, progress=(lambda p: 0, -1), **TRAIN)

    def test_log(self):
        lines = []
        with amun.Context() as context:
            context.set_log(lambda level, message: lines.append((level, message)), "debug")
            linear(context).predict(blobs(4)[0])
            context.set_log(None)
        for level, message in lines:
            self.assertIsInstance(level, amun.LogLevel)
            self.assertTrue(message and "\n" not in message)


class Mine(Exception):
    """Something that only the test knows."""


class Exceptions(unittest.TestCase):
    """What a progress function raises comes out of every long call as it is, and once."""

    @classmethod
    def setUpClass(cls):
        cls.images, cls.labels = blobs(60)
        cls.data = amun.Dataset.from_arrays(cls.images, cls.labels)
        cls.model = linear()
        amun.train(cls.model, cls.data, **TRAIN)
        cls.ensemble = amun.Ensemble([cls.model.clone(), linear(seed=2)])
        cls.attack = amun.Attack.pgd_linf(steps=3)
        cls.advset = amun.AdvSet.build(amun.Attack.search(), cls.model, cls.data, [0, 1])

    def calls(self):
        data, model, ensemble, attack = self.data, self.model, self.ensemble, self.attack
        mia = amun.Mia(data, data, references=2)
        plain = dict(epochs=2, batch=16, augment_pad=0, augment_flip=0)
        gone = np.flatnonzero(self.labels == 1)
        yield "train", lambda p: amun.train(model.clone(), data, progress=p, **plain)
        yield "predict", lambda p: model.predict(self.images, progress=p)
        yield "evaluate", lambda p: model.evaluate(data, progress=p)
        yield "attack", lambda p: attack.run(model, self.images, self.labels, progress=p)
        yield "advset", lambda p: amun.AdvSet.build(attack, model, data, [3], progress=p)
        yield "unlearn", lambda p: amun.unlearn(model.clone(), data, [0, 1], self.advset,
                                                train=plain, progress=p)
        yield "select_rate", lambda p: amun.select_rate(model, data, [0], data, [0.1], train=plain,
                                                        method="finetune", progress=p)
        yield "relearn", lambda p: amun.relearn_time(linear(seed=9), data, range(30), 100,
                                                     progress=p)
        yield "check", lambda p: amun.forget_check_model(model, data, range(9), data, progress=p)
        yield "beta", lambda p: amun.trw_select_beta(model, data, gone, train=plain, progress=p)
        yield "diagnose", lambda p: amun.unlearn_diagnose(model, model, data, self.advset, 1, 1,
                                                          progress=p)
        yield "spectrum", lambda p: amun.Spectrum(model).run(progress=p)
        yield "clip", lambda p: amun.Clipper(model.clone(), target=0.1).run(progress=p)
        yield "local", lambda p: amun.lipschitz_local(model, data, progress=p)
        yield "references", lambda p: mia.train_references(model, progress=p, **plain)
        yield "joint", lambda p: ensemble.train(data, train=plain, progress=p)
        yield "ensemble predict", lambda p: ensemble.predict(self.images, progress=p)
        yield "ensemble evaluate", lambda p: ensemble.evaluate(data, progress=p)
        yield "ensemble attack", lambda p: ensemble.attack(attack, self.images, self.labels,
                                                           progress=p)
        yield "transfer", lambda p: amun.transfer(ensemble.models, attack, data, progress=p)
        yield "black box", lambda p: amun.transfer_black_box(ensemble.models, attack, ensemble,
                                                             data, progress=p)
        yield "white box", lambda p: amun.transfer_white_box(attack, ensemble, data, progress=p)
        yield "certify", lambda p: amun.certify(ensemble, 1.0, data, progress=p)
        yield "bound", lambda p: amun.transfer_bound(model, model, 1.0, 0.1, data, progress=p)
        mia.train_references(model, **plain)
        yield "audit", lambda p: mia.audit(model, [0, 1], progress=p)

    def test_each_call(self):
        for name, call in self.calls():
            mine, seen = Mine(name), []

            def fail(_progress):
                seen.append(1)
                raise mine

            frames = []
            try:
                call((fail, 0))
            except Mine as caught:
                self.assertIs(caught, mine)
                self.assertIsNone(caught.__cause__)
                at = caught.__traceback__
                while at is not None:
                    frames.append(at.tb_frame.f_code.co_name)
                    at = at.tb_next
            else:
                self.fail(name + " raised nothing")
            self.assertEqual(frames[-1], "fail", name)  # where it was raised is still told
            self.assertEqual(len(seen), 1, name)
            if name != "train":
                call(None)  # nothing is left behind


class Stopped(unittest.TestCase):
    """The state of a model after Ctrl-C is the one that the headers document."""

    def setUp(self):
        self.data = amun.Dataset.from_arrays(*blobs(200))
        self.images = blobs(50)[0]

    @staticmethod
    def interrupt(at):
        """A progress function that sends Ctrl-C in its `at`-th call."""
        calls = []

        def progress(_progress):
            calls.append(1)
            if len(calls) == at:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):  # Python raises between two of these
                    pass
        return progress, 0

    def test_training_keeps_the_last_finished_step(self):
        interrupted, cancelled = linear(), linear()
        before = interrupted.predict(self.images)
        with self.assertRaises(KeyboardInterrupt):
            amun.train(interrupted, self.data, progress=self.interrupt(5), **TRAIN)
        with self.assertRaises(amun.CancelledError):
            amun.train(cancelled, self.data, progress=(lambda p: p.step == 5, 0), **TRAIN)
        after = interrupted.predict(self.images)
        np.testing.assert_array_equal(after, cancelled.predict(self.images))
        self.assertGreater(np.abs(after - before).max(), 0)

    def test_unlearning_changes_nothing(self):
        model = linear()
        amun.train(model, self.data, **TRAIN)
        before = model.predict(self.images)
        train = dict(epochs=3, lr=0.5, augment_pad=0, augment_flip=0)
        with self.assertRaises(KeyboardInterrupt):
            amun.unlearn(model, self.data, [1, 2], method="finetune", train=train,
                         progress=self.interrupt(4))
        np.testing.assert_array_equal(model.predict(self.images), before)
        with self.assertRaises(Mine):
            def fail(_progress):
                raise Mine
            amun.unlearn(model, self.data, [1, 2], method="finetune", train=train,
                         progress=(fail, 0))
        np.testing.assert_array_equal(model.predict(self.images), before)
        amun.unlearn(model, self.data, [1, 2], method="finetune", train=train)
        self.assertGreater(np.abs(model.predict(self.images) - before).max(), 0)

    def test_a_run_goes_on_from_its_checkpoint(self):
        with tempfile.TemporaryDirectory() as folder:
            options = dict(TRAIN, checkpoint=os.path.join(folder, "run"))
            stopped, whole = linear(), linear()
            with self.assertRaises(KeyboardInterrupt):
                amun.train(stopped, self.data, progress=self.interrupt(30), **options)
            again = linear(seed=8)
            amun.train(again, self.data, **options)
            amun.train(whole, self.data, **TRAIN)
        np.testing.assert_array_equal(again.predict(self.images), whole.predict(self.images))


class FakeBar:
    """Stands in for a bar of tqdm, and notes what happens to it."""
    made = []

    def __init__(self, total, desc):
        self.total, self.desc, self.n, self.closed, self.told = total, desc, 0, False, {}
        self.made.append(self)

    def update(self, steps):
        self.n += steps

    def set_postfix(self, told, refresh):
        self.told = told

    def close(self):
        self.closed = True


class Bars(unittest.TestCase):
    def setUp(self):
        FakeBar.made = []
        self.data, self.model = amun.Dataset.from_arrays(*blobs(200)), linear()

    def modules(self):
        auto = types.ModuleType("tqdm.auto")
        auto.tqdm = FakeBar
        return {"tqdm": types.ModuleType("tqdm"), "tqdm.auto": auto}

    def test_tqdm(self):
        with unittest.mock.patch.dict(sys.modules, self.modules()):
            amun.train(self.model, self.data, progress=(True, 0), **TRAIN)
            self.model.evaluate(self.data, progress=True)
        bars = FakeBar.made
        self.assertEqual([(bar.desc, bar.total) for bar in bars],
                         [("train", 56), ("evaluate", 200)])
        self.assertEqual((bars[0].n, bars[0].closed, bars[1].closed), (56, True, True))
        self.assertIn("loss", bars[0].told)
        self.assertNotIn("nan", "".join(bars[1].told.values()))

    def test_a_bar_is_closed_after_a_failure(self):
        def fail(bar, steps):
            raise Mine

        with unittest.mock.patch.dict(sys.modules, self.modules()):
            with unittest.mock.patch.object(FakeBar, "update", fail), self.assertRaises(Mine):
                amun.train(self.model, self.data, progress=(True, 0), **TRAIN)
        self.assertTrue(FakeBar.made and all(bar.closed for bar in FakeBar.made))

    def test_a_phase_has_its_own_bar(self):
        mia = amun.Mia(self.data, self.data, references=2)
        with unittest.mock.patch.dict(sys.modules, self.modules()):
            mia.train_references(self.model, progress=(True, 0), **TRAIN)
        self.assertTrue(all(bar.n <= bar.total for bar in FakeBar.made if bar.total))

    def test_without_tqdm(self):
        lines = io.StringIO()
        with unittest.mock.patch.dict(sys.modules, {"tqdm": None, "tqdm.auto": None}):
            with contextlib.redirect_stderr(lines):
                amun.train(self.model, self.data, progress=(True, 0), **TRAIN)
        told = lines.getvalue().splitlines()
        self.assertTrue(5 <= len(told) <= 12, told)
        self.assertRegex(told[-1], r"^train: 56/56 loss .*metric ")

    def test_off(self):
        lines = io.StringIO()
        with contextlib.redirect_stderr(lines):
            amun.train(self.model, self.data, progress=False, **TRAIN)
        self.assertEqual((lines.getvalue(), FakeBar.made), ("", []))


if __name__ == "__main__":
    unittest.main()
