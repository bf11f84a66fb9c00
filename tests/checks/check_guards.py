#!/usr/bin/env python3
"""The form of headers: include guards, extern "C", length; and files open with a comment."""
import re

from common import files_below, read, run, strip_comments

LONGEST_PUBLIC_HEADER = 300
LONGEST_SOURCE = 600


def expected_guards(name):
    """Public: AMUN_<FILE>_H. Private: AMUN__<FILE>_H or AMUN__<ROOM>_<FILE>_H."""
    folder, _, file = name.rpartition("/")
    stem = re.sub(r"\W", "_", file.removesuffix(".h")).upper()
    if name.startswith("include/"):
        return {f"AMUN_{stem}_H"}
    return {f"AMUN__{stem}_H", f"AMUN__{folder.rpartition('/')[2].upper()}_{stem}_H"}


def check_header(name, text, seen):
    code = strip_comments(text).strip()
    match = re.match(r"#ifndef (\w+)\n#define (\w+)\n", code)
    if not match or match.group(1) != match.group(2) or not code.endswith("#endif"):
        yield f"{name}: must open with #ifndef GUARD, #define GUARD, and end with #endif"
        return
    guard = match.group(1)
    if guard not in expected_guards(name):
        yield f"{name}: guard {guard}, expected {' or '.join(sorted(expected_guards(name)))}"
    if guard in seen:
        yield f"{name}: guard {guard} is also that of {seen[guard]}"
    seen[guard] = name
    if name.startswith("include/"):
        if "AMUN_API" in code and 'extern "C"' not in code:
            yield f"{name}: declares functions without extern \"C\""
        if text.count("\n") > LONGEST_PUBLIC_HEADER:
            yield f"{name}: {text.count(chr(10))} lines, at most {LONGEST_PUBLIC_HEADER}"


def check(root):
    problems, seen = [], {}
    for path, name in files_below(root, ["include", "lib"], {".h", ".c"}):
        text = read(path)
        if not text.startswith("/*"):
            problems.append(f"{name}: must open with a comment of what it owns")
        if text.count("\n") > LONGEST_SOURCE:
            problems.append(f"{name}: {text.count(chr(10))} lines, at most {LONGEST_SOURCE}")
        # name.inc.h is a template: read several times, so without a guard
        if path.suffix == ".h" and not path.name.endswith(".inc.h"):
            problems += check_header(name, text, seen)
    return problems


GOOD = "/* a.h */\n#ifndef AMUN{0}\n#define AMUN{0}\n{1}\n#endif\n"
API = '#ifdef __cplusplus\nextern "C" {\n#endif\nAMUN_API int amun_x(void);\n'
CLEAN = {
    "include/amun/a.h": GOOD.format("_A_H", API),
    "lib/nn/b.h": GOOD.format("__B_H", ""),
    "lib/io/b.h": GOOD.format("__IO_B_H", ""),
    "lib/nn/t.inc.h": "/* template */\n",
    "lib/nn/c.c": "/* c.c */\nint x;\n",
}
SEEDS = [
    ("no guard", {"lib/nn/b.h": "/* b */\nint x;\n"}, "must open with #ifndef"),
    ("other define", {"lib/nn/b.h": "/* b */\n#ifndef AMUN__B_H\n#define AMUN__C_H\n#endif\n"},
     "must open with #ifndef"),
    ("wrong name", {"include/amun/a.h": GOOD.format("__A_H", "")}, "expected AMUN_A_H"),
    ("twice the same", {"lib/io/b.h": GOOD.format("__B_H", "")}, "is also that of"),
    ("no extern C", {"include/amun/a.h": GOOD.format("_A_H", "AMUN_API int amun_x(void);\n")},
     'extern "C"'),
    ("no comment", {"lib/nn/c.c": "int x;\n"}, "open with a comment"),
    ("long header", {"include/amun/a.h": GOOD.format("_A_H", "\n" * 300)}, "at most 300"),
    ("long file", {"lib/nn/c.c": "/* c */\n" + "\n" * 600}, "at most 600"),
]

if __name__ == "__main__":
    run(__doc__, check, CLEAN, SEEDS)
