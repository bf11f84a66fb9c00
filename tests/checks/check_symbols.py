#!/usr/bin/env python3
"""The exported symbols are the same three times: declared in the public headers, listed in
lib/libamun.map, and present in the built library."""
import argparse
import pathlib
import subprocess
import sys

from gen_map import ROOT, declared_symbols, read_map


def compare(declared, nodes, exported):
    problems = []
    mapped = [name for _, names, _ in nodes for name in names]
    for name in sorted({n for n in mapped if mapped.count(n) > 1}):
        problems.append(f"{name}: twice in lib/libamun.map")
    mapped = set(mapped)
    for left, right, text in [
        (declared, mapped, "declared, but not in lib/libamun.map (run gen_map.py)"),
        (mapped, declared, "in lib/libamun.map, but no header declares it"),
        (mapped, exported, "in lib/libamun.map, but the library does not define it"),
        (exported, mapped, "exported by the library, but not in lib/libamun.map"),
    ]:
        problems += [f"{name}: {text}" for name in sorted(left - right)]
    return problems


def exported_symbols(nm, library):
    out = subprocess.run([nm, "-D", "--defined-only", str(library)], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    symbols = set()
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":  # version nodes
            symbols.add(name.split("@")[0])
    return symbols


def self_test():
    good = ({"amun_a", "amun_b"}, [("AMUN_0.1", ["amun_a", "amun_b"], None)], {"amun_a", "amun_b"})
    failures = [f"clean: {p}" for p in compare(*good)]
    seeds = [
        (({"amun_a", "amun_b", "amun_c"}, good[1], good[2]), "amun_c: declared, but"),
        (({"amun_a"}, good[1], good[2]), "amun_b: in lib/libamun.map, but no header"),
        ((good[0], good[1], {"amun_a"}), "amun_b: in lib/libamun.map, but the library"),
        ((good[0], good[1], {"amun_a", "amun_b", "amun__x"}), "amun__x: exported"),
        ((good[0], good[1] + [("AMUN_0.2", ["amun_a"], "AMUN_0.1")], good[2]), "amun_a: twice"),
    ]
    for arguments, part in seeds:
        if not any(p.startswith(part) for p in compare(*arguments)):
            failures.append(f"seed not found: {part}")
    print(f"{len(seeds)} seeded violations")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=pathlib.Path)
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        problems = self_test()
    else:
        problems = compare(declared_symbols(ROOT / "include" / "amun"),
                           read_map(ROOT / "lib" / "libamun.map"),
                           exported_symbols(args.nm, args.library))
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
