"""CONFIG GET, SET, REWRITE, RESETSTAT."""

from __future__ import annotations

from shoal import engine
from shoal.commands.client import evict_clients
from shoal.commands.registry import command
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import OK, CommandError, Reply


@command("config|get")
def get(state: ServerState, call: Call) -> Reply:
    found = state.config.get([a.decode("latin-1") for a in call.args[2:]])
    return {name: value.encode("latin-1") for name, value in found.items()}


def _pairs(call: Call) -> list[tuple[str, str]]:
    words = [a.decode("latin-1") for a in call.args[2:]]
    if len(words) % 2:
        raise CommandError("wrong number of arguments for 'config|set' command")
    return list(zip(words[::2], words[1::2], strict=True))


def _is_local(call: Call) -> bool:
    client = call.client
    return client is not None and (b"127.0.0.1:" in client.addr or b"[::1]" in client.addr or b"/" in client.addr)


@command("config|set")
def set_(state: ServerState, call: Call) -> Reply:
    try:
        state.config.set(_pairs(call), _is_local(call), state.apply)
    except CommandError:
        if call.in_exec:
            state.config.renumber()  # C has changed them already
        raise
    if {b"maxmemory", b"maxmemory-clients"} & {word.lower() for word in call.args[2::2]}:
        evict_clients()
    return OK


def planned(state: ServerState, call: Call, first: bool) -> dict[str, int]:
    """For a transaction, before it runs: the numbers that this CONFIG SET will change, after those before it in the queue."""
    return state.config.plan(_pairs(call), _is_local(call), first)


@command("config|rewrite")
def rewrite(state: ServerState, call: Call) -> Reply:
    state.config.rewrite()
    return OK


@command("config|resetstat")
def resetstat(state: ServerState, call: Call) -> Reply:
    engine.stats_reset()
    state.reset_peaks()
    return OK
