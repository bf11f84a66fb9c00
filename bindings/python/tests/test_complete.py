"""Whatever the headers declare has a counterpart here, and whatever is public has documentation and
types."""
import enum
import inspect
import os
import pathlib
import re
import sys
import tempfile
import unittest
import unittest.mock

from support import PACKAGE, ROOT, amun

from amun import _base
from amun._cdef import CDEF, ENUMS

sys.path.insert(0, str(ROOT / "bindings" / "python"))
import gen_cdef  # noqa: E402
import gen_types  # noqa: E402

HANDLES = _base.Handle.__subclasses__()
# exported functions that Python does without, and why
WITHOUT = {
    "amun_tensor_view_init": "arrays of NumPy have strides of their own",
    "amun_dtype_size": "NumPy knows",
    "amun_version": "amun.__version__ is amun_version_string()",
}
for _handle in ("attack", "clipper", "context", "dataset", "ensemble", "graph", "mia", "report",
                "spectrum"):
    WITHOUT["amun_%s_ref" % _handle] = "Python counts references to the object itself"


# a program of a user: what a type checker has to say about it
USER = """
import amun
data = amun.Dataset.idx("images", "labels")
model = amun.Model.create("digits", channels=1, height=8, width=8)
result = amun.train(model, data, epochs=3, schedule="cosine", clip={"target": 1.0})
seconds: float = result.seconds
amun.train(model, data, epochz=3)  # wrong
amun.train(data, model)  # wrong # wrong
amun.unlearn(model, data, [1, 2], method=amun.UnlearnMethod.SSD, rival=amun.RivalOptions(ssd_alpha=2))
rate: str = amun.TrainOptions().lr  # wrong
amun.Attack.fgsm(eps="large")  # wrong
with amun.Context(threads=2) as context:
    model.predict(data.read(), progress=lambda seen: seen.step > 3)
    amun.train(model, data, progress=True)
    amun.train(model, data, progress=(lambda seen: seen.stepp, 0))  # wrong
"""


def exported():
    """The functions in the symbol map."""
    text = (ROOT / "lib" / "libamun.map").read_text(encoding="utf-8")
    return set(re.findall(r"^\s*(amun_\w+);", text, re.M))


def used():
    """The names of C functions that the modules mention, and those that Handle derives."""
    names = {handle._c_name + "_unref" for handle in HANDLES}
    for path in (PACKAGE / "amun").glob("*.py"):
        if path.name not in ("_cdef.py", "_ffi.py"):
            names |= set(re.findall(r"\bamun_\w+", path.read_text(encoding="utf-8")))
    return names


class Completeness(unittest.TestCase):
    def test_functions(self):
        functions, names = exported(), used()
        self.assertGreater(len(functions), 150)
        self.assertEqual(sorted(functions - names - set(WITHOUT)), [])
        self.assertEqual(sorted(set(WITHOUT) - functions), [], "no longer exported")
        self.assertEqual(sorted(set(WITHOUT) & names), [], "used after all")

    def test_the_declarations_are_those_of_the_map(self):
        self.assertEqual(set(re.findall(r"\b(amun_\w+)\(", CDEF)), exported())

    def test_handles(self):
        handles = set(re.findall(r"\b(amun_\w+)_unref\(", CDEF))
        self.assertEqual({handle._c_name for handle in HANDLES}, handles)

    def test_structs(self):
        options = set(re.findall(r"struct (amun_\w+_options) {", CDEF))
        self.assertEqual(options - set(_base.NESTED), set())
        public = [value for value in vars(amun).values() if isinstance(value, type)]
        for init in set(re.findall(r"\b(amun_\w+_options_init)\(", CDEF)):
            if init != "amun_unlearn_train_options_init":  # unlearn_train_options()
                self.assertIn(init, {getattr(kind, "_init", "") for kind in public})

    def test_every_field_can_be_set_or_is_a_function_pointer(self):
        for c_name, kind in _base.NESTED.items():
            annotated = {name.rstrip("_") for name in kind.__annotations__}
            hidden = {name for name, told in kind._fields().items()
                      if told.kind == "pointer" and (told.item.kind in ("void", "function"))}
            hidden |= {name for name, told in kind._fields().items() if told.kind == "function"}
            self.assertEqual(annotated, set(kind._fields()) - hidden, c_name)

    def test_enumerations(self):
        offered = [{name: int(value) for name, value in kind.__members__.items()}
                   for kind in vars(amun).values() if isinstance(kind, enum.EnumMeta)]
        for name, values in ENUMS.items():
            if name != "amun_status":  # these are the exceptions
                self.assertIn(values, offered, name)


def members(kind):
    """(name, function) of the public methods and properties that the class itself defines."""
    for name, value in vars(kind).items():
        if isinstance(value, property):
            value = value.fget
        value = getattr(value, "__func__", value)
        if inspect.isfunction(value) and (not name.startswith("_") or name in ("__len__",
                                                                              "__getitem__")):
            yield "%s.%s" % (kind.__name__, name), value


def public():
    """(name, object) of all that users see, methods included."""
    for name in amun.__all__:
        value = getattr(amun, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield name, value
    kinds = [getattr(amun, name) for name in amun.__all__ if inspect.isclass(getattr(amun, name))]
    for kind in kinds + [_base.Handle, _base.Options]:
        if not issubclass(kind, tuple):
            yield from members(kind)


class Documentation(unittest.TestCase):
    def test_all_is_what_there_is(self):
        self.assertEqual(len(amun.__all__), len(set(amun.__all__)))
        from_here = {name for name, value in vars(amun).items() if not name.startswith("_")
                     and getattr(value, "__module__", "").split(".")[0] == "amun"}
        self.assertEqual(from_here - set(amun.__all__), set())

    def test_docstrings(self):
        for name, value in public():
            own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
            self.assertTrue(own and len(own) >= 7, name)
            # what namedtuple and enum write by themselves
            self.assertNotRegex(own, r"^(\w+\(\w+(, \w+)*\)|An enumeration\.)$", name)
        modules = [value for value in sys.modules.values()
                   if getattr(value, "__name__", "").split(".")[0] == "amun"]
        for module in modules:
            self.assertTrue(module.__doc__, module.__name__)

    @staticmethod
    def words(text):
        return set(re.findall(r"[a-z]{4,}", text))

    def test_what_the_headers_say_is_there(self):
        """Documentation of structs and enumerations is generated; that the words come through."""
        self.assertIn("default 200, range [0, 100000]", amun.TrainOptions.__doc__)
        self.assertIn("eps: default 8/255", amun.FgsmOptions.__doc__)
        self.assertIn("lambda_: default 0.05", amun.LotosOptions.__doc__)
        self.assertIn("schedule: default Schedule.STEP", amun.TrainOptions.__doc__)
        self.assertIn("COSINE: per step, half a cosine", amun.Schedule.__doc__)
        texts = [path.read_text(encoding="utf-8")
                 for path in gen_cdef.headers_in_order(gen_cdef.HEADERS)]
        headers = gen_types.Headers(texts)
        checked = 0
        for struct, (_, fields) in headers.structs.items():
            kind = getattr(amun, gen_types.class_name(struct), None)
            for _, field, _, told in fields if kind else []:
                if field == "struct_size" or field.startswith("reserved") or "amun_" in told:
                    continue  # names of the C interface are written anew
                if gen_types.python_name(field) in kind.__annotations__:
                    missing = self.words(told) - self.words(kind.__doc__)
                    self.assertEqual(missing, set(), "%s.%s" % (struct, field))
                    checked += 1
        self.assertGreater(checked, 200)


class Types(unittest.TestCase):
    def test_annotations(self):
        for name, value in public():
            if inspect.isfunction(value):
                signature = inspect.signature(value)
                for parameter in signature.parameters.values():
                    if parameter.name not in ("self", "cls"):
                        self.assertIsNot(parameter.annotation, inspect.Parameter.empty,
                                         "%s(%s)" % (name, parameter.name))
                self.assertIsNot(signature.return_annotation, inspect.Signature.empty, name)
        for kind in _base.Handle.__subclasses__():
            if "__init__" in vars(kind):
                for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
                    self.assertIsNot(parameter.annotation, inspect.Parameter.empty, kind)

    def test_the_names_in_annotations_exist(self):
        import ast
        import builtins
        for path in sorted((PACKAGE / "amun").glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            bound = set(dir(builtins)) | {"Self"}
            for node in ast.walk(tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    bound |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
                elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                    bound.add(node.name)
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    bound.add(node.id)
            for node in ast.walk(tree):
                told = [getattr(node, "annotation", None), getattr(node, "returns", None)]
                for annotation in [one for one in told if isinstance(one, ast.AST)]:
                    for name in ast.walk(annotation):
                        if isinstance(name, ast.Name):
                            self.assertIn(name.id, bound, "%s:%d" % (path.name, name.lineno))

    def test_mypy(self):
        try:
            from mypy import api
        except ImportError:
            self.skipTest("mypy is not installed")
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--ignore-missing-imports", "--cache-dir", folder]
            told, errors, status = api.run(flags + [str(PACKAGE / "amun")])
            self.assertEqual((status, errors), (0, ""), told)
            user = pathlib.Path(folder) / "user.py"
            user.write_text(USER, encoding="utf-8")
            with unittest.mock.patch.dict(os.environ, MYPYPATH=str(PACKAGE)):
                told, errors, status = api.run(flags + [str(user)])
        wrong = [number for number, line in enumerate(USER.splitlines(), 1)
                 for _ in range(line.count("# wrong"))]
        found = [int(line) for line in re.findall(r"user.py:(\d+): error", told)]
        self.assertEqual((found, errors), (wrong, ""), told)

    def test_marked_as_typed(self):
        self.assertTrue((PACKAGE / "amun" / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
