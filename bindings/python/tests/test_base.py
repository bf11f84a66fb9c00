"""Errors, options, and finding the library."""
import gc
import os
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

from support import amun, blobs, environment, linear

from amun import _base
from amun._cdef import ENUMS


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
        with self.assertRaises(TypeError) as caught:
            amun.Model.create("digits", "cpu")
        self.assertIn("'cpu'", str(caught.exception))

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
    def test_what_is_shown_can_be_typed(self):
        options = amun.TrainOptions(lr=0.25, schedule="cosine", clip=dict(target=2))
        again = eval(repr(options), vars(amun))
        self.assertEqual((again.as_dict(), again.schedule), (options.as_dict(),
                                                             amun.Schedule.COSINE))

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

    def test_nothing_is_parsed(self):
        run = child("import amun, sys; sys.exit('pycparser' in sys.modules)")
        self.assertEqual(run.returncode, 0, run.stderr)

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
        self.assertEqual(len(names), 3)
        self.assertTrue(names[2][1].startswith("pkg-config"), names)
        for name, origin in names:
            self.assertIn(name or origin, str(caught.exception))

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
