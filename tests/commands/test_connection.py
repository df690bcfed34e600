"""PING, ECHO, SELECT, QUIT, RESET, AUTH, HELLO."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from wire import OK, Error, Status, Wire


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def w(server: Any, request: pytest.FixtureRequest) -> Iterator[Wire]:
    with Wire(server.port, request.param) as wire:
        yield wire


@pytest.fixture
def plain(server: Any) -> Iterator[Wire]:
    with Wire(server.port) as wire:
        yield wire


def test_ping_and_echo(w: Wire) -> None:
    assert w("PING") == Status("PONG")
    assert w("PING", b"a\r\nb") == b"a\r\nb"
    assert w("ECHO", b"\x00\xff") == b"\x00\xff"
    assert w("PING", "a", "b") == Error("ERR wrong number of arguments for 'ping' command")
    assert w("ECHO") == Error("ERR wrong number of arguments for 'echo' command")


def test_select(w: Wire) -> None:
    assert w("SELECT", 15) == OK
    assert w("SELECT", 16) == Error("ERR DB index is out of range")
    assert w("SELECT", -1) == Error("ERR DB index is out of range")
    assert w("SELECT", "x") == Error("ERR value is not an integer or out of range")
    assert b" db=15 " in w("CLIENT", "INFO")


def test_quit_answers_what_came_before_and_nothing_after(plain: Wire) -> None:
    plain.socket.sendall(b"PING\r\nQUIT\r\nPING\r\n")
    assert plain.read() == Status("PONG")
    assert plain.read() == OK
    assert plain.closed()


# --- HELLO ------------------------------------------------------------------------------------------------------------


def test_hello_describes_the_server(plain: Wire) -> None:
    fields = plain("HELLO")
    assert fields[::2] == [b"server", b"version", b"proto", b"id", b"mode", b"role", b"modules"]
    described = plain("HELLO", 3)
    assert described == {
        b"server": b"redis",
        b"version": b"7.2.4",
        b"proto": 3,
        b"id": plain("CLIENT", "ID"),
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }
    assert b"redis_version:7.2.4\r\n" in plain("INFO", "server")
    assert isinstance(plain("HELLO", 2), list)


def test_hello_with_a_name(plain: Wire) -> None:
    plain("HELLO", 3, "SETNAME", "me")
    assert plain("CLIENT", "GETNAME") == b"me"


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("x",), "ERR Protocol version is not an integer or out of range"),
        ((1,), "NOPROTO unsupported protocol version"),
        ((4,), "NOPROTO unsupported protocol version"),
        ((3, "NOSUCH"), "ERR Syntax error in HELLO option 'NOSUCH'"),
        ((3, "AUTH", "x"), "ERR Syntax error in HELLO option 'AUTH'"),
        ((3, "SETNAME", "a b"), "ERR Client names cannot contain spaces, newlines or special characters."),
        ((3, "AUTH", "nobody", "x"), "WRONGPASS invalid username-password pair or user is disabled."),
    ],
)
def test_a_wrong_hello_changes_nothing(plain: Wire, args: tuple[Any, ...], error: str) -> None:
    assert plain("HELLO", *args) == Error(error)
    assert b" resp=2 " in plain("CLIENT", "INFO")


# --- RESET ------------------------------------------------------------------------------------------------------------


def test_reset_returns_to_the_first_state(w: Wire) -> None:
    w("SELECT", 3)
    w("CLIENT", "SETNAME", "me")
    w("CLIENT", "NO-EVICT", "ON")
    w("CLIENT", "NO-TOUCH", "ON")
    w("WATCH", "k")
    w("MULTI")
    w("SET", "k", 1)
    assert w("RESET") == Status("RESET")
    info = w("CLIENT", "INFO")
    for field in (b" db=0 ", b" name= ", b" flags=N ", b" multi=-1 ", b" resp=2 "):
        assert field in info
    assert w("EXEC") == Error("ERR EXEC without MULTI")


# --- AUTH -------------------------------------------------------------------------------------------------------------

NO_PASSWORD = (
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
WRONG = "WRONGPASS invalid username-password pair or user is disabled."


def test_auth_without_a_password_configured(w: Wire) -> None:
    assert w("AUTH", "x") == Error(NO_PASSWORD)
    assert w("AUTH", "default", "anything") == OK
    assert w("AUTH", "nobody", "x") == Error(WRONG)
    assert w("AUTH", "a", "b", "c") == Error("ERR syntax error")


@pytest.fixture
def password(server: Any) -> Iterator[str]:
    with Wire(server.port) as admin:
        assert admin("CONFIG", "SET", "requirepass", "s3cret pass") == OK
        yield "s3cret pass"
        assert admin("PING") == Status("PONG"), "who was in stays in"
        assert admin("CONFIG", "SET", "requirepass", "") == OK


def test_nothing_works_before_auth(server: Any, password: str) -> None:
    for _ in range(4):  # on either worker
        with Wire(server.port) as w:
            for args in (("PING",), ("GET", "k"), ("MULTI",), ("SELECT", 1), ("COMMAND",)):
                assert w(*args) == Error("NOAUTH Authentication required.")
            assert w("NOSUCH").startswith("ERR unknown command")
            for wrong in ("", "s3cret", password + "x", password.upper()):
                assert w("AUTH", wrong) == Error(WRONG)
            assert w("GET", "k") == Error("NOAUTH Authentication required.")
            assert w("AUTH", password) == OK
            assert w("PING") == Status("PONG")
            assert w("AUTH", "default", "wrong") == Error(WRONG)
            assert w("PING") == Status("PONG"), "a failed AUTH does not log out"
            assert w("RESET") == Status("RESET")
            assert w("PING") == Error("NOAUTH Authentication required.")


def test_hello_authenticates(server: Any, password: str) -> None:
    with Wire(server.port) as w:
        assert w("HELLO", 3).startswith("NOAUTH HELLO must be called with the client already authenticated, otherwise ")
        assert w("HELLO", 3, "AUTH", "default", "wrong") == Error(WRONG)
        assert w("HELLO", 3, "AUTH", "default", password, "SETNAME", "me")[b"proto"] == 3
        assert w("CLIENT", "GETNAME") == b"me"


def test_a_changed_password_holds_on_every_worker_at_once(server: Any, password: str) -> None:
    with Wire(server.port) as admin:
        admin("AUTH", password)
        admin("CONFIG", "SET", "requirepass", "second")
        try:
            for _ in range(4):
                with Wire(server.port) as w:
                    assert w("AUTH", password) == Error(WRONG)
                    assert w("AUTH", "second") == OK
        finally:
            admin("CONFIG", "SET", "requirepass", password)


def test_an_unknown_client_may_not_send_much(server: Any, password: str) -> None:
    for head, error in (
        (b"*11\r\n", "ERR Protocol error: unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
    ):
        with Wire(server.port) as w:
            w.socket.sendall(head)
            assert w.read() == Error(error)
            assert w.closed()
