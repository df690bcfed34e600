"""Saves, rewrites and reloads, as the supervisor sees them: the persistence process does them one at a time, whoever asks.

Owned by the supervisor. An asker's answer comes when the persistence process has answered, or has died.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shoal import engine, messages
from shoal.children import Children, Running
from shoal.config import Config
from shoal.persist.appendonly import LOG_ON


class Saving:
    """What runs, and who waits for it."""

    def __init__(self, config: Config, children: Children, on_own_answer: Callable[[str], None]) -> None:
        self.config, self.children, self.on_own_answer = config, children, on_own_answer
        self.loaded = False
        """The dataset is whole."""
        self.on = False
        """The persistence process works on a save, a rewrite or a reload."""
        self.rewriting = False
        """It is a rewrite of the append-only file."""
        self.rewrite_scheduled = False
        self.asked: dict[int, tuple[Running, int] | None] = {}
        """What children wait to be told by the persistence process: token -> child and message id; None: the supervisor itself."""
        self.last_token = 0

    def ask(self, message: dict[str, Any], asker: Running | None) -> str:
        """Hand a save or reload over; "" or why not. The answer comes through `answered`."""
        persistence = self.children.of("persistence")
        if self.on and self.rewriting:
            return (
                "Background append only file rewriting in progress: can't BGSAVE right now. "
                "Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
            )
        if self.on:
            return "Background save already in progress"
        if persistence is None or not self.loaded:
            return "The persistence process is not ready"
        self.last_token += 1
        if not messages.send(persistence.control, {**message, "token": self.last_token}):
            return "The persistence process does not answer"
        self.asked[self.last_token] = (asker, message["id"]) if asker else None
        self.on = True
        self.rewriting = message["op"] == "rewrite"
        if message["op"] == "reload":
            engine.pause(2, 2**62)
        return ""

    def schedule_rewrite(self) -> dict[str, Any]:
        """BGREWRITEAOF while the persistence process is busy."""
        if self.rewriting:
            return {"error": "Background append only file rewriting already in progress"}
        self.rewrite_scheduled = True
        engine.set_word("log_rewriting", 2)
        return {"error": "", "scheduled": True}

    def apply_appendonly(self) -> str:
        """CONFIG SET appendonly: done in the background; a rewrite is seen to be in progress from here on."""
        persistence = self.children.of("persistence")
        if persistence is None or not persistence.ready:
            return "appendonly: The persistence process is not ready"
        if self.config["appendonly"] and not engine.word("log_enabled"):
            engine.set_word("log_rewriting", 1)
        if not self.config["appendonly"] and self.rewriting:
            engine.set_word("save_cancel", 1)  # the base would be of no use
        self.on = self.rewriting = True
        messages.send(persistence.control, {"op": "appendonly"})
        return ""

    def told(self, on: bool, ending: bool) -> None:
        """The persistence process begins or has ended something. `ending`: the server is about to stop."""
        self.on = on
        self.rewriting = on and self.rewriting
        if on:
            return
        engine.set_word("log_rewriting", 2 if self.rewrite_scheduled else 0)
        if self.rewrite_scheduled and not ending:
            self.rewrite_scheduled = False
            self.ask({"op": "rewrite"}, None)

    def answered(self, message: dict[str, Any], ending: bool) -> None:
        asker = self.asked.pop(message["to"], None)
        if engine.word("clients_paused") == 2 and not ending:
            engine.pause(0, 0)
        if asker is not None:
            messages.send(asker[0].control, {"re": asker[1], "error": message["error"]})
        elif ending:
            self.on_own_answer(message["error"])

    def lost(self, ending: bool) -> None:
        """The persistence process died: whoever waited for it is told."""
        self.on = False
        for token in list(self.asked):
            self.answered({"to": token, "error": "The persistence process died"}, ending)

    def first_base_is_written(self) -> bool:
        """The log was just switched on: without its base the files do not hold the dataset."""
        return self.rewriting and bool(self.config["appendonly"]) and engine.word("log_state") != LOG_ON

    def log_lacks_something(self) -> bool:
        """Its file failed, or no base was made since: what was acknowledged is in memory only."""
        return bool(self.config["appendonly"]) and (engine.word("log_failed") != 0 or engine.word("log_state") != LOG_ON)
