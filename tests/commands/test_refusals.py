"""Commands that are refused for the state of the server, alone and in a transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import running, shoal_server
from wire import OK, QUEUED, Error, Wire

NOREPLICAS = "NOREPLICAS Not enough good replicas to write."
OOM = "OOM command not allowed when used memory > 'maxmemory'."


@pytest.fixture
def setting(wire: Wire) -> Iterator[None]:
    """Puts back what a test sets."""
    yield
    wire("CONFIG", "SET", "min-replicas-to-write", 0, "maxmemory", 0)


def test_too_few_replicas_refuse_writes(wire: Wire, setting: None) -> None:
    wire("SET", "k", 1)
    wire("MULTI")
    wire("INCR", "k")
    with Wire(wire.socket.getpeername()[1]) as other:
        assert other("CONFIG", "SET", "min-replicas-to-write", 1) == OK
        assert other("INCR", "k") == Error(NOREPLICAS)
        assert other("GET", "k") == b"1"
    assert wire("EXEC") == Error(f"EXECABORT Transaction discarded because of: {NOREPLICAS}")
    wire("MULTI")
    assert wire("GET", "k") == QUEUED
    assert wire("EXEC") == [b"1"]
    wire("MULTI")
    assert wire("INCR", "k") == Error(NOREPLICAS)
    assert wire("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")


def test_full_memory_refuses_what_may_use_more(wire: Wire, setting: None) -> None:
    wire("SET", "k", 1)
    wire("MULTI")
    wire("SET", "k", 2)
    with Wire(wire.socket.getpeername()[1]) as other:
        assert other("CONFIG", "SET", "maxmemory", 1) == OK
        assert other("SET", "k", 3) == Error(OOM)
        assert other("GET", "k") == b"1"
        assert other("DEL", "nosuch") == 0
    assert wire("EXEC") == Error(f"EXECABORT Transaction discarded because of: {OOM}")
    wire("MULTI")
    assert wire("SET", "k", 2) == Error(OOM)
    assert wire("DISCARD") == OK


def test_debug_needs_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    for allowed, works in (("no", False), ("local", True)):
        command = [*shoal_server(), "--workers", "1"]
        with (
            running(command, tmp_path_factory.mktemp("debug"), "--enable-debug-command", allowed) as found,
            Wire(found.port) as w,
        ):
            reply = w("DEBUG", "SLEEP", 0)
            assert reply == OK if works else reply.startswith("ERR DEBUG command not allowed. If the enable-debug")
            w("MULTI")
            w("DEBUG", "SLEEP", 0)
            assert isinstance(w("EXEC")[0], Error) is not works


def test_debug_populate(wire: Wire) -> None:
    wire("SELECT", 11)
    try:
        wire("SET", "key:3", "mine")
        assert wire("DEBUG", "POPULATE", 1000) == OK
        assert wire("DBSIZE") == 1000
        assert wire("MGET", "key:0", "key:3", "key:999") == [b"value:0", b"mine", b"value:999"]
        assert wire("DEBUG", "POPULATE", 2, "p", 10) == OK
        assert wire("GET", "p:1") == b"value:1\0\0\0"
        wire("MULTI")
        wire("DEBUG", "POPULATE", 3, "q", 3)
        wire("GET", "q:2")
        assert wire("EXEC") == [OK, b"val"]
    finally:
        wire("FLUSHDB")
