"""MONITOR: a connection that sees the commands of all workers."""

from __future__ import annotations

import re

import pytest
from servers import Server
from wire import OK, QUEUED, Wire


def shown(w: Wire) -> str:
    """The next line without its time; the address becomes `addr`."""
    line = w.read()
    found = re.fullmatch(r"\d{10}\.\d{6} \[(\d+) [^\]]+\] (.*)", line)
    assert found, line
    return f"{found[1]} {found[2]}"


@pytest.fixture
def monitor(server: Server):
    with Wire(server.port) as w:
        assert w("MONITOR") == OK
        yield w


def test_commands_of_every_worker_are_shown_as_they_were_sent(server: Server, monitor: Wire) -> None:
    for i in range(4):
        with Wire(server.port) as w:
            w("SELECT", i)
            w("SET", "k", b'a"\\\r\n\x00\xff')
            w("GET", "k")
        assert shown(monitor) == f'0 "SELECT" "{i}"'
        assert shown(monitor) == rf'{i} "SET" "k" "a\"\\\r\n\x00\xff"'
        assert shown(monitor) == f'{i} "GET" "k"'


def test_a_transaction_is_shown_when_it_runs(server: Server, monitor: Wire) -> None:
    with Wire(server.port) as w:
        w("MULTI")
        assert w("SET", "k", 1) == QUEUED
        w("EXEC")
    assert [shown(monitor) for _ in range(3)] == ['0 "MULTI"', '0 "SET" "k" "1"', '0 "EXEC"']


def test_secrets_and_administration_are_not_shown(server: Server, monitor: Wire) -> None:
    with Wire(server.port) as w:
        w("AUTH", "user", "secret")
        w("CONFIG", "GET", "port")
        w("HELLO", 2, "AUTH", "user", "secret")
        w("PING")
    assert shown(monitor) == '0 "AUTH" "(redacted)" "(redacted)"'
    assert shown(monitor) == '0 "HELLO" "2" "AUTH" "(redacted)" "(redacted)"'
    assert shown(monitor) == '0 "PING"'


def test_reset_ends_it(server: Server, monitor: Wire) -> None:
    monitor.send("RESET")
    while monitor.read() != "RESET":
        pass
    with Wire(server.port) as w:
        w("PING")
    assert monitor.silent(0.1)
