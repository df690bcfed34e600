"""SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF and DEBUG RELOAD: the supervisor hands them to the persistence process."""

from __future__ import annotations

from typing import Any

from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.persist import state as save_state
from shoal.replies import OK, CommandError, Reply, Status

_SAVE_SECONDS = 3600.0


def ask(state: ServerState, message: dict[str, Any], seconds: float = _SAVE_SECONDS) -> None:
    """Raises CommandError with the supervisor's or the persistence process' words."""
    error = state.child.ask(message, seconds).get("error")
    if error:
        raise CommandError(str(error))


@command("save")
def save(state: ServerState, call: Call) -> Reply:
    ask(state, {"op": "save", "wait": True})
    return OK


@command("bgsave")
def bgsave(state: ServerState, call: Call) -> Reply:
    words = [word(a) for a in call.args[1:]]
    if words not in ([], ["schedule"]):
        raise CommandError("syntax error")
    ask(state, {"op": "save", "wait": False})
    return Status(f"Background saving {'scheduled' if call.in_exec else 'started'}")


@command("bgrewriteaof")
def bgrewriteaof(state: ServerState, call: Call) -> Reply:
    answer = state.child.ask({"op": "rewrite"}, _SAVE_SECONDS)
    if answer.get("error"):
        raise CommandError(str(answer["error"]))
    how = "scheduled" if answer.get("scheduled") or call.in_exec else "started"
    return Status(f"Background append only file rewriting {how}")


@command("lastsave")
def lastsave(state: ServerState, call: Call) -> Reply:
    return save_state.read().last_save


def loadaof(state: ServerState, call: Call) -> Reply:
    """DEBUG LOADAOF."""
    ask(state, {"op": "reload", "log": True})
    return OK


def reload(state: ServerState, call: Call) -> Reply:
    """DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]."""
    words = [word(a) for a in call.args[2:]]
    if not set(words) <= {"nosave", "noflush", "merge"}:
        raise CommandError("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    if "merge" in words or "noflush" in words:
        raise CommandError("DEBUG RELOAD into a dataset that is not emptied first is not supported")
    ask(state, {"op": "reload", "save": "nosave" not in words, "flush": True})
    return OK
