"""The example runs as its users would run it, made short."""
import re
import subprocess
import sys
import unittest

from support import DIGITS, ROOT, environment

EXAMPLE = ROOT / "bindings" / "python" / "examples" / "forget.py"


class Example(unittest.TestCase):
    def test_forget(self):
        run = subprocess.run([sys.executable, EXAMPLE, *DIGITS, "3", "2"], capture_output=True,
                             text=True, env=environment())
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        found = re.search(r"example: (\d+) of 90", run.stdout)
        self.assertGreater(int(found.group(1)), 80)
        rows = {line.split()[0]: line.split()[1:] for line in run.stdout.splitlines()[1:]
                if line.strip()}
        self.assertEqual(set(rows), {"method", "original", "amun"})
        for method in ("original", "amun"):
            test_accuracy = float(rows[method][2])
            self.assertGreater(test_accuracy, 60)
            self.assertLessEqual(test_accuracy, 100)

    def test_short_enough_to_read(self):
        self.assertLess(len(EXAMPLE.read_text().splitlines()), 40)


if __name__ == "__main__":
    unittest.main()
