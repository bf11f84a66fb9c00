#!/usr/bin/env python3
"""Trains ensembles with several methods and seeds, and tables how they stand attacks.

    ensemble_study.py --program build/examples/ensemble --data DIR --work DIR [--markdown FILE]

Runs the program `ensemble` once for each method and seed. Killed, it goes on where it was: what is
done stands in the work folder as JSON, what was begun as a checkpoint. Black-box attacks start from
the plain ensemble of the next seed. Needs Python alone.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

METHODS = {
    "plain": [],
    "clip": ["--clip", "1"],
    "lotos": ["--lotos", "0.05", "--mal", "0.8"],
    "adp": ["--method", "adp"],
    "clip+lotos": ["--clip", "1", "--lotos", "0.05", "--mal", "0.8"],
    "gal": ["--method", "gal"],
    "trs": ["--method", "trs"],
    "dverge": ["--method", "dverge"],
}
# Heading, key in the program's JSON, factor.
COLUMNS = [
    ("member accuracy", None, 1),
    ("ensemble accuracy", "test_accuracy", 1),
    ("success on a member", "success", 100),
    ("T_rate", "transfer", 100),
    ("black-box", "black_box_robust", 100),
    ("white-box", "white_box_robust", 100),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--program", required=True, help="the program `ensemble`")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for all results")
    parser.add_argument("--data", help="folder with CIFAR-10 (default: the digits)")
    parser.add_argument("--arch", default=None)
    parser.add_argument("--methods", default="plain,clip,lotos,clip+lotos,adp",
                        help="of " + ", ".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--lr", default=None, help="learning rate")
    parser.add_argument("--augment", default=None, help="1 or 0: random crops and flips")
    parser.add_argument("--limit", type=int, default=1000, help="attacked test images")
    parser.add_argument("--eps", default="0.04")
    parser.add_argument("--attack-steps", default="50")
    parser.add_argument("--threads", default="0")
    parser.add_argument("--markdown", help="write the table here, too")
    args = parser.parse_args()
    args.methods = args.methods.split(",")
    for name in args.methods:
        if name not in METHODS:
            parser.error(f"--methods: {name} is none of {', '.join(METHODS)}")
    if args.seeds < 2:
        parser.error(f"--seeds {args.seeds}: black-box attacks need another ensemble")
    return args


def run(args, method, seed, surrogates=None):
    """One run of the program, unless its result is there; returns the result."""
    stem = args.work / f"{method}-{seed}"
    result = stem.with_suffix(".json" if surrogates else ".trained.json")
    if not result.exists():
        part = result.with_suffix(".part")
        command = [args.program, "--seed", str(1000 * seed), "--threads", args.threads,
                   "--out", str(stem), "--checkpoint", str(stem) + ".checkpoint",
                   "--eps", args.eps, "--json", str(part), *METHODS[method]]
        for option, value in (("--data", args.data), ("--arch", args.arch),
                              ("--epochs", args.epochs), ("--lr", args.lr),
                              ("--augment", args.augment)):
            command += [option, str(value)] if value is not None else []
        command += (["--surrogates", str(surrogates), "--limit", str(args.limit),
                     "--attack-steps", args.attack_steps] if surrogates
                    else ["--limit", "1", "--attack-steps", "1"])
        print("+", " ".join(command), flush=True)
        subprocess.run(command, check=True)
        part.replace(result)
    return json.loads(result.read_text(encoding="utf-8"))


def value(report, key, factor):
    """None where the program measured nothing: a T_rate without eligible images."""
    if key is not None:
        return None if report[key] is None else factor * report[key]
    return statistics.mean(report[f"test_accuracy_{i}"] for i in range(report["members"]))


def table(reports):
    head = ["method", "seeds", *(name for name, _, _ in COLUMNS), "training, s"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for method, (trained, measured) in reports.items():
        cells = [method, str(len(measured))]
        for _, key, factor in COLUMNS:
            values = [value(report, key, factor) for report in measured]
            values = [number for number in values if number is not None]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}" if values else "-")
        cells.append(f"{statistics.median(report['seconds'] for report in trained):.0f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    args = arguments()
    args.work.mkdir(parents=True, exist_ok=True)
    seeds = range(1, args.seeds + 1)
    for seed in seeds:  # the surrogates
        run(args, "plain", seed)
    reports = {}
    for seed in seeds:
        surrogates = args.work / f"plain-{seed % args.seeds + 1}"
        for method in args.methods:
            trained = run(args, method, seed)
            measured = run(args, method, seed, surrogates)
            row = reports.setdefault(method, ([], []))
            row[0].append(trained)
            row[1].append(measured)
        text = table(reports)
        print(text, flush=True)
    if args.markdown:
        pathlib.Path(args.markdown).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failure:
        sys.exit(failure.returncode if failure.returncode > 0 else 1)
