"""A worker's life: its callbacks, listeners and the loop in C."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from shoal import log
from shoal.engine.binding import ERR_LEN, checked, ffi, lib
from shoal.engine.calls import NO_REPLY, Call
from shoal.engine.segment import setting_index
from shoal.replies import CommandError

_on_command: Callable[[Call], Any] | None = None
_on_control: Callable[[], None] | None = None
_on_tick: Callable[[], None] | None = None
_on_stage: Callable[[Call, bool], dict[str, int]] | None = None


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_command(c: Any) -> None:
    """A handler answers a value, which becomes the reply, or NO_REPLY."""
    try:
        call = Call(c)
        try:
            assert _on_command is not None
            value = _on_command(call)
            if value is not NO_REPLY:
                call.reply(value)
        except CommandError as e:
            call.error(e.line)
    except Exception as e:
        log.warning(f"Python command failed: {traceback.format_exc()}")
        data = f"ERR internal error: {type(e).__name__}".encode()
        lib.cmd_reply_error(c, data, len(data))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_control() -> None:
    _guarded(_on_control)


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_tick() -> None:
    _guarded(_on_tick)


def _guarded(function: Callable[[], None] | None) -> None:
    try:
        if function is not None:
            function()
    except Exception:
        log.warning(f"Unexpected error: {traceback.format_exc()}")


@ffi.def_extern()  # type: ignore[untyped-decorator]
def py_stage(c: Any, first: int) -> None:
    try:
        if _on_stage is not None:
            for name, value in _on_stage(Call(c), bool(first)).items():
                index = setting_index(name)
                if index >= 0:
                    lib.engine_stage_setting(index, value)
    except CommandError:
        pass  # it will say so when it runs
    except Exception:
        log.warning(f"Unexpected error: {traceback.format_exc()}")


def callbacks(
    command: Callable[[Call], Any],
    control: Callable[[], None],
    tick: Callable[[], None],
    stage: Callable[[Call, bool], dict[str, int]],
) -> None:
    """What this process does for Python commands, control messages, timers, and a CONFIG SET that waits in a transaction."""
    global _on_command, _on_control, _on_tick, _on_stage
    _on_command, _on_control, _on_tick, _on_stage = command, control, tick, stage
    lib.engine_callbacks(lib.py_command, lib.py_control, lib.py_tick, lib.py_stage)


def worker_start(slot_index: int, kind: int) -> None:
    err = ffi.new("char[]", ERR_LEN)
    checked(lib.engine_worker_start(slot_index, kind, err, ERR_LEN), err)


def worker_fds(slot_index: int, receive: int, send: int, event: int) -> None:
    lib.engine_worker_fds(slot_index, receive, send, event)


def add_listener(fd: int, unix: bool) -> None:
    lib.engine_add_listener(fd, int(unix))


def remove_listener(fd: int) -> None:
    lib.engine_remove_listener(fd)


def set_control(fd: int) -> None:
    lib.engine_set_control(fd)


def serve() -> int:
    """Serves until told to stop; the reason."""
    err = ffi.new("char[]", ERR_LEN)
    return checked(lib.engine_serve(err, ERR_LEN), err)


def stop(reason: int) -> None:
    lib.engine_stop(reason)


def tick_every(ms: int) -> None:
    lib.engine_tick_every(ms)


def worker_end() -> None:
    lib.engine_worker_end()
