"""How a server ends: SHUTDOWN, SIGTERM and SIGINT, the final save, SHUTDOWN ABORT. Owned by the supervisor, which carries out `stop`.

    shutdown()        with save points, or when it is asked for, the dataset is saved first, writes paused; a failure ends the shutdown
    after_save()      the save is done: the processes stop, or everything goes on
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from shoal import engine, log, messages
from shoal.children import Children, Running
from shoal.config import Config
from shoal.persist.appendonly import LOG_ON
from shoal.saving import Saving


@dataclass(slots=True)
class Ending:
    """A stop that waits for its save."""

    save: bool
    base: bool
    """The log's first base is waited for."""
    force: bool = False
    asker: tuple[Running, int] | None = None
    upgrade: bool = False
    """The new software is started in our place then (shoal.upgrade)."""


class Shutdown:
    def __init__(
        self, config: Config, children: Children, saving: Saving, stop: Callable[[bool], None], on_failed_upgrade: Callable[[str], None]
    ) -> None:
        self.config, self.children, self.saving = config, children, saving
        self.stop = stop
        """Carries the end out; told whether it is for an upgrade."""
        self.on_failed_upgrade = on_failed_upgrade
        self.ending: Ending | None = None
        self.cron_paused = False
        """DEBUG PAUSE-CRON."""
        self.waiting_signals: list[signal.Signals] = []
        """Of a shutdown, while that is so, or while memory that was taken over is not known to be whole."""

    # --- signals

    def on_signal(self, number: signal.Signals, stopping: bool, wait: bool) -> None:
        """SIGTERM or SIGINT. `wait`: the dataset is there, but not ready to be saved: later."""
        if (self.cron_paused or wait) and not stopping:
            self.waiting_signals.append(number)
            return
        if stopping:
            if number == signal.SIGINT:
                self._insisted()
            return
        if self.ending is not None and number == signal.SIGINT:
            self.stop(False)
            self._insisted()
            return
        log.warning(f"Received {number.name} scheduling shutdown...")
        words = self.config["shutdown-on-sigterm" if number == signal.SIGTERM else "shutdown-on-sigint"]
        words = words.split() if isinstance(words, str) else list(words)
        how = next((w for w in words if w in ("save", "nosave")), "")
        self.shutdown(how, "force" in words, None)

    def _insisted(self) -> None:
        """A second SIGINT does not wait for anybody."""
        log.warning("You insist... exiting now.")
        self.children.kill()

    def release_signals(self) -> list[signal.Signals]:
        """Those that have waited; the caller delivers them."""
        waiting, self.waiting_signals = self.waiting_signals, []
        return waiting

    # --- the final save

    def shutdown(self, how: str, force: bool, asker: tuple[Running, int] | None, upgrade: bool = False) -> None:
        """Save first when it is asked for (or there are save points and not told otherwise), with writes paused; then stop."""
        if self.ending is not None:
            self.ending.upgrade = self.ending.upgrade and upgrade
            return
        wanted = how == "save" or (how != "nosave" and bool(self.config["save"]))
        first_base = self.saving.loaded and self.saving.first_base_is_written() and not force
        if not first_base:
            engine.set_word("save_cancel", 1)  # a background save that runs would only be thrown away
        if not self.saving.loaded or not (wanted or first_base):
            self.stop(upgrade)
            return
        if first_base:
            log.notice("Writing initial AOF, the exit waits for it.")
        self.ending = Ending(wanted, first_base, force, asker, upgrade)
        engine.pause(1, 2**62)
        self.final_save()

    def final_save(self) -> None:
        """When nothing else is being saved any more."""
        if self.saving.on or self.ending is None:
            return  # its end comes soon: it was cancelled, or it is the log's first base
        if self.ending.base and engine.word("log_state") != LOG_ON:
            self.after_save("the append only file has no base yet")
            return
        if not self.ending.save:
            self.after_save("")
            return
        log.notice("Saving the final RDB snapshot before exiting.")
        error = self.saving.ask({"op": "save", "wait": True}, None)
        if error:
            self.after_save(error)

    def after_save(self, error: str) -> None:
        ending = self.ending
        if not error or (ending and ending.force):
            self.ending = None
            self.stop(bool(ending and ending.upgrade))
            return
        log.warning(f"Error trying to save the DB, can't exit: {error}")
        self._resume("Errors trying to SHUTDOWN. Check logs.")

    def abort(self) -> str:
        """SHUTDOWN ABORT: as long as the final save runs, or the clock rests."""
        if self.ending is None and not self.waiting_signals:
            return "No shutdown in progress."
        log.warning("Shutdown manually aborted.")
        self.waiting_signals.clear()
        if self.ending is None:
            return ""
        engine.set_word("save_cancel", 1)
        self._resume("Errors trying to SHUTDOWN. Check logs.")
        return ""

    def _resume(self, error: str) -> None:
        """There is no shutdown after all."""
        ending, self.ending = self.ending, None
        engine.pause(0, 0)
        if ending and ending.upgrade:
            self.on_failed_upgrade("the final snapshot could not be saved")
        if ending and ending.asker:
            asker, ident = ending.asker
            messages.send(asker.control, {"re": ident, "error": error})
