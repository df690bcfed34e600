"""SHUTDOWN."""

from __future__ import annotations

from shoal.commands.registry import command, word
from shoal.commands.server_state import ServerState
from shoal.engine import NO_REPLY, Call
from shoal.replies import OK, CommandError, Reply


@command("shutdown")
def shutdown(state: ServerState, call: Call) -> Reply:
    """The supervisor stops all processes; the client sees its connection close."""
    words = [word(a) for a in call.args[1:]]
    if any(w not in ("nosave", "save", "now", "force", "abort") for w in words):
        raise CommandError("syntax error")
    if {"save", "nosave"} <= set(words) or ("abort" in words and len(words) > 1):
        raise CommandError("syntax error")
    if words == ["abort"]:
        answer = state.child.ask({"op": "shutdown_abort"})
        if answer.get("error"):
            raise CommandError(answer["error"])
        return OK
    how = next((w for w in words if w in ("save", "nosave")), "")
    answer = state.child.ask({"op": "shutdown", "how": how, "now": "now" in words, "force": "force" in words}, 3600.0)
    if answer.get("error"):
        raise CommandError(answer["error"])
    return NO_REPLY
