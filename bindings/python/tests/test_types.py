"""The annotations, as mypy sees them: the package is sound, a right program passes under --strict,
and the mistakes of a wrong one are found, each on its line. Skipped without mypy."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(__file__).resolve().parents[1]
OLDEST = (1, 7)  # of those before, some do not know what Unpack says of keyword arguments

WRONG = """\
import amun
model = amun.Model.create("digits", channels="one")
data: amun.Dataset = amun.Dataset.idx("images", "labels")
amun.train(model, model, epochs=3)
amun.train(model, data, epochs="three")
amun.train(model, data, ephocs=3)
amun.train(model, data, epochs=3, schedule="cosine")
whole: int = amun.train(model, data).accuracy
amun.unlearn(model, data, [1, 2], metod="amun")
amun.Attack.search(norm=amun.Norm.LINF).close()
model.arch.upper()
amun.TrainOptions(lr=None)
"""
MISTAKES = {2: "channels", 4: "Dataset", 5: "epochs", 6: "ephocs", 8: "float", 9: "metod", 12: "lr"}


def mypy(*arguments):
    """(exit status, output) of mypy with the package's own settings."""
    run = subprocess.run([sys.executable, "-m", "mypy", "--config-file", FOLDER / "pyproject.toml",
                          "--cache-dir", CACHE.name, *arguments],
                         capture_output=True, text=True, cwd=FOLDER)
    return run.returncode, run.stdout + run.stderr


class Types(unittest.TestCase):
    def test_package(self):
        status, told = mypy()
        self.assertEqual(status, 0, told)

    def test_right_program(self):
        status, told = mypy("--strict", "--follow-imports", "silent",
                            FOLDER / "examples" / "forget.py")
        self.assertEqual(status, 0, told)

    def test_wrong_program(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "wrong.py")
            program.write_text(WRONG)
            status, told = mypy("--follow-imports", "silent", program)
        self.assertEqual(status, 1, told)
        found = {int(line): text for line, text in re.findall(r"wrong\.py:(\d+): error: (.*)", told)}
        self.assertEqual(set(found), set(MISTAKES), told)
        for line, word in MISTAKES.items():
            self.assertIn(word, found[line])


def version():
    """Of mypy; () without one."""
    run = subprocess.run([sys.executable, "-m", "mypy", "--version"], capture_output=True, text=True)
    numbers = re.match(r"mypy (\d+)\.(\d+)", run.stdout)
    return tuple(map(int, numbers.groups())) if numbers else ()


if __name__ == "__main__":
    if version() < OLDEST:
        print("skipped: mypy %s" % (".".join(map(str, version())) + " is too old" if version()
                                    else "is not installed"))
        sys.exit(77)
    CACHE = tempfile.TemporaryDirectory()
    unittest.main()
