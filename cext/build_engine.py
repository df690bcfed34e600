"""Describe the extension `shoal._engine` to cffi.

What Python sees of C is the region of engine.h between the lines `/* cffi: begin */` and `/* cffi: end */`: plain
declarations, no preprocessor. `extern "Python"` callbacks are the lines of the region between `/* cffi: callbacks begin */`
and `/* cffi: callbacks end */`; for C they are ordinary declarations.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "build" / "engine"


def _region(text: str, name: str) -> str:
    found = re.search(rf"/\* {name} begin \*/(.*?)/\* {name} end \*/", text, re.S)
    return found.group(1) if found else ""


def cdef_of(header: str) -> str:
    """The text that cffi parses, made from engine.h."""
    surface = _region(header, "cffi:")
    if not surface.strip():
        raise SystemExit("cext/engine.h has no region between '/* cffi: begin */' and '/* cffi: end */'")
    callbacks = _region(surface, "cffi: callbacks")
    plain = surface.replace(callbacks, "") if callbacks else surface
    if callbacks.strip():
        plain += '\nextern "Python+C" {\n' + callbacks.replace("extern ", "") + "\n}\n"
    return plain


ffi = FFI()
ffi.cdef(cdef_of((HERE / "engine.h").read_text()))
ffi.set_source(
    "shoal._engine",
    '#include "engine.h"\n',
    include_dirs=[os.path.relpath(HERE, HERE.parent)],
    extra_objects=[os.path.relpath(OUT / "libshoal.a", HERE.parent)],
    depends=[os.path.relpath(OUT / "libshoal.a", HERE.parent), "cext/engine.h", "cext/build_engine.py"],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-O2", "-g", "-std=c11", "-fno-strict-aliasing"],
    libraries=["m"],
    py_limited_api=True,
)
