"""Writes src/amun/_enums.py, _options.py, _fields.py and _results.py: a class for each enumeration,
option struct and result struct of the headers, with annotations and with the headers' own
documentation. gen_cdef.py calls it.

What is derived from a name: amun_train_options is TrainOptions, amun_train_result TrainResult. A
struct with several init functions (amun_pgd_options) becomes a class for each of them."""
import keyword
import re
import textwrap

# arrays that the functions put behind the fields of a result struct: (field, type, documentation)
MORE_FIELDS = {
    "amun_miann": [
        ("accuracy", "np.ndarray", "[models + 1, classes], acceptance rates in percent; the last "
         "row is the unlearned model's; NaN at forget classes"),
        ("discriminators", "np.ndarray", "[models + 1, classes], balanced accuracies in percent")],
    "amun_probe": [("logits", "Optional[np.ndarray]", "[m, classes], the probe's on the test rows; "
                    "None from a model")],
    "amun_quality": [("epsilon", "np.ndarray", "[n], of each sample")],
    "amun_ulira_samples": [("p", "np.ndarray", "[n], probability of having been unlearned")],
    "amun_distance": [("tv_rows", "np.ndarray", "[n], total variation of each row; NaN where a row "
                       "does not count")],
}
# not results of a call, or with a type of their own in Python
NOT_RESULTS = {"amun_call_options", "amun_layer_pair", "amun_tensor_view", "amun_attack_record"}
FLAGS = {  # int32_t that says yes or no, in results
    ("amun_layer_spectrum", "converged"), ("amun_select_trial", "admitted"),
    ("amun_select_trial", "failed"),
}
NUMBERS = {"int32_t": "int", "int64_t": "int", "uint32_t": "int", "uint64_t": "int",
           "size_t": "int", "uint8_t": "int", "double": "float", "float": "float",
           "amun_node": "int"}


def class_name(c_name):
    return "".join(part.capitalize() for part in c_name.split("_")[1:])


def python_name(field):
    """`lambda` is a word of the language: lambda_."""
    return field + "_" if keyword.iskeyword(field) else field


def prose(comment):
    """The text of a C comment in one paragraph."""
    text = re.sub(r"\n\s*\*(?!/) ?", "\n", comment or "")
    text = re.sub(r"@since\s+[\d.]+", "", text)
    return re.sub(r"\s+", " ", text).strip()


def parse_fields(body):
    """[(C type, name, array length or None, documentation)] of a struct's body."""
    token = re.compile(r"/\*\*<(?P<after>.*?)\*/|/\*\*(?P<before>.*?)\*/|/\*.*?\*/|"
                       r"(?P<declaration>[^;/]+);", re.S)
    fields, before, last = [], "", []
    for match in token.finditer(body):
        if match.group("after") is not None:
            for at in last:
                fields[at][3] = prose(match.group("after"))
        elif match.group("before") is not None:
            before = prose(match.group("before"))
        elif match.group("declaration") is not None:
            kind, names = re.fullmatch(r"\s*((?:const )?\w+)\s+(.*?)\s*",
                                       match.group("declaration"), re.S).groups()
            last = []
            for name in re.split(r",\s*", names):
                star, plain, extent = re.fullmatch(r"(\*?)\s*(\w+)(?:\[(\w+)\])?", name).groups()
                last.append(len(fields))
                fields.append([kind + " *" if star else kind, plain, extent, before])
            before = ""
    return fields


def parse_constants(body):
    """[(name, value, documentation)] of an enumeration's body."""
    token = re.compile(r"/\*\*<(?P<after>.*?)\*/|/\*\*(?P<before>.*?)\*/|/\*.*?\*/|"
                       r"(?P<name>AMUN_\w+)\s*=\s*(?P<value>-?\d+)", re.S)
    constants, before = [], ""
    for match in token.finditer(body):
        if match.group("after") is not None:
            constants[-1][2] = prose(match.group("after"))
        elif match.group("before") is not None:
            before = prose(match.group("before"))
        elif match.group("name"):
            constants.append([match.group("name"), int(match.group("value")), before])
            before = ""
    return constants


COMMENT = r"(?:/\*\*((?:(?!\*/).)*?)\*/\s*)?"


class Headers:
    """What the headers declare: enums {name: (doc, constants)}, structs {name: (doc, fields)},
    inits {init function: struct}."""

    def __init__(self, texts):
        text = "\n".join(texts)
        self.enums = {}
        for doc, name, body in re.findall(
                COMMENT + r"typedef int32_t (amun_\w+);\s*(?:/\*(?!\*).*?\*/\s*)?enum \{(.*?)\};",
                text, re.S):
            self.enums[name] = prose(doc), parse_constants(body)
        self.structs = {}
        for doc, name, body in re.findall(
                COMMENT + r"typedef struct (amun_\w+) \{(.*?)\n\} \2;", text, re.S):
            self.structs[name] = prose(doc), parse_fields(body)
        plain = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
        self.inits = {init: struct for init, struct in re.findall(
            r"(amun_\w+_init)\(\s*(amun_\w+_options) \*\w+,\s*size_t \w+\s*\)", plain)}


class Writer:
    """Turns what Headers found into Python."""

    def __init__(self, headers, short_names):
        self.headers, self.short = headers, short_names
        self.members = {}  # C constant: how Python calls it
        for name, (_, constants) in headers.enums.items():
            if name != "amun_status":
                for (constant, _, _), short in zip(constants, self._short(name)):
                    self.members[constant] = "%s.%s" % (class_name(name), short)
        self.classes = {}  # option struct: its first class
        for init, struct in headers.inits.items():
            self.classes.setdefault(struct, class_name(init[:-len("_init")]))

    def _short(self, enum):
        constants = self.headers.enums[enum][1]
        return list(self.short({name: value for name, value, _ in constants}))

    def text(self, doc):
        """Documentation with the names that things have in Python."""
        doc = re.sub(r"\bAMUN_[A-Z0-9_]+\b", lambda m: self.members.get(m[0], m[0]), doc)

        def name(match):
            word = match[0]
            if word in self.classes:
                return self.classes[word]
            known = word in self.headers.structs or word in self.headers.enums
            return class_name(word) if known else word
        doc = re.sub(r"\bamun_\w+\b(?!\()", name, doc)
        return doc.replace("\\", "\\\\").replace('"""', "'''")

    def docstring(self, opening, fields, heading):
        lines = textwrap.wrap(opening, 92)
        if fields:
            lines += ["", heading + ":"]
        for name, doc in fields:
            lines += textwrap.wrap(name + (": " + doc if doc else ""), 94, initial_indent="  ",
                                   subsequent_indent="      ", break_on_hyphens=False)
        first, rest = lines[0], lines[1:]
        if not rest and len(first) < 88:
            return ['    """%s"""' % first]
        return ['    """' + first] + [("    " + line).rstrip() for line in rest] + ['    """']

    def enum(self, name):
        doc, constants = self.headers.enums[name]
        shorts = self._short(name)
        opening = self.text(doc) or "Values of %s." % name
        out = ["class %s(enum.IntEnum):" % class_name(name)]
        out += self.docstring(opening, [(short, self.text(told)) for short, (_, _, told)
                                        in zip(shorts, constants)], "Members")
        out += ["    %s = %d" % (short, value) for short, (_, value, _) in zip(shorts, constants)]
        return out

    def option_type(self, kind, name):
        """(type of the attribute, type of the keyword argument); None: not for Python."""
        base = kind.replace("const ", "")
        if base in self.headers.enums:
            return (class_name(base), "Union[%s, str]" % class_name(base))
        if base in NUMBERS:
            return (NUMBERS[base],) * 2
        if base == "char *":
            return "Optional[str]", "Optional[PathLike]"
        pointed = base[:-2] if base.endswith(" *") else ""
        if pointed in self.classes:
            nested = self.classes[pointed]
            return ("Optional[%s]" % nested, "Union[%s, Mapping[str, Any], None]" % nested)
        if pointed == "amun_layer_pair":
            return ("Optional[Sequence[Tuple[int, str, int, str]]]",) * 2
        return None

    def shown(self, struct):
        """[(name, (attribute, keyword) types, documentation)] of an option struct's fields."""
        out = []
        for kind, field, _, told in self.headers.structs[struct][1]:
            types = self.option_type(kind, field)
            if field != "struct_size" and not field.startswith("reserved") and types:
                out.append((python_name(field), types, self.text(told)))
        return out

    def fields(self, init):
        name = class_name(init[:-len("_init")])
        out = ["class %s(TypedDict, total=False):" % name.replace("Options", "Fields"),
               '    """Keyword arguments of %s."""' % name]
        return out + ["    %s: %s" % (field, types[1])
                      for field, types, _ in self.shown(self.headers.inits[init])]

    def options(self, init):
        struct = self.headers.inits[init]
        name, shown = class_name(init[:-len("_init")]), self.shown(struct)
        out = ["class %s(Options):" % name]
        opening = self.text(self.headers.structs[struct][0])
        opening = opening.replace("NULL options mean the defaults.", "").strip()
        out += self.docstring(opening or "Fields of %s." % struct,
                              [(field, told) for field, _, told in shown], "Fields")
        out += ['    _c_name = "%s"' % struct, '    _init = "%s"' % init]
        out += ["    %s: %s" % (field, types[0]) for field, types, _ in shown]
        return out + ["", "    if TYPE_CHECKING:",
                      "        def __init__(self, **fields: Unpack[_fields.%s]) -> None: ..."
                      % name.replace("Options", "Fields")]

    def result_type(self, struct, kind, field, extent, told):
        base = kind.replace("const ", "")
        if (struct, field) in FLAGS:
            return "bool"
        plain = class_name(base) if base in self.headers.enums else NUMBERS.get(base, "Any")
        if base == "char *":  # of which the documentation says so if it may be NULL
            plain = "Optional[str]" if re.search(r"\bNULL\b", told) else "str"
        return "Tuple[%s, ...]" % plain if extent else plain

    def result(self, struct):
        doc, fields = self.headers.structs[struct]
        shown = [(python_name(field), self.result_type(struct, kind, field, extent, told),
                  self.text(told)) for kind, field, extent, told in fields
                 if field != "struct_size" and not field.startswith("reserved")]
        shown += MORE_FIELDS.get(struct, [])
        out = ["class %s(NamedTuple):" % class_name(struct)]
        # what only those who write C have to know
        opening = re.sub(r"[^.]*\bstruct_size\b[^.]*\.|Valid during the callback only\.", "",
                         self.text(doc)).strip()
        out += self.docstring(opening or "Fields of %s." % struct,
                              [(field, told) for field, _, told in shown], "Fields")
        return out + ["    %s: %s" % (field, kind) for field, kind, _ in shown]


MARK = "Written by gen_cdef.py from include/amun/*.h; do not edit."
ENUMS_HEAD = '"""Enumerations. ' + MARK + '"""\nimport enum\nfrom typing import Dict, Type'
OPTIONS_HEAD = '"""Option structs. ' + MARK + ('"""\n'
    "from __future__ import annotations\n\n"
    "from typing import TYPE_CHECKING, Optional, Sequence, Tuple\n\n"
    "from ._enums import (%s)\n"
    "from ._struct import Options\n\n"
    "if TYPE_CHECKING:\n"
    "    from typing_extensions import Unpack\n\n"
    "    from . import _fields")
FIELDS_HEAD = '"""Keyword arguments, as types. ' + MARK + ('"""\n'
    "from __future__ import annotations\n\n"
    "from typing import Any, Mapping, Optional, Sequence, Tuple, TypedDict, Union\n\n"
    "from ._enums import (%s)\n"
    "from ._options import (%s)\n"
    "from ._struct import PathLike")
RESULTS_HEAD = '"""What calls return. ' + MARK + ('"""\n'
    "from __future__ import annotations\n\n"
    "from typing import Any, Dict, NamedTuple, Optional, Tuple\n\n"
    "import numpy as np\n\n"
    "from ._enums import (%s)")


def listed(names):
    """Names of an import statement."""
    indent = 21 * " "
    return textwrap.fill(", ".join(names), 98, initial_indent=indent,
                         subsequent_indent=indent).strip()


def table(comment, name, kind, pairs):
    rows = "".join("    \"%s\": %s,\n" % pair for pair in pairs)
    return "# %s\n%s: %s = {\n%s}" % (comment, name, kind, rows)


def public(names):
    """An __all__."""
    return textwrap.fill("__all__ = [" + ", ".join('"%s"' % name for name in names) + "]", 98,
                         subsequent_indent=11 * " ")


def used(names, blocks):
    """Those of the names that the annotations in the blocks mention."""
    words = set(re.findall(r"\w+", "\n".join(
        line for block in blocks for line in block.split("\n") if re.match(r"    \w+: ", line))))
    return [name for name in names if name in words]


def join(*blocks):
    return "\n\n\n".join(blocks) + "\n"


def render_types(texts, short_names):
    """{file name: text}, from the texts of the headers."""
    headers = Headers(texts)
    writer = Writer(headers, short_names)
    enums = [name for name in headers.enums if name != "amun_status"]
    inits = [init for init, struct in headers.inits.items() if struct in headers.structs]
    results = [name for name, (_, fields) in headers.structs.items()
               if not name.endswith("_options") and name not in NOT_RESULTS]
    classes = [class_name(name) for name in enums]
    options = ["\n".join(writer.options(init)) for init in inits]
    fields = ["\n".join(writer.fields(init)) for init in inits]
    told = ["\n".join(writer.result(name)) for name in results]
    nested = [class_name(init[:-len("_init")]) for init in inits]
    return {
        "_enums.py": join(
            ENUMS_HEAD, public(classes), *("\n".join(writer.enum(name)) for name in enums),
            table("enumeration of the library: its class", "ENUM_CLASSES",
                  "Dict[str, Type[enum.IntEnum]]", list(zip(enums, classes)))),
        "_options.py": join(OPTIONS_HEAD % listed(used(classes, options)), public(nested),
                            *options),
        "_fields.py": join(FIELDS_HEAD % (listed(used(classes, fields)),
                                          listed(used(nested, fields))), *fields),
        "_results.py": join(
            RESULTS_HEAD % listed(used(classes, told)),
            public([class_name(name) for name in results]), *told,
            table("result struct of the library: its class", "RESULT_CLASSES", "Dict[str, Any]",
                  [(name, class_name(name)) for name in results])),
    }
