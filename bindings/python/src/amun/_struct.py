"""Option and result structs of the library: the way in and out of C. Which ones there are, and what
their fields mean, is in _options.py and _results.py."""
from __future__ import annotations

import enum
import keyword
import os
from typing import Any, Dict, List, Optional, Type, Union

from ._cdef import ENUM_FIELDS, ENUMS
from ._enums import ENUM_CLASSES
from ._errors import InvalidArgumentError, check, text
from ._lib import ffi, lib

PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


def path_bytes(path: Optional[PathLike]) -> Any:
    """A path (str, bytes or os.PathLike) or text as a C string, NULL for None."""
    if path is None:
        return ffi.NULL
    name = os.fsencode(path)
    if b"\0" in name:
        raise InvalidArgumentError("a NUL in %r" % path)
    return ffi.new("char[]", name)


def enum_value(c_name: str, value: Any) -> int:
    """A number, or a name in any case ("l2"), as the number."""
    if isinstance(value, str):
        names = ENUMS[c_name]
        if value.upper() not in names:
            raise InvalidArgumentError("%s: %r is none of %s" % (
                c_name, value, ", ".join(repr(name.lower()) for name in names)))
        return names[value.upper()]
    return int(value)


def enum_member(c_name: str, value: int) -> int:
    """The number as a member of its enumeration; one that has no name stays a number."""
    try:
        return ENUM_CLASSES[c_name](value)
    except ValueError:
        return value


NESTED: Dict[str, Type["Options"]] = {}  # option struct: its class


class Options:
    """One of the library's option structs, filled by its init function.

    Keyword arguments set fields; every field is an attribute. Fields of an enumeration take its
    members or their names as text; nested options take such an object or a dict. A field that is a
    word of the language has an underscore behind it (`lambda_`)."""
    _c_name: str  # "amun_train_options"
    _init: str    # its init function
    _struct: Any
    _kept: Dict[str, Any]

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        NESTED.setdefault(cls._c_name, cls)

    def __init__(self, *init_args: Any, **fields: Any) -> None:
        self._struct = ffi.new(self._c_name + " *")
        self._kept = {}  # memory that fields point to
        check(getattr(lib, self._init)(self._struct, ffi.sizeof(self._c_name), *init_args))
        for name, value in fields.items():
            setattr(self, name, value)

    @classmethod
    def _fields(cls) -> Dict[str, Any]:
        return {name: field.type for name, field in ffi.typeof(cls._c_name).fields
                if name != "struct_size" and not name.startswith("reserved")}

    def _type_of(self, name: str) -> Any:
        fields = self._fields()
        if name not in fields:
            raise TypeError("%s has no field %r; it has %s" % (
                self._c_name, name, ", ".join(sorted(fields))))
        return fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            return super().__setattr__(name, value)
        name = name.rstrip("_")
        kind = self._type_of(name)
        enum_name = ENUM_FIELDS.get(self._c_name, {}).get(name)
        if kind.kind == "pointer":
            value = self._pointer(name, kind, value)
        elif enum_name:
            value = enum_value(enum_name, value)
        try:
            setattr(self._struct, name, value)
        except (TypeError, OverflowError) as error:
            raise type(error)("%s.%s: %s" % (self._c_name, name, error)) from None

    def _pointer(self, name: str, kind: Any, value: Any) -> Any:
        """The address of a text, of nested options, or of pairs of layers, which stay alive with
        this object."""
        item = kind.item.cname.removeprefix("struct ")
        nested = NESTED.get(item)
        self._kept.pop(name + ".", None)
        if value is None:
            kept = ffi.NULL
        elif item == "char":
            kept = path_bytes(value)
        elif nested:
            options = value if isinstance(value, nested) else nested(**value)
            self._kept[name + "."] = options
            kept = options._struct
        elif item == "amun_layer_pair":
            kept = self._layer_pairs(name, value)
        else:
            raise TypeError("%s.%s cannot be set from Python" % (self._c_name, name))
        self._kept[name] = kept
        return kept

    def _layer_pairs(self, name: str, value: Any) -> Any:
        value = [(int(a), str(b), int(c), str(d)) for a, b, c, d in value]
        rows = ffi.new("amun_layer_pair[]", len(value))
        texts = [ffi.new("char[]", text.encode()) for row in value for text in row[1::2]]
        for i, (row, (model_a, _, model_b, _)) in enumerate(zip(rows, value)):
            row.model_a, row.model_b = model_a, model_b
            row.layer_a, row.layer_b = texts[2 * i:2 * i + 2]
        self._kept.update({name + ".": value, name + " texts": texts})
        self._struct.pair_count = len(value)
        return rows

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        name = name.rstrip("_")
        try:
            kind = self._type_of(name)
        except TypeError as error:
            raise AttributeError(str(error)) from None
        value = getattr(self._struct, name)
        if name in ENUM_FIELDS.get(self._c_name, {}):
            return enum_member(ENUM_FIELDS[self._c_name][name], value)
        if kind.kind != "pointer":
            return value
        if kind.item.cname == "char":
            return None if value == ffi.NULL else text(value)
        return self._kept.get(name + ".")

    def as_dict(self) -> Dict[str, Any]:
        """All fields, nested options included; an unset text is None."""
        values = {name: getattr(self, name) for name in self._fields()}
        return {name: value.as_dict() if isinstance(value, Options) else value
                for name, value in values.items()}

    def __dir__(self) -> List[str]:
        return list(super().__dir__()) + list(self._fields())

    def __repr__(self) -> str:
        shown = []
        for name in self._fields():
            value = getattr(self, name)
            value = value.name.lower() if isinstance(value, enum.Enum) else value
            shown.append("%s=%r" % (name + "_" * keyword.iskeyword(name), value))
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))


class Result:
    """A result struct and the named tuple that it becomes."""

    def __init__(self, c_name: str, kind: Any) -> None:
        self.c_name, self.type = c_name, kind
        self.fields = [(name, field.type) for name, field in ffi.typeof(c_name).fields
                       if name != "struct_size" and not name.startswith("reserved")]
        self._flags = {name for name, told in kind.__annotations__.items()
                       if getattr(told, "__forward_arg__", told) == "bool"}

    def new(self) -> Any:
        """A struct for the library to fill."""
        struct = ffi.new(self.c_name + " *")
        struct.struct_size = ffi.sizeof(self.c_name)
        return struct

    def _value(self, name: str, kind: Any, value: Any) -> Any:
        enum_name = ENUM_FIELDS.get(self.c_name, {}).get(name)
        if enum_name:
            return enum_member(enum_name, value)
        if kind.kind == "pointer":
            return None if value == ffi.NULL else text(value)
        if kind.kind == "array":
            return tuple(value)
        return bool(value) if name in self._flags else value

    def read(self, struct: Any, *more: Any) -> Any:
        """The struct as a named tuple, `more` behind its fields."""
        return self.type(*(self._value(name, kind, getattr(struct, name))
                           for name, kind in self.fields), *more)

    def write(self, values: Any) -> Any:
        """A named tuple as a struct."""
        struct = self.new()
        for (name, _), value in zip(self.fields, values):
            setattr(struct, name, value)
        return struct
