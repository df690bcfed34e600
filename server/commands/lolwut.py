"""LOLWUT: a shoal of fish, and the version."""

from __future__ import annotations

import random

from shoal import REDIS_VERSION, __version__
from shoal.commands.registry import command, integer
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import Reply, Verbatim

_FISH = ("><>", "><(('>", "><((('>", "><{{{'>", '><(">')
_MAX_COLUMNS, _MAX_ROWS = 120, 40


def shoal(columns: int, rows: int, chance: random.Random) -> str:
    """Fish at random places, denser towards the middle, never touching."""
    lines = []
    for row in range(rows):
        middle = 1.0 - abs(2 * row - rows + 1) / max(rows, 1)
        line, x = "", 0
        while x < columns:
            if chance.random() < 0.02 + 0.14 * middle:
                fish = chance.choice(_FISH)
                if x + len(fish) < columns:
                    line += fish + " "
                    x += len(fish) + 1
                    continue
            line += chance.choice(" " * 30 + "." + "o")
            x += 1
        lines.append(line.rstrip())
    return "\n".join(lines)


@command("lolwut")
def lolwut(state: ServerState, call: Call) -> Reply:
    args = call.args[1:]
    if args and args[0].lower() == b"version":
        args = args[2:]
    numbers = [integer(a) for a in args[:2]]
    columns = max(8, min(numbers[0] if numbers else 66, _MAX_COLUMNS))
    rows = max(1, min(numbers[1] if len(numbers) > 1 else 12, _MAX_ROWS))
    art = shoal(columns, rows, random.Random())
    return Verbatim(f"{art}\n\nRedis ver. {REDIS_VERSION}, Shoal ver. {__version__}\n".encode())
