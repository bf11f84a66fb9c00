#!/usr/bin/env python3
"""Writes src/amun/_cdef.py from the declarations in include/amun/*.h, with gen_types.py the classes
in _enums.py, _options.py, _fields.py and _results.py, and with cffi the module _ffi.py.

What comes out in _cdef.py: the declarations as C text, and the tables that Python needs and cffi does
not keep: which numbers belong to which enumeration, and which struct fields are of which enumeration.
_ffi.py is the same text, and that of DLPack, as cffi has understood it (its out-of-line ABI mode): to
parse it takes longer than everything else that an import does. --check compares with the committed
files instead of writing them; of _ffi.py, which other versions of cffi may write otherwise, the text
that it was made from.
"""
import argparse
import contextlib
import hashlib
import io
import os
import pathlib
import pprint
import re
import sys
import tempfile

from gen_types import render_types

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = HERE.parents[1] / "include" / "amun"
PACKAGE = HERE / "src" / "amun"
DLPACK = """
typedef struct { int32_t device_type; int32_t device_id; } DLDevice;
typedef struct { uint8_t code; uint8_t bits; uint16_t lanes; } DLDataType;
typedef struct {
    void *data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} DLTensor;
typedef struct { DLTensor dl_tensor; void *manager_ctx; void *deleter; } DLManagedTensor;
typedef struct {
    uint32_t major;
    uint32_t minor;
    void *manager_ctx;
    void *deleter;
    uint64_t flags;
    DLTensor dl_tensor;
} DLManagedTensorVersioned;
"""


def strip_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def headers_in_order(folder):
    """Paths such that each header comes after those that it includes."""
    order, seen = [], set()

    def visit(path):
        if path in seen:
            return
        seen.add(path)
        for name in re.findall(r'^\s*#include "([\w.]+)"', path.read_text(encoding="utf-8"), re.M):
            visit(folder / name)
        order.append(path)

    for path in sorted(folder.glob("*.h")):
        visit(path)
    return order


def integer_macros(text):
    """(name, value) of object-like macros whose value is a plain integer."""
    pattern = r"^[ \t]*#define (AMUN_\w+)[ \t]+(\d+|0[xX][0-9a-fA-F]+)[uUlL]*[ \t]*$"
    for name, value in re.findall(pattern, text, re.M):
        yield name, int(value, 0)


def without_preprocessor(text):
    """The text with `extern "C"` blocks and directives (and their continued lines) removed."""
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*\n", "", text, flags=re.M)


def declarations(text):
    """Statements in file order, each on one line, without the export macro."""
    depth, start, out = 0, 0, []
    for i, char in enumerate(text):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == ";" and depth == 0:
            statement = re.sub(r"\bAMUN_(?:API|DEPRECATED)\b", "", text[start:i])
            out.append(re.sub(r"\s+", " ", statement).strip())
            start = i + 1
    if text[start:].strip() or depth:
        raise ValueError("left over at the end: %r" % text[start:].strip()[:80])
    return out


def pretty(statement):
    """One field or constant per line."""
    if "{" in statement:
        head, body, tail = re.fullmatch(r"(.*?)\{(.*)\}(.*)", statement).groups()
        separator = "," if head.strip() == "enum" else ";"
        items = [item.strip() for item in body.split(separator) if item.strip()]
        end = "," if separator == "," else ";"
        lines = "\n".join("    " + item + end for item in items)
        statement = (head.strip() + " {\n" + lines + "\n} " + tail.strip()).rstrip()
    return statement + ";"


def enum_values(body):
    values = {}
    for item in body.split(","):
        if item.strip():
            name, value = item.split("=")
            values[name.strip()] = int(value.strip(), 0)
    return values


def short_names(values):
    """{"L2": 1} from {"AMUN_NORM_L2": 1}: without what all names have in common."""
    common = os.path.commonprefix(list(values))
    common = common[:common.rfind("_") + 1]
    return {name[len(common):]: value for name, value in values.items()}


def tables(statements):
    """enums: {typedef: {short name: value}}; fields: {struct: {field: enum typedef}}."""
    enums, fields, last = {}, {}, None
    for statement in statements:
        alias = re.fullmatch(r"typedef int32_t (amun_\w+)", statement)
        body = re.fullmatch(r"enum \{(.*)\}", statement)
        if body and last:
            enums[last] = short_names(enum_values(body.group(1)))
        last = alias.group(1) if alias else None
    for statement in statements:
        struct = re.fullmatch(r"typedef struct (amun_\w+) \{(.*)\} \w+", statement)
        for field in struct.group(2).split(";") if struct else []:
            match = re.fullmatch(r"\s*(amun_\w+) (\w+)\s*", field)
            if match and match.group(1) in enums:
                fields.setdefault(struct.group(1), {})[match.group(2)] = match.group(1)
    return enums, fields


def version(folder):
    text = (folder / "version.h").read_text(encoding="utf-8")
    return re.search(r'#define AMUN_VERSION_STRING "([^"]+)"', text).group(1)


def interface(folder):
    """(declarations as C text, the same as statements)."""
    macros, blocks, statements = [], [], []
    for path in headers_in_order(folder):
        text = strip_comments(path.read_text(encoding="utf-8"))
        macros += integer_macros(text)
        found = declarations(without_preprocessor(text))
        statements += found
        if found:
            blocks.append("/* " + path.name + " */\n" + "\n".join(pretty(s) for s in found))
    defines = "\n".join("#define %s %d" % pair for pair in macros)
    return "\n" + defines + "\n\n" + "\n\n".join(blocks) + "\n", statements


def render(folder):
    cdef, statements = interface(folder)
    enums, fields = tables(statements)
    form = {"indent": 1, "width": 96, "sort_dicts": False}
    return ('"""The C interface. Written by gen_cdef.py from include/amun/*.h; do not edit."""\n\n'
            'CDEF = """' + cdef + '"""\n\n'
            "VERSION = \"%s\"\n\n" % version(folder) +
            "# enumeration: its names without their common beginning\n"
            "ENUMS = " + pprint.pformat(enums, **form) + "\n\n"
            "# struct: its fields that hold a value of an enumeration\n"
            "ENUM_FIELDS = " + pprint.pformat(fields, **form) + "\n")


def render_all(folder):
    """{file name: text} of all that is written."""
    texts = [path.read_text(encoding="utf-8") for path in headers_in_order(folder)]
    return {"_cdef.py": render(folder), **render_types(texts, short_names)}


def mark_of(cdef):
    """What says in _ffi.py which text it was made from."""
    digest = hashlib.sha256((cdef + DLPACK).encode()).hexdigest()
    return "# made from declarations with the SHA-256 " + digest + "\n"


def wrapped(line, width=96):
    """A line of bytes literals as several that Python joins."""
    def split(match):
        parts, part = [], ""
        for token in re.findall(r"\\x[0-9A-F]{2}|\\.|[^\\]", match.group(1)):
            if len(part) + len(token) > width:
                parts.append(part)
                part = ""
            part += token
        return "\n        ".join("b'%s'" % p for p in parts + [part])
    line = re.sub(r"b'((?:[^'\\]|\\.)*)'", split, line)
    return re.sub(r",(?=b'|\()", ",\n        ", line) if len(line) > width else line


def render_ffi(cdef):
    """The text of _ffi.py."""
    import cffi
    maker = cffi.FFI()
    maker.set_source("amun._ffi", None)
    maker.cdef(cdef + DLPACK)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "_ffi.py"
        with contextlib.redirect_stdout(io.StringIO()):
            maker.emit_python_code(str(path))
        lines = path.read_text(encoding="utf-8").splitlines()
    while lines[0].startswith("#") or not lines[0]:
        lines.pop(0)
    return ('"""The C interface, parsed. Written by gen_cdef.py with cffi; do not edit."""\n'
            + mark_of(cdef) + "\n".join(wrapped(line) for line in lines) + "\n")


def is_current(name, text, cdef):
    """Is the committed file the one that would be written?"""
    path = PACKAGE / name
    if not path.exists():
        return False
    there = path.read_text(encoding="utf-8")
    return mark_of(cdef) in there if name == "_ffi.py" else there == text


def self_test():
    """The comparison must notice what changes the interface, and nothing else."""
    base = ('#define AMUN_A 1u\n#define AMUN_F(x) \\\n  (x)\n'
            '#ifdef __cplusplus\nextern "C" {\n#endif\n'
            "typedef int32_t amun_kind;\nenum { AMUN_KIND_ONE = 1, AMUN_KIND_TWO = 2 };\n"
            "/** doc; */\ntypedef struct amun_o {\nsize_t struct_size; amun_kind kind;\n} amun_o;\n"
            "AMUN_API amun_kind amun_f(const amun_o *o);\n"
            "#ifdef __cplusplus\n}\n#endif\n")
    seeds = [("comment", "doc;", "other doc;", True),
             ("field", "amun_kind kind;", "int64_t kind;", False),
             ("constant", "TWO = 2", "TWO = 3", False), ("macro", "AMUN_A 1u", "AMUN_A 2u", False),
             ("parameter", "const amun_o *o", "amun_o *o", False),
             ("order", "size_t struct_size; amun_kind kind;",
              "amun_kind kind; size_t struct_size;", False)]
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "version.h").write_text('#define AMUN_VERSION_STRING "1.2.3"\n', encoding="utf-8")
        (folder / "a.h").write_text(base, encoding="utf-8")
        good, everything = render(folder), render_all(folder)
        for what, old, new, same in seeds:
            assert old in base
            (folder / "a.h").write_text(base.replace(old, new), encoding="utf-8")
            if (render(folder) == good) != same:
                problems.append("seed '%s' %s" % (what, "is no change" if same else "not seen"))
            if render_all(folder) == everything and what != "order":
                problems.append("seed '%s' not seen in the classes" % what)
    for part in ("'amun_kind': {'ONE': 1, 'TWO': 2}", "{'amun_o': {'kind': 'amun_kind'}}",
                 "#define AMUN_A 1\n", 'VERSION = "1.2.3"\n'):
        if part not in good:
            problems.append("missing in the output: " + part)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if the file is out of date")
    parser.add_argument("--self-test", action="store_true", help="show that changes are seen")
    args = parser.parse_args()
    if args.self_test:
        sys.exit("\n".join(self_test()) or None)
    files = render_all(HEADERS)
    cdef, _ = interface(HEADERS)
    if args.check:
        stale = ["src/amun/" + name for name, text in [*files.items(), ("_ffi.py", None)]
                 if not is_current(name, text, cdef)]
    else:
        stale = []
        files["_ffi.py"] = render_ffi(cdef)
        for name, text in files.items():
            (PACKAGE / name).write_text(text, encoding="utf-8")
    if stale:
        sys.exit("out of date: %s: run bindings/python/gen_cdef.py" % ", ".join(stale))


if __name__ == "__main__":
    main()
