"""A notebook in examples/notebooks runs from top to bottom, draws what it should, and its last
words agree with its numbers. Usage: test_notebooks.py NAME; without one, all. "Files" looks at what
is committed.

The copies of the sentences' claims below are looser than the figures in the text, which are those of
one machine; they are tight enough to fail when a sentence becomes wrong."""
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

from support import ROOT

try:
    import matplotlib  # noqa: F401
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)

import numpy as np

import notebook

FOLDER = ROOT / "examples" / "notebooks"


def mean(values):
    return float(np.mean(list(values)))


class Notebooks(unittest.TestCase):
    def execute(self, name, pictures):
        """Runs the notebook on a copy, so that nothing is written beside the original."""
        drawn = []

        def look(number, figures):
            for figure in figures:
                figure.canvas.draw()
                pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
                self.assertGreater((pixels != 255).any(-1).mean(), 0.01,
                                   "cell %d drew nothing" % number)
                drawn.append(number)

        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "notebooks").mkdir()
            shutil.copytree(FOLDER.parent / "data", pathlib.Path(folder) / "data")
            os.chdir(pathlib.Path(folder) / "notebooks")
            try:
                space = notebook.run(FOLDER / (name + ".ipynb"), look)
            finally:
                os.chdir(before)
        self.assertEqual(len(drawn), pictures)
        return space

    def test_amun(self):
        space = self.execute("amun", 5)
        told = {m["name"]: m for m in space["told"]["methods"]}
        auc = {name: m["ft_auc"] for name, m in told.items()}
        self.assertGreater(auc["original"], auc["retrain"] + 5)
        self.assertLess(auc["AMUN"], auc["fine-tuning"])
        self.assertGreater(auc["AMUN"], auc["retrain"] + 1.5)
        self.assertLess(abs(auc["AMUN, rate x 10"] - auc["retrain"]), 3)
        self.assertLess(told["AMUN"]["ta"], told["original"]["ta"])
        self.assertGreater(told["AMUN"]["ta"], told["original"]["ta"] - 1.2)
        for figure in ("ra", "ta"):
            self.assertLess(told["AMUN, rate x 10"][figure], told["original"][figure] - 0.8)
        self.assertEqual(told["AMUN"]["runs"], 8)

    def test_fastclip(self):
        space = self.execute("fastclip", 4)
        left = {name: max(s[i].sigma_lower for i in range(len(s)))
                for name, s in space["left"].items()}
        for name in ("block", "scale", "delattre_2024"):
            self.assertLess(left[name], 1.005)
        for name, low in (("miyato", 2), ("senderovich", 1.1), ("gouk", 1.01)):
            self.assertGreater(left[name], low)
        accuracy = space["accuracy"]
        self.assertEqual(min(accuracy, key=accuracy.get), "block")
        self.assertEqual(max(accuracy, key=accuracy.get), "miyato")
        self.assertLess(max(v for k, v in accuracy.items() if k != "miyato"), 65)
        figures, robust = space["figures"], space["robust"]
        self.assertGreater(figures["clip 1.5"][0], figures["no clip"][0] - 2)
        self.assertLess(figures["clip 1"][0], 92)
        self.assertGreater(figures["no clip"][1] / figures["clip 1.5"][1], 10)
        self.assertLessEqual(figures["clip 1"][1], 1.0)
        self.assertLess(robust["no clip"][-1] + 3, robust["clip 2"][-1])
        self.assertLess(robust["clip 2"][-1], robust["clip 1.5"][-1])
        self.assertEqual(min(robust, key=lambda name: robust[name][1]), "clip 1")

    def test_lotos(self):
        space = self.execute("lotos", 3)
        rates = space["rates"]
        self.assertLess(max(rates["LOTOS"]), min(rates["independent"]))
        self.assertLess(mean(rates["LOTOS"]) + 0.25, mean(rates["independent"]))
        overlap = {name: mean(space["overlap"](one.models)[0] for one in made)
                   for name, made in space["ensembles"].items()}
        self.assertLess(abs(overlap["LOTOS"] - 0.8), 0.1)
        self.assertGreater(overlap["independent"], 4)
        robust = space["robust"]
        for kind, most in (("white box", 5), ("black box", 10)):
            self.assertLess(abs(mean(robust[kind]["LOTOS"]) - mean(robust[kind]["independent"])),
                            most)
        accuracy = {name: mean(one.evaluate(space["test"]).accuracy for one in made)
                    for name, made in space["ensembles"].items()}
        self.assertLess(abs(accuracy["LOTOS"] - accuracy["independent"]), 1)

    def test_trw(self):
        space = self.execute("trw", 2)
        table = space["table"]
        self.assertGreater(table["fine-tuning"][0], 60)
        for name, (forgotten, kept, _) in table.items():
            if name not in ("original", "fine-tuning"):
                self.assertLess(forgotten, 1, name)
            self.assertGreater(kept, table["original"][1] - 1, name)
        far = {name: row[2] for name, row in table.items()}
        self.assertLess(mean(space["distance"]["retrained"]), far["TRW, beta 0"])
        self.assertLess(far["TRW, beta 0"], 0.25)
        self.assertGreater(far["random labels"], 2 * far["TRW, beta 0"])
        self.assertGreater(far["TRW, beta 5"], far["TRW, beta 0"] + 0.05)
        self.assertGreater(far["TRW, beta 10"], far["TRW, beta 5"])
        for name in ("TRW, beta 5, neighbours", "TRW, beta 5, reversed"):
            self.assertLess(abs(far[name] - far["TRW, beta 0"]), 0.05)


class Files(unittest.TestCase):
    def test_what_is_committed(self):
        names = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
        tests = sorted(t[5:] for t in dir(Notebooks) if t.startswith("test_"))
        self.assertEqual(names, tests)
        for path in FOLDER.glob("*.ipynb"):
            text = path.read_text(encoding="utf-8")
            self.assertNotRegex(text, r'"output_type"|"execution_count": \d')
            self.assertTrue(notebook.cells(path)[0][1].startswith("DATA = None"), path)

    def test_the_switch(self):
        """With CIFAR-10's folder instead of None the first cell opens it and makes a network for it.
        Black images; all that follows is the same code as for the digits."""
        with tempfile.TemporaryDirectory() as folder:
            for i in range(1, 6):
                pathlib.Path(folder, "data_batch_%d.bin" % i).write_bytes(bytes(3073 * 10))
            pathlib.Path(folder, "test_batch.bin").write_bytes(bytes(3073 * 3100))
            for path in sorted(FOLDER.glob("*.ipynb")):
                first = notebook.cells(path)[0][1].replace("DATA = None", "DATA = %r" % folder)
                space = {}
                exec(compile(first, path.name, "exec"), space)
                self.assertEqual(space["train"].shape, (3, 32, 32), path.name)
                self.assertEqual(len(space["train"]), 50, path.name)
                self.assertGreaterEqual(len(space["test"]), 100, path.name)
                logits = space["network"](0).predict(space["train"].read(0, 2))
                self.assertEqual(logits.shape, (2, 10), path.name)


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].islower():
        sys.argv[1] = "Notebooks.test_" + sys.argv[1]
    unittest.main()
