"""What every part of the engine's Python side needs: cffi's module, texts and errors from C, arguments to C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal._engine import ffi, lib

__all__ = ["ERR_LEN", "EngineError", "c_strings", "checked", "ffi", "lib", "text"]

ERR_LEN = 512


class EngineError(Exception):
    """What the engine said when it could not do something."""


def text(pointer: Any) -> str:
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("latin-1")


def checked(result: int, err: Any) -> int:
    if result < 0:
        raise EngineError(ffi.string(err).decode("utf-8", "replace") or "unknown error")
    return result


def c_strings(args: Sequence[bytes]) -> tuple[Any, Any, list[Any]]:
    keep = [ffi.from_buffer("char[]", a) if a else ffi.new("char[1]") for a in args]
    return ffi.new("const char *[]", keep), ffi.new("size_t[]", [len(a) for a in args]), keep
