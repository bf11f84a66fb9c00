"""Which code computes convolutions: forced, or measured and kept in a file; plans in bf16."""
import os
import tempfile
import unittest

from support import amun, np


class Convolutions(unittest.TestCase):
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
            if not os.path.exists(path):
                return  # one kind of code: nothing to measure, and the file is left alone
            with open(path, "w") as file:
                file.write("{")
            with amun.Context(tune_cache=path) as context:
                model = amun.Model.create("digits", context=context, channels=1, height=8,
                                          width=8)
                with self.assertRaisesRegex(amun.FormatError, "tuned.json"):
                    model.predict(images)

    def test_precision(self):
        images = np.linspace(0, 1, 8 * 64, dtype="f4").reshape(8, 1, 8, 8)
        logits, bytes_wanted = {}, {}
        for precision in ("f32", "bf16"):
            with amun.Context(precision=precision, threads=1) as context:
                model = amun.Model.create("digits", context=context, channels=1, height=8, width=8)
                logits[precision] = model.predict(images)
                try:
                    bytes_wanted[precision] = model.estimate_memory(512, "train")
                except amun.UnsupportedError as error:
                    self.assertIn("oneDNN", str(error))
                    return
        self.assertEqual(logits["f32"].tobytes(), logits["bf16"].tobytes())
        self.assertLess(bytes_wanted["bf16"], 0.75 * bytes_wanted["f32"])
        with self.assertRaisesRegex(amun.InvalidArgumentError, "'f16'"):
            amun.Context(precision="f16")


if __name__ == "__main__":
    unittest.main()
