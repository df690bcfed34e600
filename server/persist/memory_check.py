"""The check of every key and value of memory that was taken over from an earlier instance, beside the clients.

A start looks at the header, the slots and the map of the arena only, so that it serves at once. The rest is done here, by the persistence
process between its other works: in slices of a quarter of a second as of a cut of their own (cext/snap/check.h). Whatever it is asked for
meanwhile comes first. How far it is stands in the segment, so the heir of a process that was killed goes on; a stripe of which three have
died counts as damaged and is left out.

When something is damaged: the log names it, INFO persistence and `shoal status` show it, dump.rdb as it is now is kept under another
name, and nothing is written over the files by the clock any more (save points, growth of the log): they are what is known to be good.
The next start does not take this memory over, but loads the files. A damaged key that is deleted or set anew is not damaged any more.
"""

from __future__ import annotations

import os
import time
from typing import Any

from shoal import engine, log
from shoal.config import Config
from shoal.engine import Damage, EngineError
from shoal.persist.state import SaveState

SLICE_MS = 250
_RETRY_SECONDS = 10.0
"""After a cut that found no memory."""
_AGAIN_SECONDS = 1.0
"""Between looks at what is known to be damaged."""
_NAMED = 16
"""Damages that are kept and logged by name; more are counted."""
_DEATHS = 3
_ALL = 2**62
_STRIPES = 1024
"""Of a database, STRIPE_COUNT of the engine."""
KEPT = ".before-damage"
"""What dump.rdb is also called from then on."""


def describe(d: dict[str, Any]) -> str:
    """One line, printable."""
    where = f"database {d['db']}, stripe {d['stripe']}"
    if d["key"] is not None:
        text = "".join(c if " " <= c <= "~" and c not in "\\'" else f"\\x{ord(c):02x}" for c in d["key"])
        where = f"key '{text}'{'' if d['whole'] else '...'} in database {d['db']}"
    return f"{where}: {d['why']}"


class MemoryCheck:
    """Owned by the persistence process; its state is the process's."""

    def __init__(self, config: Config, wake_fd: int) -> None:
        self.config, self.wake_fd = config, wake_fd
        self.not_before = 0.0

    def begin(self, state: SaveState) -> None:
        """All of it, from the first key on."""
        state.check_status, state.check_since, state.check_seconds = "running", time.time(), -1.0
        state.check_place = state.check_tries = state.check_keys = state.check_damaged = 0
        state.check_damages = []

    def step(self, state: SaveState, dump: str) -> None:
        """A slice, if one is due. `dump`: the path of dump.rdb."""
        if time.monotonic() < self.not_before:
            return
        if state.check_status == "running":
            self._slice(state, dump)
        elif state.check_status == "damaged":
            self._look_again(state)

    def _slice(self, state: SaveState, dump: str) -> None:
        if state.check_tries >= _DEATHS:
            db, stripe = divmod(state.check_place, _STRIPES)
            why = f"{_DEATHS} processes that looked at it died"
            self._found(state, [Damage(db, stripe, None, 0, why)], 1, dump)
            state.check_place, state.check_tries = state.check_place + 1, 0
        alone = state.check_tries > 0
        state.check_tries += 1
        state.publish()
        try:
            done = self._look(state.check_place, 1 if alone else _ALL)
        except EngineError as e:
            log.warning(f"The check of the memory that was taken over waits: {e}")
            self.not_before = time.monotonic() + _RETRY_SECONDS
            state.check_tries = 0
            state.publish()
            return
        state.check_tries = 0
        state.check_keys += done.keys
        state.check_places = done.stripes
        state.check_place = done.stripes if done.place is None else done.place
        state.check_cut_us = max(state.check_cut_us, done.cut_us)
        state.check_cow_bytes = max(state.check_cow_bytes, done.preimage_bytes)
        self._found(state, list(done.damages), done.damaged, dump)
        if done.place is None:
            self._end(state)
        state.publish()

    def _look(self, place: int, stripes: int) -> engine.CheckSlice:
        pool, folder = self.config["snapshot-preimage-memory"], self.config["dir"]
        return engine.check_slice(pool, folder, place, stripes, SLICE_MS, self.wake_fd)

    def _found(self, state: SaveState, damages: list[Damage], count: int, dump: str) -> None:
        if count and not state.check_damaged:
            _keep(dump)
        for d in damages:
            entry = _entry(d)
            if any(_same(entry, known) for known in state.check_damages):
                count -= 1
            elif len(state.check_damages) < _NAMED:
                state.check_damages.append(entry)
                log.warning(f"The memory that was taken over is damaged: {describe(entry)}")
        state.check_damaged += count

    def _end(self, state: SaveState) -> None:
        state.check_seconds = time.time() - state.check_since
        state.check_status = "damaged" if state.check_damaged else "sound"
        if not state.check_damaged:
            log.notice(f"The memory that was taken over is sound: {state.check_keys} keys looked at in {state.check_seconds:.3f} seconds")
            return
        log.warning(
            f"{state.check_damaged} places of the memory that was taken over are damaged, {state.check_keys} keys were looked at. "
            "Delete the keys named above or set them anew (commands that use them may fail). "
            "Until then nothing is saved and the log is not rewritten but when asked for; "
            f"dump.rdb is kept as dump.rdb{KEPT}; and the next start loads the files instead of this memory."
        )

    def _look_again(self, state: SaveState) -> None:
        """At what is known to be damaged: it may have been deleted or set anew."""
        self.not_before = time.monotonic() + _AGAIN_SECONDS
        left = [d for d in state.check_damages if self._is_damaged(d)]
        if len(left) == len(state.check_damages):
            return
        for d in state.check_damages:
            if d not in left:
                log.notice(f"No longer damaged: {describe(d)}")
        state.check_damaged -= len(state.check_damages) - len(left)
        state.check_damages = left
        if not left:
            log.notice("No damaged key is known any more: all keys are looked at again")
            self.begin(state)
            self.not_before = 0.0
        state.publish()

    def _is_damaged(self, d: dict[str, Any]) -> bool:
        if d["key"] is not None and d["whole"]:
            return engine.check_key(d["db"], d["key"].encode("latin-1")) is not None
        place = d["db"] * _STRIPES + d["stripe"]
        try:
            done = self._look(place, 1)
        except EngineError:
            return True
        return done.damaged > 0 or done.place == place  # or it was interrupted


def _entry(d: Damage) -> dict[str, Any]:
    key = None if d.key is None else d.key.decode("latin-1")
    return {"db": d.db, "stripe": d.stripe, "key": key, "whole": d.key is not None and len(d.key) == d.key_bytes, "why": d.why}


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return (a["db"], a["stripe"], a["key"]) == (b["db"], b["stripe"], b["key"])


def _keep(dump: str) -> None:
    """A second name for the file as it is: later saves leave it alone."""
    try:
        os.link(dump, dump + KEPT)
    except OSError:
        return  # there is none, or one from before is kept already
