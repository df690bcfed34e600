"""SLOWLOG: the slow commands that all workers have noted."""

from __future__ import annotations

from shoal import engine
from shoal.commands.registry import command, integer
from shoal.commands.server_state import ServerState
from shoal.engine import Call, Slow
from shoal.replies import OK, CommandError, Reply

DEFAULT_COUNT = 10


def entries(state: ServerState) -> list[Slow]:
    """Newest first, as many as slowlog-max-len keeps."""
    first = engine.word("slowlog_first")
    end = engine.slow_next()
    found = [e for e in engine.slow_entries() if e.kind == 0 and first <= e.id < end]
    return found[: state.config["slowlog-max-len"]]


@command("slowlog|get")
def get(state: ServerState, call: Call) -> Reply:
    if len(call.args) > 3:
        raise CommandError("wrong number of arguments for 'slowlog|get' command")
    count = DEFAULT_COUNT
    if len(call.args) == 3:
        count = integer(call.args[2])
        if count < -1:
            raise CommandError("count should be greater than or equal to -1")
    found = entries(state)
    if count >= 0:
        found = found[:count]
    return [[e.id, e.time, e.usec, list(e.args), e.address, e.name] for e in found]


@command("slowlog|len")
def length(state: ServerState, call: Call) -> Reply:
    return len(entries(state))


@command("slowlog|reset")
def reset(state: ServerState, call: Call) -> Reply:
    engine.set_word("slowlog_first", engine.slow_next())
    return OK
