"""What pyproject.toml cannot say: with AMUN_BUNDLE=/full/path/of/libamun.so.N in the environment
the library goes into the wheel, which then is one for this platform alone."""
import os
import pathlib
import re
import shutil
import sys

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
BUNDLE = os.environ.get("AMUN_BUNDLE")


def soname():
    """The name by which the package looks for the library beside itself."""
    text = (HERE / "src" / "amun" / "_cdef.py").read_text(encoding="utf-8")
    return "libamun.so." + re.search(r"#define AMUN_ABI_MAJOR (\d+)", text).group(1)


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        if BUNDLE:
            if not os.path.isabs(BUNDLE) or not os.path.isfile(BUNDLE):
                sys.exit("AMUN_BUNDLE: %s is not the full path of a file" % BUNDLE)
            shutil.copyfile(BUNDLE, os.path.join(self.build_lib, "amun", soname()))


class PlatformWheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not BUNDLE

    def get_tag(self):
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if BUNDLE else (python, abi, platform)


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
