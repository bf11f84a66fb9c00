"""pip builds the package and installs it into a throw-away folder, offline; the installed package
finds the library in each documented way. Skipped where pip, setuptools or wheel is missing."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

from support import PACKAGE, environment

LIBRARY = os.environ["AMUN_LIBRARY"]
SONAME = "libamun.so.0"
WHERE = ("import amun, re\n"
         "m = amun.Model.create('digits', channels=1, height=8, width=8)\n"
         "print(amun.__file__)\n"
         "print(re.search(r'\\S*libamun\\.so\\S*', open('/proc/self/maps').read()).group(0))\n")


def plain(**changes):
    """An environment without what the build tree gives its tests."""
    return environment(**{**dict.fromkeys(["AMUN_LIBRARY", "AMUN_BUNDLE", "PKG_CONFIG_PATH",
                                           "LD_PRELOAD", "PYTHONDONTWRITEBYTECODE",
                                           "PYTHONPATH"]), **changes})


def run(command, env):
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        raise AssertionError("%s\n%s\n%s" % (command, done.stdout, done.stderr))
    return done.stdout


for needed in ("pip", "setuptools", "wheel"):
    if subprocess.run([sys.executable, "-c", "import " + needed], capture_output=True,
                      check=False).returncode != 0:
        print("skipped: no", needed)
        sys.exit(77)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name).resolve()
        cls.source = cls.folder / "source"  # pip leaves things where it builds
        shutil.copytree(PACKAGE.parent, cls.source,
                        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build",
                                                      "tests"))
        cls.site = cls.pip("pure")
        cls.prefix = cls.folder / "prefix"
        (cls.prefix / "lib" / "pkgconfig").mkdir(parents=True)
        shutil.copyfile(LIBRARY, cls.prefix / "lib" / SONAME)
        (cls.prefix / "lib" / "pkgconfig" / "amun.pc").write_text(
            "prefix=%s\nlibdir=${prefix}/lib\n\nName: amun\nDescription: amun\nVersion: 0\n"
            "Libs: -L${libdir} -lamun\n" % cls.prefix, encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def pip(cls, name, **env):
        """The folder of an installation made with pip, its wheel beside it."""
        wheels, site = cls.folder / (name + "-wheel"), cls.folder / (name + "-site")
        common = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
        run(common + ["wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir",
                      str(wheels), str(cls.source)], plain(**env))
        cls.wheel, = wheels.glob("*.whl")
        run(common + ["install", "--no-deps", "--no-index", "--target", str(site),
                      str(cls.wheel)], plain())
        return site

    def loaded(self, site, **env):
        """The library that an installed package has loaded."""
        preload = {"LD_PRELOAD": os.environ.get("LD_PRELOAD")}
        file, library = run([sys.executable, "-c", WHERE],
                            plain(PYTHONPATH=str(site), **preload, **env)).split()
        self.assertEqual(pathlib.Path(file).parent, site / "amun")
        return library

    def system_has_one(self):
        code = "import ctypes; ctypes.CDLL('%s')" % SONAME
        return subprocess.run([sys.executable, "-c", code], capture_output=True,
                              check=False).returncode == 0

    def test_the_wheel(self):
        wheel, = (self.folder / "pure-wheel").glob("*.whl")
        self.assertTrue(wheel.name.endswith("-py3-none-any.whl"), wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
            metadata, = [name for name in names if name.endswith("/METADATA")]
            told = archive.read(metadata).decode()
        from amun import _cdef
        self.assertIn("Version: %s\n" % _cdef.VERSION, told)
        self.assertIn("amun/py.typed", names)
        shipped = {"amun/" + path.name for path in (PACKAGE / "amun").glob("*.py")}
        self.assertEqual(shipped - names, set())

    def test_by_variable(self):
        self.assertEqual(self.loaded(self.site, AMUN_LIBRARY=LIBRARY),
                         str(pathlib.Path(LIBRARY).resolve()))

    def test_by_pkg_config(self):
        if shutil.which("pkg-config") is None:
            self.skipTest("no pkg-config")
        if self.system_has_one():
            self.skipTest("the system's library comes first")
        path = str(self.prefix / "lib" / "pkgconfig")
        self.assertEqual(self.loaded(self.site, PKG_CONFIG_PATH=path),
                         str(self.prefix / "lib" / SONAME))

    def test_by_the_dynamic_linker(self):
        self.assertEqual(self.loaded(self.site, LD_LIBRARY_PATH=str(self.prefix / "lib")),
                         str(self.prefix / "lib" / SONAME))

    def test_bundled(self):
        site = self.pip("bundled", AMUN_BUNDLE=str(pathlib.Path(LIBRARY).resolve()))
        self.assertRegex(self.wheel.name, r"-py3-none-(?!any)\w+\.whl$")
        self.assertEqual(self.loaded(site, LD_LIBRARY_PATH=str(self.prefix / "lib")),
                         str(site / "amun" / SONAME))  # before that of the linker
        with self.assertRaisesRegex(AssertionError, "AMUN_BUNDLE: nowhere"):
            self.pip("wrong", AMUN_BUNDLE="nowhere")


if __name__ == "__main__":
    unittest.main()
