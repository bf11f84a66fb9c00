"""What the source checks share: reading files, reporting, and trying seeded violations."""
import argparse
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def strip_comments(text):
    """C without comments; the lines keep their numbers."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0)) if match.group(0).startswith("/") \
            else match.group(0)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def read(path):
    return path.read_text(encoding="utf-8")


def files_below(root, folders, suffixes):
    """(path, path relative to root with slashes) of all files, sorted."""
    for folder in folders:
        base = root / folder
        for path in sorted(base.rglob("*")) if base.is_dir() else []:
            if path.is_file() and (not suffixes or path.suffix in suffixes) \
                    and "__pycache__" not in path.parts:
                yield path, path.relative_to(root).as_posix()


def try_seeds(check, clean, seeds):
    """The check says nothing about `clean` ({path: text}), and something about each seed:
    (name, {path: text laid over clean}, text that a problem must contain)."""
    failures = []
    for name, overlay, part in [("clean", {}, None)] + seeds:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path, text in {**clean, **overlay}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text, encoding="utf-8")
            problems = check(root)
            if part is None and problems:
                failures.append(f"clean tree: {problems}")
            elif part is not None and not any(part in p for p in problems):
                failures.append(f"seed '{name}' was not found ({part!r} in {problems})")
    return failures, len(seeds)


def run(description, check, clean, seeds):
    """The main function of a check."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--self-test", action="store_true",
                        help="show that seeded violations are found")
    args = parser.parse_args()
    if args.self_test:
        problems, count = try_seeds(check, clean, seeds)
        print(f"{count} seeded violations")
    else:
        problems = check(args.root)
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
