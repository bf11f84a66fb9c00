#!/usr/bin/env python3
"""The program in the comment that opens amun.h is examples/minimal.c, and has at most 40 lines."""
from common import read, run

HEADER = "include/amun/amun.h"
PROGRAM = "examples/minimal.c"
MOST = 40


def example_of(header):
    """The part of the first comment from its first line of code to the last closing brace."""
    lines = []
    for line in header.split("*/")[0].splitlines()[1:]:
        lines.append(line[3:] if line.startswith(" * ") else line[2:].lstrip(" "))
    first = next((i for i, line in enumerate(lines) if line.startswith(("//", "#include"))), None)
    last = max((i for i, line in enumerate(lines) if line == "}"), default=None)
    return lines[first:last + 1] if first is not None and last is not None else []


def check(root):
    program = read(root / PROGRAM).rstrip("\n").split("\n")
    example = example_of(read(root / HEADER))
    problems = []
    for number in range(max(len(program), len(example))):
        there = program[number] if number < len(program) else "(the end)"
        here = example[number] if number < len(example) else "(the end)"
        if there != here:
            problems.append(f"{PROGRAM}:{number + 1}: {there!r}, in {HEADER}: {here!r}")
            break
    if len(program) > MOST:
        problems.append(f"{PROGRAM}: {len(program)} lines, more than {MOST}")
    return problems


CLEAN = {
    HEADER: "/* amun.h - all.\n *\n * // minimal\n * #include <amun/amun.h>\n *\n * int main()\n"
            " * {\n *     return 0;\n * }\n *\n * More words. */\n#include \"base.h\"\n",
    PROGRAM: "// minimal\n#include <amun/amun.h>\n\nint main()\n{\n    return 0;\n}\n",
}
SEEDS = [
    ("another value", {PROGRAM: CLEAN[PROGRAM].replace("0", "1")}, "minimal.c:6"),
    ("another indentation", {PROGRAM: CLEAN[PROGRAM].replace("    ", "  ")}, "minimal.c:6"),
    ("a line more", {PROGRAM: CLEAN[PROGRAM] + "// x\n"}, "minimal.c:8"),
    ("no example", {HEADER: "/* amun.h - all. */\n"}, "minimal.c:1"),
    ("too long", {PROGRAM: CLEAN[PROGRAM] + "int x;\n" * 40}, "more than"),
]

if __name__ == "__main__":
    run(__doc__, check, CLEAN, SEEDS)
