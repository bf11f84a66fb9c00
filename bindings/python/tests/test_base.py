"""Errors, options, arrays, handles, calls, and finding the library."""
import enum
import gc
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import weakref

from support import PACKAGE, TRAIN, amun, blobs, environment, linear, np

from amun import _base
from amun._cdef import CDEF, ENUMS


class Completeness(unittest.TestCase):
    """Whatever the headers declare has a counterpart here."""

    def test_functions(self):
        source = "".join(path.read_text(encoding="utf-8")
                         for path in (PACKAGE / "amun").glob("_*.py") if path.name != "_cdef.py")
        declared = set(re.findall(r"\b(amun_\w+)\(", CDEF))
        # reached through Options and Handle, by name
        declared -= {name for name in declared if name.endswith(("_options_init", "_unref"))}
        declared -= {"amun_%s_ref" % handle for handle in (
            "context", "graph", "dataset", "attack", "clipper", "ensemble", "mia", "report",
            "spectrum")}
        # what NumPy does better; the version is a text
        declared -= {"amun_tensor_view_init", "amun_dtype_size", "amun_version"}
        self.assertEqual([name for name in sorted(declared) if name not in source], [])

    def test_structs(self):
        options = set(re.findall(r"struct (amun_\w+_options) {", CDEF))
        self.assertEqual(options - set(_base.NESTED), set())

    def test_enumerations(self):
        offered = [{name: int(value) for name, value in kind.__members__.items()}
                   for kind in vars(amun).values() if isinstance(kind, enum.EnumMeta)]
        for name, values in ENUMS.items():
            if name != "amun_status":  # these are the exceptions
                self.assertIn(values, offered, name)


class Errors(unittest.TestCase):
    def test_each_status_has_its_class(self):
        statuses = {value for name, value in ENUMS["amun_status"].items() if name != "OK"}
        self.assertEqual(set(_base.ERRORS), statuses)
        self.assertEqual(len(set(_base.ERRORS.values())), len(statuses))
        for status, kind in _base.ERRORS.items():
            self.assertTrue(issubclass(kind, amun.AmunError))
            self.assertEqual(kind("x").status, status)

    def test_message_and_status(self):
        with self.assertRaises(amun.NotFoundError) as caught:
            amun.Model.create("resnet19")
        self.assertEqual(caught.exception.status, -12)
        self.assertIn("resnet19", str(caught.exception))
        with self.assertRaises(ValueError) as caught:
            amun.Context(threads=-3)
        self.assertIn("-3", str(caught.exception))

    def test_files(self):
        with self.assertRaises((amun.NotFoundError, amun.IoError)) as caught:
            amun.Model.load("no/such/file.safetensors")
        self.assertIn("no/such/file.safetensors", str(caught.exception))
        with self.assertRaises(amun.InvalidArgumentError):
            amun.Model.load("a\0b")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\x05")
            file.flush()
            with self.assertRaises(amun.FormatError):
                amun.Model.load(file.name)

    def test_closed_handle_is_refused(self):
        model = linear()
        with model:
            self.assertEqual(model.classes, 3)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            model.save("never")
        self.assertIn("NULL", str(caught.exception))
        model.close()  # a second time is fine


class OptionStructs(unittest.TestCase):
    def test_defaults_are_those_of_the_library(self):
        struct = _base.ffi.new("amun_train_options *")
        size = _base.ffi.sizeof("amun_train_options")
        self.assertEqual(_base.lib.amun_train_options_init(struct, size), 0)
        options = amun.TrainOptions()
        for name in ("epochs", "batch", "lr", "weight_decay", "schedule", "gamma", "seed"):
            self.assertEqual(getattr(options, name), getattr(struct, name), name)
        self.assertIsNone(options.checkpoint)

    def test_fields(self):
        options = amun.TrainOptions(lr=0.25, schedule="cosine", checkpoint="a/b", seed=2**64 - 1)
        self.assertEqual((options.lr, options.schedule, options.checkpoint, options.seed),
                         (0.25, amun.Schedule.COSINE, "a/b", 2**64 - 1))
        gc.collect()
        _others = [_base.ffi.new("char[]", b"x/y") for _ in range(1000)]
        self.assertEqual(options.checkpoint, "a/b")  # its memory was not given to them
        for wrong in (dict(learning_rate=1), dict(struct_size=8), dict(lr="fast"),
                      dict(epochs=1.5)):
            with self.assertRaises(TypeError, msg=wrong):
                amun.TrainOptions(**wrong)
        with self.assertRaises(TypeError):
            amun.ContextOptions(reserved0=0)
        with self.assertRaises(OverflowError):
            amun.TrainOptions(epochs=2**40)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.TrainOptions(schedule="linear")
        self.assertIn("'cosine'", str(caught.exception))
        with self.assertRaises(TypeError):
            amun.ContextOptions(alloc=3)
        with self.assertRaises(AttributeError):
            amun.TrainOptions().nothing

    def test_nested(self):
        options = amun.MiaOptions(references=4, rmia=dict(temperature=1.5, mode="offline"))
        gc.collect()
        self.assertEqual(options._struct.rmia.temperature, 1.5)
        self.assertEqual(options.rmia.mode, amun.RmiaMode.OFFLINE)
        self.assertEqual(options.as_dict()["rmia"]["temperature"], 1.5)
        options.rmia = None
        self.assertEqual(options._struct.rmia, _base.ffi.NULL)

    def test_method_defaults(self):
        self.assertNotEqual(amun.unlearn_train_options("amun").lr,
                            amun.unlearn_train_options("retrain").lr)
        self.assertEqual(amun.unlearn_train_options("retrain").lr, amun.TrainOptions().lr)

    def test_out_of_range_reaches_the_library(self):
        images, labels = blobs(10)
        with self.assertRaises(amun.InvalidArgumentError) as caught:
            amun.train(linear(), amun.Dataset.from_arrays(images, labels), momentum=1.5)
        self.assertIn("momentum", str(caught.exception))
        self.assertIn("1.5", str(caught.exception))


class Arrays(unittest.TestCase):
    def test_views_do_not_copy(self):
        array = np.zeros((4, 3, 2), np.float32)[::2, ::-1]
        view = _base.View(array)
        self.assertEqual(int(_base.ffi.cast("uintptr_t", view.struct.data)), array.ctypes.data)
        self.assertEqual(list(view.struct.strides)[:3], list(array.strides))
        self.assertEqual(view.struct.flags, 0)
        array.flags.writeable = False
        self.assertEqual(_base.View(array).struct.flags, _base.lib.AMUN_VIEW_READONLY)

    def test_buffers(self):
        raw = bytearray(range(16))
        view = _base.View(memoryview(raw).cast("B", (4, 4)))
        self.assertEqual(view.struct.dtype, amun.Dtype.U8)
        raw[0] = 77
        self.assertEqual(_base.ffi.cast("uint8_t *", view.struct.data)[0], 77)

    def test_what_is_refused(self):
        for array in (np.zeros(3, ">f4"), np.zeros(3, np.complex64), np.array(["a"])):
            with self.assertRaises(TypeError):
                _base.View(array)
        with self.assertRaises(amun.ShapeError):
            _base.View(np.zeros((1,) * 9))
        with self.assertRaises(TypeError):
            _base.View([1.0], writable=True)
        with self.assertRaises(TypeError):
            _base.indices_of([0.5], "indices")
        with self.assertRaises(amun.ShapeError):
            _base.indices_of([[1]], "indices")

    def test_unaligned(self):
        raw = np.zeros(9, np.uint8)
        array = raw[1:].view(np.float32)
        array[:] = 1, 2
        view = _base.View(array)
        self.assertEqual(_base.ffi.cast("float *", view.struct.data)[1], 2)
        with self.assertRaises(TypeError):
            _base.View(array, writable=True)

    def test_torch(self):
        try:
            import torch
        except ImportError:
            self.skipTest("torch is not installed")
        tensor = torch.zeros(2, 3)
        view = _base.View(tensor)
        self.assertEqual(int(_base.ffi.cast("uintptr_t", view.struct.data)), tensor.data_ptr())


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

    def test_exception_arrives_unharmed(self):
        class Mine(Exception):
            pass

        mine, calls = Mine("x"), []

        def fail(_progress):
            calls.append(1)
            raise mine

        with self.assertRaises(Mine) as caught:
            amun.train(self.model, self.data, progress=fail, **TRAIN)
        self.assertIs(caught.exception, mine)
        self.assertEqual(len(calls), 1)
        amun.train(self.model, self.data, **TRAIN)  # nothing is left behind

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

    def test_log(self):
        lines = []
        with amun.Context() as context:
            context.set_log(lambda level, message: lines.append((level, message)), "debug")
            linear(context).predict(blobs(4)[0])
            context.set_log(None)
        for level, message in lines:
            self.assertIsInstance(level, amun.LogLevel)
            self.assertTrue(message and "\n" not in message)


class Lifetimes(unittest.TestCase):
    def test_any_order(self):
        context = amun.Context()
        images, labels = blobs(50)
        data = amun.Dataset.from_arrays(images, labels, context=context)
        part = data.subset([4, 2])
        model = linear(context)
        context.close()
        data.close()
        self.assertEqual(part.labels().tolist(), [labels[4], labels[2]])
        self.assertEqual(model.predict(images).shape, (50, 3))

    def test_a_thousand_of_each(self):
        context = amun.Context(threads=1)
        images, labels = blobs(12)

        def round_trip():
            data = amun.Dataset.from_arrays(images, labels, context=context)
            model = linear(context)
            attack = amun.Attack.fgsm(context=context)
            mia = amun.Mia(data, data, references=2)
            report = amun.Report("d", "a", 1, 2, context=context)
            clone = model.clone()
            for handle in (data.subset([1]), clone, model, data, mia, attack, report):
                handle.close()

        round_trip()
        before = context.memory
        for _ in range(1000):
            round_trip()
        gc.collect()
        after = context.memory
        self.assertEqual((after.current, after.blocks), (before.current, before.blocks))

    def test_garbage_collection_gives_back(self):
        context = amun.Context()
        model = linear(context)
        used = context.memory.blocks
        alive = weakref.ref(model)
        del model
        gc.collect()
        self.assertIsNone(alive())
        self.assertLess(context.memory.blocks, used)

    def test_choice_of_convolutions(self):
        with amun.Context(conv="direct") as context:
            model = amun.Model.create("digits", context=context)
            self.assertEqual(model.predict(np.zeros((2,) + model.shape, "f4")).shape[0], 2)
        with self.assertRaisesRegex(amun.InvalidArgumentError, "'fft'"):
            amun.Context(conv="fft")
        with self.assertRaisesRegex(amun.InvalidArgumentError, "conv"):
            amun.Context(conv=4)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "tuned.json")
            images = np.linspace(0, 1, 8 * 64, dtype="f4").reshape(8, 1, 8, 8)
            logits = []
            for _ in range(2):  # measures, then reads what it measured
                with amun.Context(tune_cache=path, threads=1) as context:
                    model = amun.Model.create("digits", context=context, channels=1, height=8,
                                              width=8)
                    logits.append(model.predict(images))
            self.assertEqual(logits[0].tobytes(), logits[1].tobytes())
            with open(path, "w") as file:
                file.write("{")
            with amun.Context(tune_cache=path) as context:
                model = amun.Model.create("digits", context=context, channels=1, height=8,
                                          width=8)
                with self.assertRaisesRegex(amun.FormatError, "tuned.json"):
                    model.predict(images)

    def test_memory_limit(self):
        with amun.Context(memory_limit=2000) as context:
            with self.assertRaises(MemoryError):
                amun.Model.create("resnet18", context=context)


def child(code, **changes):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment(**changes))


class Finding(unittest.TestCase):
    def failure(self, library):
        run = child("import amun", AMUN_LIBRARY=library)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("ImportError", run.stderr)
        return run.stderr

    def test_chosen_library(self):
        self.assertIn("/nowhere/libamun.so.0 (AMUN_LIBRARY)", self.failure("/nowhere/libamun.so.0"))
        self.assertIn("must be an absolute path", self.failure("libamun.so.0"))

    def test_not_ours(self):
        from numpy.linalg import _umath_linalg  # some other shared object
        self.assertIn("is not libamun", self.failure(os.path.abspath(_umath_linalg.__file__)))

    def test_everything_tried_is_listed(self):
        from amun import _lib
        listed = [origin for _, origin in _lib._candidates(0)]
        self.assertEqual(listed, ["AMUN_LIBRARY"])
        chosen = os.environ.pop("AMUN_LIBRARY")
        try:
            names = list(_lib._candidates(77))
            with unittest.mock.patch.object(_lib, "_major_minor", lambda text: (77, 3)):
                with self.assertRaises(ImportError) as caught:
                    _lib.load()
        finally:
            os.environ["AMUN_LIBRARY"] = chosen
        self.assertEqual(len(names), 2)
        for name, _ in names:
            self.assertIn(name, str(caught.exception))

    def test_interface_version(self):
        from amun import _lib
        class Fake:
            @staticmethod
            def amun_abi_version():
                return 2 << 16 | 5
        self.assertIsNone(_lib._refusal(Fake, 2, 5))
        self.assertIsNone(_lib._refusal(Fake, 2, 4))
        self.assertIn("2.5", _lib._refusal(Fake, 2, 6))
        self.assertIn("2.5", _lib._refusal(Fake, 1, 0))

    def test_exit_with_everything_alive(self):
        run = child("import amun, numpy as np\n"
                    "c = amun.Context(); c.set_log(print, 'debug')\n"
                    "x = np.zeros((4, 1, 4, 4), np.float32); y = np.arange(4)\n"
                    "d = amun.Dataset.from_arrays(x, y, context=c); s = d.subset([1])\n"
                    "m = amun.Mia(d, s, references=2)\n"
                    "import builtins; builtins.kept = (c, d, s, m)\n")
        self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
