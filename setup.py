"""Builds native/_native.pyx into anyllm_fast._native, or installs the Python twins alone.

ANYLLM_FAST_BUILD=native   a missing compiler or a failed build is an error
ANYLLM_FAST_BUILD=python   do not try to build
(unset)                    try; where it fails, say so and install the Python twins
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

WANTED = os.environ.get("ANYLLM_FAST_BUILD", "auto")
if WANTED not in {"auto", "native", "python"}:
    sys.exit(f"ANYLLM_FAST_BUILD={WANTED!r} is not one of auto, native, python")


class BuildNative(build_ext):
    """Compiles the extension; falls back to the twins unless the build was demanded."""

    def run(self):
        try:
            super().run()
        except Exception as error:
            self._give_up(error)

    def build_extension(self, ext):
        try:
            super().build_extension(ext)
        except Exception as error:
            self._give_up(error)

    def copy_extensions_to_source(self):
        built = [ext for ext in self.extensions if self._regular_path(ext).exists()]
        self.extensions, every = built, self.extensions
        try:
            super().copy_extensions_to_source()
        finally:
            self.extensions = every

    def _regular_path(self, ext):
        """Where the extension is before it is copied next to its source (get_ext_fullpath already says where to)."""
        return Path(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name)))

    def get_outputs(self):
        return [path for path in super().get_outputs() if Path(path).exists()]

    def _give_up(self, error):
        if WANTED == "native":
            raise error
        print(
            f"anyllm_fast: the native module was not built ({type(error).__name__}: {error}); "
            "the Python twins are installed instead. ANYLLM_FAST_BUILD=native makes this an error.",
            file=sys.stderr,
        )


def extensions():
    if WANTED == "python":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        if WANTED == "native":
            raise
        return []
    module = Extension(
        "anyllm_fast._native",
        ["native/_native.pyx"],
        extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-fno-plt"],
    )
    return cythonize([module], include_path=["native"], build_dir="build/native", compiler_directives={"language_level": "3"})


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildNative})
