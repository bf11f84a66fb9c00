#!/usr/bin/env python3
"""Compiles each public header alone, twice in one file, as C99, C11 and C++11 with warnings as
errors; and compares the installed headers with those in the folder. Prints TAP."""
import argparse
import pathlib
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]


def compile_alone(command, language, standard, include, header):
    """None, or what the compiler said."""
    source = f"#include <amun/{header}>\n#include <amun/{header}>\nint amun_header_is_fine;\n"
    done = subprocess.run([*command, "-x", language, f"-std={standard}", *WARNINGS,
                           f"-I{include}", "-"],
                          input=source, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return None if done.returncode == 0 else done.stdout


def variants(args):
    for standard in ("c99", "c11"):
        yield args.cc.split(","), "c", standard
    if args.cxx:
        yield args.cxx.split(","), "c++", "c++11"


def self_test(args):
    """Headers with one mistake each; every variant named must refuse them."""
    seeds = [
        ("needs another", "size_t amun_x(void);\n", ["c99", "c11", "c++11"]),
        ("trailing comma is C99, a variable of keyword type is not", "int class;\n", ["c++11"]),
        ("C11 in C99", "_Static_assert(1, \"x\");\n", ["c99"]),
        ("defined in a header", "int amun_value = 3;\n", ["c99", "c11", "c++11"]),
        ("unused static", "static int amun_helper(void)\n{\n    return 1;\n}\n",
         ["c99", "c11", "c++11"]),
    ]
    results = []
    for name, text, standards in seeds:
        for command, language, standard in variants(args):
            if standard in standards:
                with tempfile.TemporaryDirectory() as folder:
                    include = pathlib.Path(folder)
                    (include / "amun").mkdir()
                    (include / "amun" / "seed.h").write_text(text, encoding="utf-8")
                    found = compile_alone(command, language, standard, include, "seed.h")
                results.append((f"seed '{name}' {standard}",
                                None if found else "the compiler accepted it"))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", required=True, help="C compiler, comma-separated words")
    parser.add_argument("--cxx", default="", help="C++ compiler; empty: none at hand")
    parser.add_argument("--include", type=pathlib.Path, required=True)
    parser.add_argument("--installed", nargs="*", default=[])
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        results = self_test(args)
    else:
        headers = sorted(p.name for p in (args.include / "amun").glob("*.h"))
        installed = sorted(pathlib.Path(p).name for p in args.installed)
        results = [("installed headers", None if headers == installed else
                    f"in the folder {headers}, installed {installed}")]
        for header in headers:
            for command, language, standard in variants(args):
                results.append((f"{header} {standard}", compile_alone(
                    command, language, standard, args.include, header)))
    print(f"1..{len(results)}")
    for number, (name, problem) in enumerate(results, 1):
        print(f"{'not ok' if problem else 'ok'} {number} - {name}")
        for line in (problem or "").splitlines():
            print(f"# {line}")
    sys.exit(1 if any(problem for _, problem in results) else 0)


if __name__ == "__main__":
    main()
