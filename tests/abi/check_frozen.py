#!/usr/bin/env python3
"""Programs built with a released version go on working: the part of the gate that reads declarations.

tests/abi/frozen/<version>/ holds the headers and the symbol map of a release. Against them:
  headers   each declaration of then is there now: prototypes of the same types, constants of the same
            values, structs whose first fields are those of then (more may follow, and a field that was
            reserved may be in use)
  symbols   the library exports each symbol of then, under the version node of then
  layout    --self-test: tests/abi/layout.c does not compile where a field is not where it was
  client    --self-test: its program of then fails, where the layout of then is not that of the library
  abidiff   (libabigail) a library of empty functions, made from the headers of then, beside the one
            that was built, by their debug information: sizes, offsets and types as a compiler saw them
The numbers of the versions themselves may change. --freeze writes the folder of the current version."""
import argparse
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bindings" / "python"), str(ROOT / "tests" / "checks")]
import gen_cdef  # noqa: E402
import gen_map  # noqa: E402

FROZEN = ROOT / "tests" / "abi" / "frozen"
# Structs without struct_size, which never grow.
FIXED = {"amun_tensor_view", "amun_attack_record", "amun_layer_pair"}
# They say which version it is.
VERSION = re.compile(r"AMUN_(?:VERSION_\w+|ABI_MINOR)")
SKIPPED = 77


# ---- declarations ------------------------------------------------------------------------------

def without_name(parameter):
    """The type alone: a parameter may be renamed."""
    match = re.fullmatch(r"(.*[\s*])\w+((?:\[\w*\])*)", parameter.strip())
    return " ".join((match.group(1) + match.group(2)).split()) if match else parameter.strip()


def fields_of(body):
    """["double lr", "int32_t batch", ...]; "a, b" and "*a, *b" become two."""
    fields = []
    for item in body.split(";"):
        first, *others = [part.strip() for part in item.split(",")]
        if not first:
            continue
        fields.append(first)
        base = re.match(r"(.*?)[\s*]*\w+(?:\[\w*\])*$", first).group(1)
        fields += [" ".join((base + " " + other).split()) for other in others]
    return fields


class Interface:
    """What a folder of headers declares."""

    def __init__(self, folder):
        self.constants, self.structs, self.prototypes, self.types = {}, {}, {}, {}
        for path in gen_cdef.headers_in_order(folder):
            text = gen_cdef.strip_comments(path.read_text(encoding="utf-8"))
            self.constants.update(gen_cdef.integer_macros(text))
            for statement in gen_cdef.declarations(gen_cdef.without_preprocessor(text)):
                self.add(statement)

    def add(self, statement):
        enum = re.fullmatch(r"enum \{(.*)\}", statement)
        struct = re.fullmatch(r"typedef struct (amun_\w+) \{(.*)\} \w+", statement)
        pointer = re.fullmatch(r"typedef .*\(\*(amun_\w+)\)\((.*)\)", statement)
        prototype = re.fullmatch(r"(.*[\s*])(amun_\w+)\((.*)\)", statement)
        if enum:
            self.constants.update(gen_cdef.enum_values(enum.group(1)))
        elif struct:
            self.structs[struct.group(1)] = fields_of(struct.group(2))
        elif pointer:
            types = ", ".join(map(without_name, pointer.group(2).split(",")))
            self.types[pointer.group(1)] = statement[:pointer.start(2)] + types + ")"
        elif prototype:
            types = ", ".join(map(without_name, prototype.group(3).split(",")))
            self.prototypes[prototype.group(2)] = "%s(%s)" % (prototype.group(1).strip(), types)
        else:
            self.types[statement.split()[-1]] = statement


def taken(before, now):
    """A reserved field, 0 in every program of then, has become an option of the same width."""
    return (re.fullmatch(r"int32_t reserved\d*", before) is not None
            and re.fullmatch(r"(?:int32_t|amun_\w+) \w+", now) is not None)


def compare(old, new):
    problems = []
    for kind in ("constants", "prototypes", "types"):
        before, now = getattr(old, kind), getattr(new, kind)
        for name, value in before.items():
            if name not in now:
                problems.append("%s: gone" % name)
            elif now[name] != value and not VERSION.fullmatch(name):
                problems.append("%s: was %s, is %s" % (name, value, now[name]))
    for name, fields in old.structs.items():
        now = new.structs.get(name)
        if now is None:
            problems.append("struct %s: gone" % name)
            continue
        for i, field in enumerate(fields):
            if i >= len(now) or (now[i] != field and not taken(field, now[i])):
                problems.append("struct %s: field %d was '%s', is '%s'" % (
                    name, i, field, now[i] if i < len(now) else "gone"))
                break
        if len(now) > len(fields) and fields[0] != "size_t struct_size":
            problems.append("struct %s: grew, but has no struct_size" % name)
    return problems


# ---- symbols -----------------------------------------------------------------------------------

def compare_symbols(nodes, exported):
    """`nodes`: of the map of then; `exported`: "amun_x@@AMUN_0.1" of the library."""
    there = {symbol.replace("@@", "@") for symbol in exported}
    return ["%s@%s: not in the library" % (name, node) for node, names, _ in nodes
            for name in names if "%s@%s" % (name, node) not in there]


def exported_symbols(nm, library):
    out = subprocess.run([nm, "-D", "--defined-only", "--with-symbol-versions", str(library)],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    return {line.split()[-1] for line in out.splitlines() if " A " not in line}


# ---- abidiff -----------------------------------------------------------------------------------

def hollow_library(cc, headers, map_file, out):
    """A library with the interface of `headers` and debug information, whose functions do nothing."""
    lines = ["#include <amun/amun.h>"] + ["#include <amun/%s>" % path.name
                                          for path in sorted(headers.glob("*.h"))]
    for path in gen_cdef.headers_in_order(headers):
        text = gen_cdef.strip_comments(path.read_text(encoding="utf-8"))
        for statement in gen_cdef.declarations(gen_cdef.without_preprocessor(text)):
            if re.fullmatch(r"(?!typedef)(.*[\s*])(amun_\w+)\((.*)\)", statement):
                lines.append(statement + " { for (;;) { } }")
    source = out.with_suffix(".c")
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    subprocess.run([*cc, "-std=c11", "-g", "-O0", "-fPIC", "-shared", "-w", "-I", headers.parent,
                    source, "-o", out, "-Wl,-soname,libamun.so.0",
                    "-Wl,--version-script=%s" % map_file], check=True)
    return out


def has_debug_information(library):
    out = subprocess.run(["readelf", "-S", "--wide", str(library)], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    return ".debug_info" in out


GROWN = re.compile(r"'struct (\w+) at [^\n]*' changed:\n  type size changed from (\d+) to \d+ \(in bits\)\n"
                   r"  \d+ data member insertions?:\n((?:    '[^\n]*', at offset \d+ [^\n]*\n)+)")


def without_growth(report):
    """Without the structs that only grew at their end: struct_size tells how far the caller's goes."""
    def keep(match):
        offsets = map(int, re.findall(r"', at offset (\d+) ", match.group(3)))
        harmless = match.group(1) not in FIXED and min(offsets) >= int(match.group(2))
        return "" if harmless else match.group(0)
    return GROWN.sub(keep, report)


def abidiff(program, before, now, *more):
    """Exit bit 8: incompatible. Bit 4: a change that somebody has to look at; here, any but growth."""
    run = subprocess.run([program, "--leaf-changes-only", "--no-added-syms", *map(str, more),
                          str(before), str(now)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, check=False)
    lines = [line for line in without_growth(run.stdout).splitlines()
             if line.strip() and not re.match(r"[\w/ ]+ summary: ", line)]
    if run.returncode in (0, 4) and not lines:
        return []
    return ["abidiff: exit %d" % run.returncode] + lines[:60]


# ---- what is run -------------------------------------------------------------------------------

def versions():
    return sorted(path for path in FROZEN.iterdir() if (path / "include").is_dir())


def check_headers():
    new = Interface(ROOT / "include" / "amun")
    return ["%s: %s" % (folder.name, problem) for folder in versions()
            for problem in compare(Interface(folder / "include" / "amun"), new)]


def check_symbols(args):
    exported = exported_symbols(args.nm, args.library)
    return ["%s: %s" % (folder.name, problem) for folder in versions()
            for problem in compare_symbols(gen_map.read_map(folder / "libamun.map"), exported)]


def check_abidiff(args):
    """Empty libraries of both sets of headers, which shows each type; then the built library, which
    shows that it was built from these headers. There, types from elsewhere are left out: the handles
    have an inside."""
    headers, problems = ROOT / "include" / "amun", []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        now = hollow_library(args.cc, headers, ROOT / "lib" / "libamun.map", work / "now.so")
        for version in versions():
            old = version / "include" / "amun"
            before = hollow_library(args.cc, old, version / "libamun.map", work / "before.so")
            problems += abidiff(args.abidiff, before, now)
        if has_debug_information(args.library):
            problems += abidiff(args.abidiff, now, args.library, "--headers-dir1", headers,
                                "--headers-dir2", headers, "--drop-private-types")
        else:
            print("the library has no debug information: only its headers were compared")
    return problems


# A change of a header, and what has to be said of it: by the headers alone, and by abidiff.
SEEDS = [
    ("two fields swapped", "train.h", "    int32_t epochs;", "    int32_t batch;", "amun_train_options", True),
    ("a field retyped", "search.h", "    int32_t steps;", "    int64_t steps;", "amun_search_options", True),
    ("a constant renumbered", "base.h", "AMUN_ERROR_SHAPE = -6", "AMUN_ERROR_SHAPE = -7", "AMUN_ERROR_SHAPE", False),
    ("a function gone", "model.h", "amun_model_clone(", "amun_model_copy(", "amun_model_clone", True),
    ("a parameter retyped", "dataset.h", "size_t count, size_t population", "int32_t count, size_t population",
     "amun_forget_indices", True),
    ("a frozen struct grown", "tensor.h", "    int64_t strides[AMUN_MAX_NDIM];",
     "    int64_t strides[AMUN_MAX_NDIM]; int64_t more;", "amun_tensor_view", True),
]
HARMLESS = [
    ("a reserved field in use", "clip.h", "int32_t reserved0;", "int32_t used;"),
    ("a parameter renamed", "dataset.h", "size_t count, size_t population", "size_t n, size_t population"),
    ("a field appended", "search.h", "} amun_search_options;", "double more; } amun_search_options;"),
    ("a comment", "base.h", "/** Options common", "/** The options common"),
]


def seeded(work, header, before, after, source=ROOT / "include" / "amun"):
    """The headers with `before` replaced; where `after` stands there too, they change places."""
    headers = work / "include" / "amun"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, headers)
    text = (headers / header).read_text(encoding="utf-8")
    assert before in text, "%s: no %r" % (header, before)
    if after in text:
        text = text.replace(before, "\0", 1).replace(after, before, 1).replace("\0", after, 1)
    else:
        text = text.replace(before, after, 1)
    (headers / header).write_text(text, encoding="utf-8")
    return headers


def self_test_headers():
    old, failures = Interface(ROOT / "include" / "amun"), compare(*[Interface(
        ROOT / "include" / "amun")] * 2)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder) / "seed"
        for name, header, before, after, part, _ in SEEDS:
            problems = compare(old, Interface(seeded(work, header, before, after)))
            if not any(part in problem for problem in problems):
                failures.append("seed '%s' was not found: %r" % (name, problems))
        for name, header, before, after in HARMLESS:
            problems = compare(old, Interface(seeded(work, header, before, after)))
            if problems:
                failures.append("'%s' is harmless: %r" % (name, problems))
    nodes = [("AMUN_0.1", ["amun_a", "amun_b"], None)]
    if compare_symbols(nodes, {"amun_a@@AMUN_0.1", "amun_b@AMUN_0.1", "amun_c@@AMUN_0.2"}):
        failures.append("symbols that are all there")
    for exported in ({"amun_a@@AMUN_0.1"}, {"amun_a@@AMUN_0.1", "amun_b@@AMUN_0.2"}):
        if not compare_symbols(nodes, exported):
            failures.append("a missing symbol was not found")
    print("%d seeded violations" % (len(SEEDS) + 2))
    return failures


def self_test_abidiff(args):
    failures, headers, map_file = [], ROOT / "include" / "amun", ROOT / "lib" / "libamun.map"
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        before = hollow_library(args.cc, headers, map_file, work / "before.so")

        def difference(*seed):
            changed = seeded(work / "seed", *seed)
            return abidiff(args.abidiff, before,
                           hollow_library(args.cc, changed, map_file, work / "now.so"))
        for name, header, old, new, part, seen in SEEDS:
            problems = difference(header, old, new)
            # constants are in no debug information of a function
            if seen and not any(part in problem for problem in problems):
                failures.append("seed '%s' was not found: %r" % (name, problems))
        for name, header, old, new in HARMLESS:
            failures += ["'%s' is harmless: %s" % (name, p) for p in difference(header, old, new)]
    return failures


def self_test_layout(args):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        seeds = [(name, header, old, new, False) for name, header, old, new, part, _ in SEEDS
                 if part.endswith(("options", "view"))]
        for name, header, old, new, good in seeds + [(*HARMLESS[-1], True)]:
            changed = seeded(work / "seed", header, old, new)
            run = subprocess.run([*args.cc, "-std=c11", "-fsyntax-only", "-I", changed.parent,
                                  ROOT / "tests" / "abi" / "layout.c"], stderr=subprocess.PIPE,
                                 text=True, check=False)
            if (run.returncode == 0) != good:
                failures.append("seed '%s': exit %d\n%s" % (name, run.returncode, run.stderr))
    return failures


# What the program has to notice when it runs, since no compiler does.
CLIENT_SEEDS = [
    ("nothing", "base.h", "/** Options common", "/** The options common", 0),
    ("two fields swapped", "train.h", "    int32_t epochs;", "    int32_t batch;", 1),
    ("two results swapped", "train.h", "int64_t epochs;", "int64_t samples;", 1),
    ("a constant renumbered", "unlearn.h", "AMUN_UNLEARN_AMUN = 2", "AMUN_UNLEARN_AMUN = 4", 1),
    ("a field of another width", "spectral.h", "amun_layer_kind kind;", "int64_t kind;", 1),
]


def self_test_client(args):
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        for version in versions():
            for name, header, old, new, code in CLIENT_SEEDS:
                changed = seeded(work / "seed", header, old, new, version / "include" / "amun")
                subprocess.run([*args.cc, "-std=c11", "-w", *args.sanitize, "-I", changed.parent,
                                version / "client.c", "-o", work / "client", args.library, "-lm",
                                "-Wl,-rpath,%s" % args.library.parent], check=True)
                run = subprocess.run([work / "client"], stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, check=False)
                if (run.returncode != 0) != (code != 0):
                    failures.append("%s: seed '%s': exit %d" % (version.name, name, run.returncode))
                    failures += run.stdout.splitlines()[-20:]
    return failures


def freeze():
    folder = FROZEN / gen_map.current_node(ROOT / "include" / "amun").replace("AMUN_", "")
    shutil.rmtree(folder / "include", ignore_errors=True)
    shutil.copytree(ROOT / "include" / "amun", folder / "include" / "amun")
    shutil.copy(ROOT / "lib" / "libamun.map", folder / "libamun.map")
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["headers", "symbols", "layout", "client", "abidiff"], nargs="?")
    parser.add_argument("--library", type=pathlib.Path)
    parser.add_argument("--cc", type=shlex.split, default=["cc"])
    parser.add_argument("--sanitize", type=shlex.split, default=[])
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--abidiff", default="abidiff")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--freeze", action="store_true")
    args = parser.parse_args()
    if args.freeze:
        problems = freeze()
    elif args.what == "abidiff" and shutil.which(args.abidiff) is None:
        print("no abidiff (Debian: abigail-tools)")
        sys.exit(SKIPPED)
    elif args.what == "abidiff":
        problems = self_test_abidiff(args) if args.self_test else check_abidiff(args)
    elif args.what == "layout":
        problems = self_test_layout(args)
    elif args.what == "client":
        problems = self_test_client(args)
    elif args.what == "symbols":
        problems = check_symbols(args)
    else:
        problems = self_test_headers() if args.self_test else check_headers()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
