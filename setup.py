"""Build `shoal._engine`: cext/ becomes a static library by make (parallel, incremental), cffi's module is linked with it."""

from __future__ import annotations

import os
import subprocess

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = os.path.dirname(os.path.abspath(__file__))


class BuildEngine(build_ext):
    """Runs cext/Makefile before the extension is compiled and linked."""

    def run(self) -> None:
        jobs = str(os.cpu_count() or 1)
        subprocess.run(["make", "--no-print-directory", "-s", "-C", os.path.join(HERE, "cext"), "-j", jobs], check=True)
        super().run()


class LimitedApiWheel(bdist_wheel):
    """One wheel for Python 3.10 and all later ones."""

    def finalize_options(self) -> None:
        self.py_limited_api = "cp310"
        super().finalize_options()


setup(
    cffi_modules=["cext/build_engine.py:ffi"],
    cmdclass={"build_ext": BuildEngine, "bdist_wheel": LimitedApiWheel},
)
