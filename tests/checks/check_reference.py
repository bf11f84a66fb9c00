#!/usr/bin/env python3
"""Doxygen has nothing to say about the headers: all is documented, all references lead somewhere.
Skipped (77) where there is no Doxygen."""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from common import ROOT, try_seeds

PARTS = ["docs/Doxyfile.in", "docs/doxygen.sed", "docs/reference.dox", "examples/minimal.c"]


def checker(doxygen):
    def check(root):
        with tempfile.TemporaryDirectory() as folder:
            text = (root / PARTS[0]).read_text(encoding="utf-8")
            for name, value in [("SOURCE", str(root)), ("OUTPUT", folder), ("VERSION", "check")]:
                text = text.replace(f"@{name}@", value)
            made = subprocess.run([doxygen, "-"], input=text, text=True, capture_output=True, check=False)
            problems = [line.replace(f"{root}/", "") for line in made.stderr.splitlines() if line.strip()]
            if made.returncode != 0 and not problems:
                problems.append(f"doxygen ended with {made.returncode}")
            index = pathlib.Path(folder, "html", "index.html")
            if not problems and not index.is_file():
                problems.append("there is no index.html")
            return problems or list(groups(root, index.parent))
    return check


def groups(root, html):
    """Each header has a group with a page, a title and something in it."""
    for header in sorted((root / "include/amun").glob("*.h")):
        page = html / f"group__{header.stem}.html"
        if header.stem == "amun":
            continue
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        title = re.search(r'<div class="title">(.*?)</div>', text)
        if not title or "memItemLeft" not in text:
            yield f"include/amun/{header.name}: has no group in the reference"
        elif title.group(1).lower() == header.stem and header.stem != "context":
            yield f"include/amun/{header.name}: its group has no title in docs/reference.dox"


SEED = "/* amun/seed.h - seeded. */\n#include <stdint.h>\n%s\n#endif\n"
SEEDS = [
    ("function", "int32_t amun_seed(void);", "amun_seed"),
    ("member", "/** A struct. */\ntypedef struct amun_seed {\n    double a, b;\n} amun_seed;", "amun_seed"),
    ("reference", "/** See @ref amun_nowhere(). */\nint32_t amun_seed(void);", "amun_nowhere"),
    ("group without a title", "/** Fine. */\nint32_t amun_seed(void);", "seed.h: its group has no title"),
]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--doxygen", default="doxygen")
    parser.add_argument("--self-test", action="store_true", help="show that seeded violations are found")
    args = parser.parse_args()
    if not shutil.which(args.doxygen):
        print("no doxygen here")
        sys.exit(77)
    check = checker(args.doxygen)
    if args.self_test:
        parts = [ROOT / part for part in PARTS] + sorted((ROOT / "include/amun").glob("*.h"))
        clean = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in parts}
        problems, count = try_seeds(check, clean, [(name, {"include/amun/seed.h": SEED % text}, part)
                                                   for name, text, part in SEEDS])
        print(f"{count} seeded violations")
    else:
        problems = check(ROOT)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
