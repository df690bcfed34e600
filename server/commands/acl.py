"""ACL: what there is to tell while the default user is the only one and may do everything.

Setting users and rules is not built: those subcommands are unknown. Users and their passwords: shoal.users.
"""

from __future__ import annotations

import secrets

from shoal import engine, users
from shoal.commands import table
from shoal.commands.registry import command, integer
from shoal.commands.server_state import ServerState
from shoal.engine import Call
from shoal.replies import CommandError, Reply, Set

_GENPASS_BITS = 4096


@command("acl|whoami")
def whoami(state: ServerState, call: Call) -> Reply:
    client = call.client
    return client.user if client and client.user else b"default"


@command("acl|users")
def names(state: ServerState, call: Call) -> Reply:
    return users.names()


@command("acl|list")
def lines(state: ServerState, call: Call) -> Reply:
    return users.lines()


@command("acl|getuser")
def getuser(state: ServerState, call: Call) -> Reply:
    wanted = call.args[2].decode("latin-1")
    rules = next((line.split(" ")[2:] for line in users.lines() if line.split(" ")[1] == wanted), None)
    if rules is None:
        return None
    return {
        "flags": Set(rule for rule in rules if rule in ("on", "off", "nopass")),
        "passwords": [rule[1:] for rule in rules if rule.startswith("#")],
        "commands": " ".join(rule for rule in rules if rule[0] in "+-"),
        "keys": " ".join(rule for rule in rules if rule[0] in "~%"),
        "channels": " ".join(rule for rule in rules if rule[0] == "&"),
        "selectors": [],
    }


def _wrong_number(call: Call) -> CommandError:
    name = call.args[1].decode("latin-1")
    return CommandError(f"unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP.")


@command("acl|cat")
def cat(state: ServerState, call: Call) -> Reply:
    if len(call.args) > 3:
        raise _wrong_number(call)
    if len(call.args) == 2:
        return engine.acl_categories()
    wanted = call.args[2].decode("latin-1")
    if wanted.lower() not in engine.acl_categories():
        raise CommandError(f"Unknown category '{wanted}'")
    return [row.fullname for row in table.rows().values() if wanted.lower() in row.categories]


@command("acl|genpass")
def genpass(state: ServerState, call: Call) -> Reply:
    """As many random bits as asked for, rounded up to whole hexadecimal digits."""
    if len(call.args) > 3:
        raise _wrong_number(call)
    bits = integer(call.args[2]) if len(call.args) == 3 else 256
    if not 0 < bits <= _GENPASS_BITS:
        raise CommandError(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to "
            f"{_GENPASS_BITS}"
        )
    return secrets.token_hex((bits + 7) // 8)[: (bits + 3) // 4]
