#!/usr/bin/env python3
"""Writes the Rust files that follow from include/amun/*.h, with the parser of the Python binding:

amun-sys/src/bindings.rs  every declaration of the C interface
systest/src/table.rs      what the tests compare with a C compiler: sizes, offsets, constants
amun/src/enums.rs         one type per enumeration
amun/src/structs.rs       option and result structs as Rust has them: without sizes and pointers

--check compares with the committed files instead of writing them."""
import argparse
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import gen_cdef as c  # noqa: E402 (needs the path)

BANNER = "// Written by gen_bindings.py from include/amun/*.h; do not edit.\n"
BASE = {"void": "c_void", "char": "c_char", "size_t": "usize", "double": "f64", "float": "f32",
        "int32_t": "i32", "int64_t": "i64", "uint8_t": "u8", "uint32_t": "u32", "uint64_t": "u64"}
KEYWORDS = {"as", "fn", "impl", "in", "loop", "match", "mod", "move", "mut", "ref", "type", "use"}

# Structs that the safe crate has in a form of its own, or not at all: its README says which functions
# it lacks.
BY_HAND = {"amun_progress", "amun_call_options", "amun_tensor_view", "amun_layer_pair",
           "amun_ulira_samples"}
# Fields that the safe structs leave out, or have as something else (see render_field()).
LEFT_OUT = {"struct_size", "alloc", "free", "allocator_data", "pair_count"}


def safe_name(name):
    return name + "_" if name in KEYWORDS else name


def camel(name):
    """amun_train_options -> TrainOptions"""
    return "".join(part[:1].upper() + part[1:] for part in name.removeprefix("amun_").split("_"))


# ---- C declarations as Rust ----------------------------------------------------------------------


def parse(declaration):
    """(name, base, [const of the base, const after each star], [array lengths])"""
    match = re.fullmatch(r"(const )?(\w+) ?((?:\* ?(?:const ?)?)*)(\w+)((?:\[\w+\])*)",
                         declaration.strip())
    if not match:
        raise ValueError("cannot read the declaration %r" % declaration)
    const, base, stars, name, arrays = match.groups()
    flags = [bool(const)] + ["const" in star for star in stars.split("*")[1:]]
    return name, base, flags, re.findall(r"\[(\w+)\]", arrays)


def rust_type(base, flags, arrays, parameter):
    kind = BASE.get(base, base)
    for const in flags[:-1]:
        kind = ("*const " if const else "*mut ") + kind
    if arrays and parameter:  # an array parameter is a pointer
        return ("*const " if flags[-1] else "*mut ") + kind
    for length in reversed(arrays):
        kind = "[%s; %s]" % (kind, length)
    return kind


def split_fields(body):
    """Declarations with one name each: "int64_t a, b" counts as two."""
    for item in body.split(";"):
        parts = [part.strip() for part in item.split(",")]
        if not parts[0]:
            continue
        base = re.match(r"(const )?\w+ ?", parts[0]).group(0)
        yield parts[0]
        for part in parts[1:]:
            yield base.rstrip() + " " + part


def parameters(text):
    for item in [] if text.strip() == "void" else text.split(","):
        name, base, flags, arrays = parse(item)
        yield safe_name(name), rust_type(base, flags, arrays, True)


def returns(text):
    if text.strip() == "void":
        return ""
    _, base, flags, _ = parse(text.strip() + " x")
    return " -> " + rust_type(base, flags, [], True)


class Interface:
    """Everything that the headers declare."""

    def __init__(self, folder):
        self.folder, self.docs, self.macros = folder, {}, []
        self.aliases, self.constants, self.structs, self.opaque = [], [], {}, []
        self.callbacks, self.functions = [], []
        statements = []
        for path in c.headers_in_order(folder):
            text = path.read_text(encoding="utf-8")
            self.read_docs(text)
            text = c.strip_comments(text)
            self.macros += c.integer_macros(text)
            statements += c.declarations(c.without_preprocessor(text))
        self.enums, _ = c.tables(statements)
        last = None
        for statement in statements:
            last = self.read(statement, last)

    def read_docs(self, text):
        """The comments behind fields and before structs."""
        pattern = r"typedef struct (\w+) \{(.*?)\n\} \w+;"
        for name, body in re.findall(pattern, text, re.S):
            for names, doc in re.findall(r"([\w, *]+?)(?:\[\w+\])?;\s*/\*\*<(.*?)\*/", body, re.S):
                for field in re.findall(r"(\w+)(?=,|$)", names.strip()):
                    doc = re.sub(r"\s+", " ", doc).strip()
                    # rustdoc takes [words] for links
                    self.docs[name, field] = doc.replace("[", "\\[").replace("]", "\\]")

    def read(self, statement, last):
        alias = re.fullmatch(r"typedef int32_t (amun_\w+)", statement)
        enum = re.fullmatch(r"enum \{(.*)\}", statement)
        struct = re.fullmatch(r"typedef struct (amun_\w+) \{(.*)\} \w+", statement)
        opaque = re.fullmatch(r"typedef struct (amun_\w+) \1", statement)
        callback = re.fullmatch(r"typedef (.*)\(\*(amun_\w+)\)\((.*)\)", statement)
        function = re.fullmatch(r"(.*?)(amun_\w+)\((.*)\)", statement)
        if alias:
            self.aliases.append(alias.group(1))
            return alias.group(1)
        if enum:
            self.constants += [(name, last or "i32", value)
                               for name, value in c.enum_values(enum.group(1)).items()]
        elif struct:
            self.structs[struct.group(1)] = [parse(f) for f in split_fields(struct.group(2))]
        elif opaque:
            self.opaque.append(opaque.group(1))
        elif callback:
            self.callbacks.append((callback.group(2), callback.group(3), callback.group(1)))
        elif function:
            self.functions.append((function.group(2), function.group(3), function.group(1)))
        else:
            raise ValueError("cannot read the statement %r" % statement)
        return None

    def initialisers(self, struct):
        """Init functions of the form (opts, size)."""
        want = "%s *opts, size_t size" % struct
        return [name for name, params, _ in self.functions if params.strip() == want]


# ---- amun-sys and its tests ----------------------------------------------------------------------


def macro_type(name):
    return "usize" if name == "AMUN_MAX_NDIM" else "u32"


def render_sys(api):
    out = [BANNER, "use core::ffi::{c_char, c_void};", "use core::marker::{PhantomData, PhantomPinned};",
           "", 'pub const AMUN_VERSION_STRING: &str = "%s";' % c.version(api.folder)]
    out += ["pub const %s: %s = %d;" % (name, macro_type(name), value) for name, value in api.macros]
    out += [""] + ["pub type %s = i32;" % name for name in api.aliases]
    out += ["pub const %s: %s = %d;" % constant for constant in api.constants]
    for name in api.opaque:
        out += ["", "#[repr(C)]", "pub struct %s {" % name, "    _data: [u8; 0],",
                "    _marker: PhantomData<(*mut u8, PhantomPinned)>,", "}"]
    for name, params, result in api.callbacks:
        listed = ", ".join("%s: %s" % p for p in parameters(params))
        out += ["", "pub type %s =" % name,
                '    Option<unsafe extern "C" fn(%s)%s>;' % (listed, returns(result))]
    for name, fields in api.structs.items():
        out += ["", "#[repr(C)]", "#[derive(Clone, Copy, Debug)]", "pub struct %s {" % name]
        out += ["    pub %s: %s," % (safe_name(f[0]), rust_type(*f[1:], False)) for f in fields]
        out += ["}"]
    out += ["", 'extern "C" {']
    for name, params, result in api.functions:
        listed = ", ".join("%s: %s" % p for p in parameters(params))
        out += ["    pub fn %s(%s)%s;" % (name, listed, returns(result))]
    return "\n".join(out + ["}", ""])


def render_table(api):
    out = [BANNER, "use crate::{field_size, Field, Struct};", "use amun_sys::*;",
           "use std::mem::{offset_of, size_of};", "",
           "pub fn structs() -> Vec<Struct> {", "    vec!["]
    for name, fields in api.structs.items():
        out += ["        Struct {", '            name: "%s",' % name,
                "            size: size_of::<%s>()," % name, "            fields: vec!["]
        for field, *_ in fields:
            rust = safe_name(field)
            out += ['                Field { name: "%s", offset: offset_of!(%s, %s), '
                    "size: field_size(|s: &%s| &s.%s) }," % (field, name, rust, name, rust)]
        out += ["            ],", "        },"]
    out += ["    ]", "}", "", "pub fn constants() -> Vec<(&'static str, i64)> {", "    vec!["]
    names = [name for name, _ in api.macros] + [name for name, *_ in api.constants]
    out += ['        ("%s", %s as i64),' % (name, name) for name in names]
    out += ["    ]", "}", "", "/// Addresses: the library has to have all of them.",
            "pub fn functions() -> Vec<(&'static str, *const ())> {", "    vec!["]
    out += ['        ("%s", %s as *const ()),' % (name, name) for name, *_ in api.functions]
    return "\n".join(out + ["    ]", "}", ""])


# ---- amun ------------------------------------------------------------------------------------------


def render_enums(api):
    out = [BANNER]
    for name, values in api.enums.items():
        if name == "amun_status":
            continue
        pairs = ", ".join("%s = %d" % pair for pair in values.items())
        out += ["enumeration!(%s, %s);" % (camel(name), pairs)]
    return "\n".join(out + [""])


class Field:
    """A field of a safe struct: its type, and how it is read from C and written to C."""

    def __init__(self, api, struct, parsed):
        name, base, flags, arrays = parsed
        self.c, self.rust = safe_name(name), safe_name(name)
        self.doc = api.docs.get((struct, name), "")
        nested = base in api.structs
        self.write = "raw.%s = self.%s;" % (self.c, self.rust)
        self.read = "raw.%s" % self.c
        if name == "pairs":
            self.kind, self.read = "Vec<crate::LayerPair>", "Vec::new()"
            self.write = "(raw.pairs, raw.pair_count) = crate::LayerPair::raw(&self.pairs, kept)?;"
        elif nested:
            self.kind, self.read = "Option<%s>" % camel(base), "None"
            self.write = "raw.%s = match &self.%s { Some(o) => o.raw(kept)?, None => std::ptr::null() };" % (
                self.c, self.rust)
        elif base == "char":
            self.kind = "Option<String>"
            self.read = "crate::text_or_none(raw.%s)" % self.c
            self.write = "raw.%s = kept.text_or_null(self.%s.as_deref())?;" % (self.c, self.rust)
        elif base in api.enums:
            self.kind, self.read = camel(base), "%s(raw.%s)" % (camel(base), self.c)
            self.write = "raw.%s = self.%s.0;" % (self.c, self.rust)
        else:
            base = "int32_t" if base in api.aliases else base
            self.kind = rust_type(base, flags, arrays, False)


def safe_fields(api, name):
    return [Field(api, name, parsed) for parsed in api.structs[name]
            if parsed[0] not in LEFT_OUT and not parsed[0].startswith("reserved")]


def render_struct(name, fields, derive):
    out = ["", "/// Fields of `%s`." % name, "#[derive(%s)]" % derive, "pub struct %s {" % camel(name)]
    for field in fields:
        out += ["    /// " + field.doc] if field.doc else []
        out += ["    pub %s: %s," % (field.rust, field.kind)]
    return out + ["}"]


def render_options(api, name):
    """Defaults come from the library; the way to C keeps what fields point to."""
    fields, rust = safe_fields(api, name), camel(name)
    out = render_struct(name, fields, "Clone, Debug")
    out += ["", "impl %s {" % rust,
            "    pub(crate) fn from_raw(raw: &sys::%s) -> Self {" % name, "        Self {"]
    out += ["            %s: %s," % (field.rust, field.read) for field in fields]
    out += ["        }", "    }", "",
            "    pub(crate) fn raw(&self, kept: &mut Kept) -> Result<*const sys::%s> {" % name,
            "        // SAFETY: zero is a value of every field: numbers and nullable pointers.",
            "        let mut raw: sys::%s = unsafe { std::mem::zeroed() };" % name,
            "        raw.struct_size = std::mem::size_of_val(&raw);"]
    out += ["        " + field.write for field in fields]
    out += ["        Ok(kept.keep(raw))", "    }"]
    inits = api.initialisers(name)
    for init in inits if inits != [name + "_init"] else []:
        short = init.removeprefix("amun_").removesuffix("_options_init")
        short = short.removeprefix(name.removeprefix("amun_").removesuffix("_options") + "_")
        out += ["", "    /// The defaults of `%s()`." % init, "    pub fn %s() -> Self {" % short,
                "        Self::from_raw(&crate::defaults(sys::%s))" % init, "    }"]
    out += ["}"]
    if inits == [name + "_init"]:
        out += ["", "impl Default for %s {" % rust, "    fn default() -> Self {",
                "        Self::from_raw(&crate::defaults(sys::%s_init))" % name, "    }", "}"]
    return out


def render_result(api, name):
    fields, rust = safe_fields(api, name), camel(name)
    sized = api.structs[name][0][0] == "struct_size"
    texts = any(field.kind == "Option<String>" for field in fields)
    out = render_struct(name, fields, "Clone, Debug" if texts else "Clone, Copy, Debug")
    out += ["", "impl %s {" % rust]
    if sized:
        out += ["    pub(crate) fn empty() -> sys::%s {" % name,
                "        // SAFETY: zero is a value of every field: numbers and nullable pointers.",
                "        let mut raw: sys::%s = unsafe { std::mem::zeroed() };" % name,
                "        raw.struct_size = std::mem::size_of_val(&raw);", "        raw", "    }", ""]
    out += ["    pub(crate) fn from_raw(raw: &sys::%s) -> Self {" % name, "        Self {"]
    out += ["            %s: %s," % (field.rust, field.read) for field in fields]
    out += ["        }", "    }"]
    if name == "amun_audit":  # the one result that goes back in
        out += ["", "    pub(crate) fn to_raw(self) -> sys::%s {" % name,
                "        let mut raw = Self::empty();"]
        out += ["        " + field.write for field in fields]
        out += ["        raw", "    }"]
    return out + ["}"]


def render_structs(api):
    out = [BANNER, "use crate::enums::*;", "use crate::{sys, Kept, Result};"]
    for name in api.structs:
        if name in BY_HAND:
            continue
        out += (render_options if name.endswith("_options") else render_result)(api, name)
    return "\n".join(out + [""])


def files(folder):
    api = Interface(folder)
    return {"amun-sys/src/bindings.rs": render_sys(api), "systest/src/table.rs": render_table(api),
            "amun/src/enums.rs": render_enums(api), "amun/src/structs.rs": render_structs(api)}


# ---- the check -------------------------------------------------------------------------------------


def self_test():
    """C in, Rust out, for each kind of declaration; a change of the interface must be seen."""
    import tempfile
    base = ('#define AMUN_A 1u\ntypedef struct amun_h amun_h;\ntypedef int32_t amun_kind;\n'
            "enum { AMUN_KIND_ONE = 1, AMUN_KIND_TWO = -2 };\n"
            "typedef int32_t (*amun_go_fn)(const char *text, void *user_data);\n"
            "typedef struct amun_o_options { size_t struct_size; amun_kind kind; int64_t a, b;\n"
            "    int64_t shape[3]; /**< three */\n    const char *match;\n} amun_o_options;\n"
            "AMUN_API amun_kind amun_f(amun_h *const *hs, const double pair[2], amun_go_fn fn);\n"
            "AMUN_API void amun_v(void);\n"
            "AMUN_API amun_kind amun_o_options_init(amun_o_options *opts, size_t size);\n")
    parts = ["pub const AMUN_A: u32 = 1;", "pub const AMUN_KIND_TWO: amun_kind = -2;",
             "Option<unsafe extern \"C\" fn(text: *const c_char, user_data: *mut c_void) -> i32>;",
             "    pub b: i64,", "    pub shape: [i64; 3],", "    pub match_: *const c_char,",
             "pub fn amun_f(hs: *const *mut amun_h, pair: *const f64, fn_: amun_go_fn) -> amun_kind;",
             "pub fn amun_v();", "enumeration!(Kind, ONE = 1, TWO = -2);", "impl Default for OOptions",
             "    /// three\n    pub shape: [i64; 3],", "pub match_: Option<String>,"]
    seeds = [("int64_t a, b", "int64_t b, a"), ("TWO = -2", "TWO = 3"), ("*const *hs", "**hs"),
             ("AMUN_A 1u", "AMUN_A 2u")]
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "version.h").write_text('#define AMUN_VERSION_STRING "1.2.3"\n', encoding="utf-8")
        (folder / "a.h").write_text(base, encoding="utf-8")
        good = files(folder)
        text = "\n".join(good.values())
        problems += ["missing in the output: " + part for part in parts if part not in text]
        for old, new in seeds:
            assert old in base
            (folder / "a.h").write_text(base.replace(old, new), encoding="utf-8")
            if files(folder) == good:
                problems.append("seed %r is not seen" % new)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail if a file is out of date")
    parser.add_argument("--self-test", action="store_true", help="show that changes are seen")
    args = parser.parse_args()
    if args.self_test:
        sys.exit("\n".join(self_test()) or None)
    for name, text in files(c.HEADERS).items():
        path = HERE / name
        if not args.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit("bindings/rust/%s is out of date: run bindings/rust/gen_bindings.py" % name)


if __name__ == "__main__":
    main()
