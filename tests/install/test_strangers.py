#!/usr/bin/env python3
"""Programs of a stranger, against the installed library: `meson install` into a throw-away folder,
then C and C++ through pkg-config, C and C++ through CMake, Python, and Rust as a crate outside the
source tree. What is missing on this machine is skipped, with a reason. Output is TAP.

Usage: test_strangers.py BUILD SOURCE --cc ... --cxx ... (see meson.build)"""
import argparse
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

LIMIT = 40  # lines of the short programs


class Skip(Exception):
    """This machine cannot try it."""


class World:
    """The throw-away folder, and what all programs are told."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.source = args.source
        data = self.source / "examples" / "data"
        self.digits = [str(data / "digits-images.idx"), str(data / "digits-labels.idx")]
        self.root = folder / "root"
        self.env = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive",
                        PYTHONDONTWRITEBYTECODE="1")
        for name in ("AMUN_LIBRARY", "AMUN_LIB_DIR", "LD_PRELOAD", "PKG_CONFIG_PATH"):
            self.env.pop(name, None)

    def call(self, command, **more):
        env = dict(self.env, **more.pop("env", {}))
        run = subprocess.run([str(part) for part in command], env=env, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
        if run.returncode != 0:
            raise AssertionError("%s: exit %d\n%s%s" % (" ".join(map(str, command)),
                                                        run.returncode, run.stdout, run.stderr))
        return run.stdout

    def install(self):
        """Only what the packages of distributions would hold: the root folder stands for '/'."""
        self.call([*self.args.meson, "install", "-C", self.args.build, "--no-rebuild", "--quiet",
                   "--destdir", self.root])
        found = sorted(self.root.rglob("amun.pc"))
        assert len(found) == 1, "amun.pc: %r" % found
        self.libdir = found[0].parent.parent
        assert (self.libdir / "libamun.so.0").exists(), "no libamun.so.0 beside " + str(found[0])
        self.env["LD_LIBRARY_PATH"] = str(self.libdir)
        # A root folder that is not '/': the paths in amun.pc are as they will be, so that folder
        # has to be put before them.
        text = found[0].read_text(encoding="utf-8")
        prefix = re.search(r"^prefix=(.*)$", text, re.M).group(1)
        moved = self.folder / "pkgconfig"
        moved.mkdir()
        (moved / "amun.pc").write_text(
            text.replace("prefix=" + prefix, "prefix=%s%s" % (self.root, prefix), 1),
            encoding="utf-8")
        self.env["PKG_CONFIG_PATH"] = str(moved)
        self.libraries = shlex.split(self.call(["pkg-config", "--libs", "amun"]))
        self.flags = shlex.split(self.call(["pkg-config", "--cflags", "amun"]))
        assert str(self.root) in " ".join(self.flags + self.libraries), "flags: %r %r" % (
            self.flags, self.libraries)

    def compile(self, compiler, standard, source):
        if not compiler:
            raise Skip("no such compiler")
        out = self.folder / (source.name + ".out")
        self.call([*compiler, "-std=" + standard, "-Wall", "-Wextra", "-Werror", *self.args.sanitize,
                   source, "-o", out, *self.flags, *self.libraries])
        return out


def short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < LIMIT, "%s: %d lines" % (path.name, lines)


def audited(text):
    """The one line of figures of the C and C++ programs."""
    match = re.fullmatch(r"UA ([\d.]+) RA ([\d.]+) TA ([\d.]+) AUC ([\d.]+) MIS ([\d.]+|nan)\n", text)
    assert match, "no audit: %r" % text
    ua, ra, ta, auc = (float(number) for number in match.groups()[:4])
    assert 60 < ua <= 100 and 80 < ra <= 100 and 80 < ta <= 100 and 30 < auc < 70, text
    return text


def rows(text):
    """{method: UA, RA, TA, FT-AUC, MIS} of the Python and Rust programs; the seconds are left out."""
    table = {line.split()[0]: line.split()[1:-1] for line in text.splitlines()
             if line.startswith(("original ", "amun "))}
    assert set(table) == {"original", "amun"}, "no table: %r" % text
    for figures in table.values():
        assert len(figures) == 5 and 60 < float(figures[2]) <= 100, text
    return table


def forgot(text):
    match = re.search(r"forgotten ([\d.]+), before ([\d.]+)\nstopped\n$", text)
    assert match and float(match.group(1)) > float(match.group(2)), text


def test_c(world):
    source = world.source / "examples" / "forget.c"
    short(source)
    world.c = audited(world.call([world.compile(world.args.cc, "c11", source), *world.digits]))


def usage(world, program):
    """Without arguments: they are asked for, and nothing else happens."""
    run = subprocess.run([str(program)], env=world.env, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    assert (run.returncode, run.stdout) == (2, "") and run.stderr == "two files, please\n", run


def test_c_minimal(world):
    # other tests run it to its end
    usage(world, world.compile(world.args.cc, "c11", world.source / "examples" / "minimal.c"))


def test_cpp(world):
    source = world.source / "examples" / "cpp" / "forget.cpp"
    short(source)
    text = audited(world.call([world.compile(world.args.cxx, "c++17", source), *world.digits]))
    assert text == world.c, "C: %r, C++: %r" % (world.c, text)


def test_cpp_handles(world):
    source = world.source / "examples" / "cpp" / "handles.cpp"
    forgot(world.call([world.compile(world.args.cxx, "c++17", source), *world.digits, "4"]))


def test_cmake(world):
    cmake = shutil.which("cmake")
    if not cmake:
        raise Skip("no cmake")
    if not world.args.cxx:
        raise Skip("no C++ compiler")
    build = world.folder / "cmake"
    flags = " ".join(world.args.sanitize)
    world.call([cmake, "-S", world.source / "examples" / "cmake", "-B", build],
               env={"CC": " ".join(world.args.cc), "CXX": " ".join(world.args.cxx),
                    "CFLAGS": flags, "CXXFLAGS": flags})
    world.call([cmake, "--build", build])
    forgot(world.call([build / "handles", *world.digits, "4"]))
    usage(world, build / "forget")


def preload(world):
    if world.args.blocked:
        raise Skip(world.args.blocked)
    return dict(pair.split("=", 1) for pair in world.args.preload)


def test_python(world):
    env = preload(world)
    try:
        world.call([sys.executable, "-c", "import cffi, numpy"])
    except AssertionError:
        raise Skip("no cffi or no numpy") from None
    source = world.source / "bindings" / "python" / "examples" / "forget.py"
    short(source)
    copy = pathlib.Path(shutil.copy(source, world.folder))
    package = world.folder / "site"
    shutil.copytree(world.source / "bindings" / "python" / "src", package)
    world.python = rows(world.call([sys.executable, copy, *world.digits, "3", "2"],
                                   env=dict(env, PYTHONPATH=str(package))))


def test_rust(world):
    env = preload(world)
    cargo = world.args.cargo
    if not cargo:
        raise Skip("no cargo 1.77 or later")
    bindings = world.source / "bindings" / "rust"
    source = bindings / "amun" / "examples" / "forget.rs"
    short(source)
    crate = world.folder / "stranger"
    (crate / "src").mkdir(parents=True)
    shutil.copy(source, crate / "src" / "main.rs")
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "stranger"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\n'
        'amun = { path = "%s" }\n' % (bindings / "amun").as_posix(), encoding="utf-8")
    world.call([cargo, "build", "--offline", "--quiet", "--manifest-path", crate / "Cargo.toml"],
               env={"CARGO_TARGET_DIR": str(world.folder / "target"),
                    "CC": " ".join(world.args.cc)})
    text = world.call([world.folder / "target" / "debug" / "stranger", *world.digits, "3", "2"],
                      env=env)
    table = rows(text)
    python = getattr(world, "python", table)
    assert table == python, "Python: %r, Rust: %r" % (python, table)


TESTS = [test_c, test_c_minimal, test_cpp, test_cpp_handles, test_cmake, test_python, test_rust]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("source", type=pathlib.Path)
    for name in ("--meson", "--cc", "--cxx", "--sanitize"):
        parser.add_argument(name, type=shlex.split, default=[])
    parser.add_argument("--cargo", default="")
    parser.add_argument("--blocked", default="", help="why interpreters cannot load the library")
    parser.add_argument("--preload", action="append", default=[], help="NAME=VALUE for them")
    return parser.parse_args()


def main():
    args = arguments()
    if not shutil.which("pkg-config"):
        print("1..0 # SKIP no pkg-config")
        return 0
    print("1..%d" % (len(TESTS) + 1))
    bad = 0
    with tempfile.TemporaryDirectory(prefix="amun-install-") as folder:
        world = World(args, pathlib.Path(folder))
        for number, test in enumerate([World.install] + TESTS, 1):
            name = test.__name__
            try:
                test(world)
                print("ok %d - %s" % (number, name), flush=True)
            except Skip as reason:
                print("ok %d - %s # SKIP %s" % (number, name, reason), flush=True)
            except Exception as error:  # whatever it is: this program does not work
                bad += 1
                print("not ok %d - %s" % (number, name), flush=True)
                for line in str(error).splitlines() or [repr(error)]:
                    print("# " + line, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
