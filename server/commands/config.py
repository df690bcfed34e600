"""CONFIG GET, SET, REWRITE, RESETSTAT."""

from __future__ import annotations

from shoal import engine
from shoal.commands.registry import command
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import OK, CommandError, Reply


@command("config|get")
def get(state: ServerState, call: Call) -> Reply:
    found = state.config.get([a.decode("latin-1") for a in call.args[2:]])
    return {name: value.encode("latin-1") for name, value in found.items()}


@command("config|set")
def set_(state: ServerState, call: Call) -> Reply:
    words = [a.decode("latin-1") for a in call.args[2:]]
    if len(words) % 2:
        raise CommandError("wrong number of arguments for 'config|set' command")
    client = call.client
    local = client is not None and (b"127.0.0.1:" in client.addr or b"[::1]" in client.addr or b"/" in client.addr)
    state.config.set(list(zip(words[::2], words[1::2], strict=True)), local, state.apply)
    return OK


@command("config|rewrite")
def rewrite(state: ServerState, call: Call) -> Reply:
    state.config.rewrite()
    return OK


@command("config|resetstat")
def resetstat(state: ServerState, call: Call) -> Reply:
    engine.stats_reset()
    state.reset_peaks()
    return OK
