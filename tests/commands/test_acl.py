"""ACL as far as it is built, compared with redis-server."""

from __future__ import annotations

import pytest
from wire import OK, Error, Wire


@pytest.mark.parametrize(
    "args",
    [
        ("WHOAMI",),
        ("USERS",),
        ("LIST",),
        ("GETUSER", "default"),
        ("GETUSER", "nobody"),
        ("CAT", "nosuch"),
        ("CAT", "a", "b"),
        ("GENPASS", "0"),
        ("GENPASS", "5000"),
        ("GENPASS", "x"),
        ("WHOAMI", "x"),
        ("NOSUCH",),
    ],
)
def test_replies_are_those_of_redis(wire: Wire, reference: Wire, args: tuple[str, ...]) -> None:
    assert wire("ACL", *args) == reference("ACL", *args)


def test_a_password_shows_as_its_hash(wire: Wire, reference: Wire) -> None:
    replies = []
    for w in (wire, reference):
        w("CONFIG", "SET", "requirepass", "abc")
        try:
            replies.append([w("ACL", "LIST"), w("ACL", "GETUSER", "default"), w("ACL", "WHOAMI")])
        finally:
            assert w("CONFIG", "SET", "requirepass", "") == OK
    assert replies[0] == replies[1]


def test_categories(wire: Wire, reference: Wire) -> None:
    assert sorted(wire("ACL", "CAT")) == sorted(reference("ACL", "CAT"))
    ours, theirs = set(wire("ACL", "CAT", "transaction")), set(reference("ACL", "CAT", "TRANSACTION"))
    assert ours == theirs
    assert b"get" in wire("ACL", "CAT", "read") and b"set" not in wire("ACL", "CAT", "read")


def test_random_passwords(wire: Wire) -> None:
    assert len(wire("ACL", "GENPASS")) == 64
    assert len(wire("ACL", "GENPASS", 5)) == 2
    assert wire("ACL", "GENPASS") != wire("ACL", "GENPASS")


def test_setting_rules_is_refused_clearly(wire: Wire) -> None:
    assert wire("ACL", "SETUSER", "x") == Error("ERR unknown subcommand 'SETUSER'. Try ACL HELP.")
