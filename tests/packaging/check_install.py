#!/usr/bin/env python3
"""What is installed works without the source and the build folder: `prefix` (meson install with
DESTDIR), `tarball` (.ci/tarball.sh, unpacked in two places), `debian` (.ci/debian.sh, unpacked). The
programs that are built against it are those of docs/linking.md.

The last two build the whole library once more. They are skipped (77) unless AMUN_TEST_PACKAGES
names them: AMUN_TEST_PACKAGES=tarball,debian."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DIGITS = [str(SOURCE / "examples/data" / f"digits-{what}.idx") for what in ("images", "labels")]
problems = []


def check(good, what, detail=""):
    print(("ok - " if good else "not ok - ") + what, flush=True)
    if not good:
        problems.append(what)
        print(detail)


def run(what, command, env=None, cwd=None):
    """Output of a command; a failure is a problem."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **(env or {})}, cwd=cwd,
                          text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, what, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else ""


def blocks(language):
    """Fenced blocks of docs/linking.md in that language."""
    text = (SOURCE / "docs/linking.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


class Tree:
    """An installed tree: its prefix, and how pkg-config finds it."""

    def __init__(self, prefix, env, folder, options):
        self.prefix, self.folder, self.options = prefix, folder, options
        found = sorted(prefix.rglob("libamun.so.*.*.*"))
        check(len(found) == 1, "one library", found)
        self.library = found[0]
        self.env = {**env, "PKG_CONFIG_PATH": str(self.library.parent / "pkgconfig")}
        self.run_env = {"LD_LIBRARY_PATH": str(self.library.parent), "OMP_NUM_THREADS": "1"}

    def flags(self, what):
        return run(f"pkg-config {what}", ["pkg-config", what, "amun"], self.env).split()

    def contents(self):
        names = sorted(path.name for path in (self.prefix / "include/amun").iterdir())
        wanted = sorted(path.name for path in (SOURCE / "include/amun").iterdir())
        check(names == wanted, "the headers, all of them", (names, wanted))
        links = {name: os.readlink(self.library.parent / name) for name in ("libamun.so", "libamun.so.0")}
        check(links["libamun.so"] == "libamun.so.0" and links["libamun.so.0"] == self.library.name,
              "libamun.so, libamun.so.0", links)
        dynamic = run("readelf", ["readelf", "-d", self.library])
        check("[libamun.so.0]" in dynamic, "the soname", dynamic)
        check("PATH)" not in dynamic, "no rpath in the library", dynamic)
        pc = (self.library.parent / "pkgconfig/amun.pc").read_text(encoding="utf-8")
        check("Requires" not in pc and "Libs.private" not in pc, "nothing of other libraries in amun.pc", pc)
        for place in (str(SOURCE), str(self.options.build)):
            check(place not in pc, "no path of the build in amun.pc", pc)

    def c(self):
        program = self.folder / "minimal"
        run("C: build", [*self.options.cc, SOURCE / "examples/minimal.c", "-o", program, *self.flags("--cflags"),
                         *self.flags("--libs"), *self.options.extra])
        said = run("C: run", [program, *DIGITS], self.run_env)
        check(said.startswith("loss: forgotten "), "C: says what it does", said)

    def cpp(self):
        (self.folder / "forget.cpp").write_text(blocks("cpp")[0], encoding="utf-8")
        program = self.folder / "forget"
        run("C++: build", [*self.options.cxx, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic",
                           self.folder / "forget.cpp", "-o", program, *self.flags("--cflags"),
                           *self.flags("--libs"), *self.options.extra])
        said = run("C++: run", [program], self.run_env)
        check(re.fullmatch(r"resnet20: \d+ parameters\n", said), "C++: says what it does", said)

    def project(self, name, file, text, setup, compile_it):
        """A project of another build system; `setup` and `compile_it` get source and build folder."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(SOURCE / "examples/minimal.c", folder)
        (folder / file).write_text(text, encoding="utf-8")
        env = {**self.env, "CC": " ".join(self.options.cc), "CFLAGS": " ".join(self.options.extra)}
        build = folder / "build"
        run(f"{name}: configure", setup(folder, build), env)
        run(f"{name}: build", compile_it(build), env)
        said = run(f"{name}: run", [build / "minimal", *DIGITS], self.run_env)
        check(said.startswith("loss: "), f"{name}: says what it does", said)

    def everything(self):
        self.contents()
        self.c()
        self.cpp()
        self.project("meson", "meson.build", blocks("meson")[0], lambda s, b: ["meson", "setup", b, s],
                     lambda b: ["ninja", "-C", b])
        if shutil.which("cmake"):
            self.project("cmake", "CMakeLists.txt", blocks("cmake")[0],
                         lambda s, b: ["cmake", "-S", s, "-B", b], lambda b: ["cmake", "--build", b])
        else:
            print("no cmake here")

    def python(self, folder, env):
        said = run("Python: import", [sys.executable, "-c", "import amun; print(amun.Model.create('resnet8').arch)"],
                   {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **env})
        check(said == "resnet8\n", "Python: makes a model", said)

    def examples(self, env):
        """Installed ones find the digits, and the library if `env` says nothing."""
        programs = self.prefix / "libexec/libamun"
        model = self.folder / "model.safetensors"
        run("train", [programs / "train", "--epochs", "2", "--threads", "1", "--out", model], env, self.folder)
        said = run("predict", [programs / "spectrum", "--model", model, "--threads", "1"], env, self.folder)
        check("conv" in said, "spectrum lists layers", said)


def subproject(folder):
    """The source itself as a subproject, configured only."""
    (folder / "subprojects").mkdir(parents=True)
    (folder / "subprojects/amun").symlink_to(SOURCE)
    shutil.copy(SOURCE / "examples/minimal.c", folder)
    (folder / "meson.build").write_text(blocks("meson")[0], encoding="utf-8")
    said = run("subproject: configure", ["meson", "setup", folder / "build", folder, "-Damun:tests=disabled"])
    check(re.search(r"^ *amun *: YES", said, re.M), "subproject: is taken", said)


def prefix(options, folder):
    subproject(folder / "sub")
    dest = folder / "dest"
    run("meson install", ["meson", "install", "-C", options.build, "--no-rebuild", "--destdir", dest])
    strays = sorted(set(p.name for p in dest.iterdir()) - {options.prefix.strip("/").split("/")[0]})
    check(not strays, "nothing outside the prefix", strays)
    Tree(dest / options.prefix.strip("/"), {"PKG_CONFIG_SYSROOT_DIR": str(dest)}, folder, options).everything()


def tarball(options, folder):
    file = folder / "libamun.tar.gz"
    run("tarball.sh", [SOURCE / ".ci/tarball.sh", file], {"AMUN_BUILD_DIR": str(folder / "build")})
    for place in ("here", "somewhere else"):
        (folder / place).mkdir()
        run("unpack", ["tar", "-C", folder / place, "-xzf", file])
        (top,) = (folder / place).iterdir()
        if place != "here":  # a blank in the path is more than pkg-config can say to a shell
            Tree(top, {}, folder / place, options).examples({})
            continue
        tree = Tree(top, {}, folder / place, options)
        tree.everything()
        tree.examples({})
        tree.python(top / "lib/python", {})
        shutil.rmtree(top / "share/libamun")
        check(subprocess.run([top / "libexec/libamun/train", "--epochs", "1"], capture_output=True, cwd=folder,
                             check=False).returncode == 2, "without the digits there is a message")
    left = subprocess.run(["grep", "-rlF", "-e", str(SOURCE), "-e", str(folder / "build"), folder / "somewhere else"],
                          text=True, capture_output=True, check=False).stdout
    check(left == "", "no path of the build in any file", left)


def debian(options, folder):
    out = folder / "packages"
    done = run("debian.sh", [SOURCE / ".ci/debian.sh", out],
               {"DEB_BUILD_OPTIONS": os.environ.get("DEB_BUILD_OPTIONS", "nocheck parallel=1")})
    print(done[-2000:])
    root = folder / "root"
    debs = sorted(path for path in out.glob("*.deb") if "dbgsym" not in path.name)
    check({path.name.split("_")[0] for path in debs}
          == {"libamun0", "libamun-dev", "libamun-doc", "libamun-examples", "python3-amun"}, "five packages", debs)
    for path in debs:
        run(f"unpack {path.name}", ["dpkg-deb", "-x", path, root])
    tree = Tree(root / "usr", {"PKG_CONFIG_SYSROOT_DIR": str(root)}, folder, options)
    tree.everything()
    tree.examples({"LD_LIBRARY_PATH": str(tree.library.parent)})
    tree.python(root / "usr/lib/python3/dist-packages", {"LD_LIBRARY_PATH": str(tree.library.parent)})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["prefix", "tarball", "debian"])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--prefix", required=True, help="of that build")
    parser.add_argument("--cc", type=str.split, default=["cc"])
    parser.add_argument("--cxx", type=str.split, default=["c++"])
    parser.add_argument("--sanitize", default="none", help="of the library")
    arguments = parser.parse_args()
    # The runner points at the build tree, which would win over what an installed program finds itself.
    os.environ.pop("LD_LIBRARY_PATH", None)
    asked = os.environ.get("AMUN_TEST_PACKAGES", "").split(",")
    if arguments.kind != "prefix" and arguments.kind not in asked:
        print(f"builds everything again; runs with AMUN_TEST_PACKAGES={arguments.kind}")
        sys.exit(77)
    arguments.extra = [] if arguments.sanitize == "none" or arguments.kind != "prefix" \
        else ["-fsanitize=" + arguments.sanitize]
    with tempfile.TemporaryDirectory() as scratch:
        globals()[arguments.kind](arguments, pathlib.Path(scratch))
    sys.exit(1 if problems else 0)
