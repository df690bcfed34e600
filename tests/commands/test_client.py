"""CLIENT and its subcommands, on connections of both workers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from wire import OK, QUEUED, Error, Status, Wire

Connect = Callable[[], Wire]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def connect(server: Any, request: pytest.FixtureRequest) -> Iterator[Connect]:
    opened: list[Wire] = []

    def open_one() -> Wire:
        opened.append(Wire(server.port, request.param))
        return opened[-1]

    yield open_one
    for wire in opened:
        wire.close()


@pytest.fixture
def w(connect: Connect) -> Wire:
    return connect()


def fields(line: bytes) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in line.decode().strip().split(" "))


def listed(w: Wire, *args: Any) -> list[dict[str, str]]:
    return [fields(line) for line in w("CLIENT", "LIST", *args).splitlines()]


NAMES = [
    "id",
    "addr",
    "laddr",
    "fd",
    "name",
    "age",
    "idle",
    "flags",
    "db",
    "sub",
    "psub",
    "ssub",
    "multi",
    "qbuf",
    "qbuf-free",
    "argv-mem",
    "multi-mem",
    "rbs",
    "rbp",
    "obl",
    "oll",
    "omem",
    "tot-mem",
    "events",
    "cmd",
    "user",
    "redir",
    "resp",
    "lib-name",
    "lib-ver",
]


def test_info_has_the_fields_of_redis_in_their_order(w: Wire) -> None:
    w("SELECT", 9)
    w("CLIENT", "SETNAME", "me")
    w("CLIENT", "SETINFO", "LIB-NAME", "lib")
    w("CLIENT", "SETINFO", "lib-ver", "1.2")
    text = w("CLIENT", "INFO")
    assert text.endswith(b"\n")
    got = fields(text)
    assert list(got) == NAMES
    host, port = w.socket.getsockname()
    expected = {
        "id": str(w("CLIENT", "ID")),
        "addr": f"{host}:{port}",
        "name": "me",
        "db": "9",
        "lib-name": "lib",
        "lib-ver": "1.2",
    }
    expected |= {"flags": "N", "cmd": "client|info", "user": "default", "multi": "-1", "events": "r", "redir": "-1"}
    assert {name: got[name] for name in expected} == expected
    assert got["laddr"] == "{}:{}".format(*w.socket.getpeername())


def test_list_shows_clients_of_all_workers_in_order(connect: Connect) -> None:
    clients = []
    for i in range(6):  # one after the other: ids are given when a worker accepts
        clients.append(connect())
        clients[-1]("CLIENT", "SETNAME", f"c{i}")
    for c in clients:
        rows = listed(c)
        assert [row["name"] for row in rows if re.fullmatch(r"c\d", row["name"])] == [f"c{i}" for i in range(6)]
        ids = [int(row["id"]) for row in rows]
        assert ids == sorted(set(ids))


def test_list_by_id_and_type(connect: Connect) -> None:
    clients = [connect() for _ in range(3)]
    ids = [c("CLIENT", "ID") for c in clients]
    assert [row["id"] for row in listed(clients[0], "ID", ids[2], 999999999, ids[0])] == [str(ids[2]), str(ids[0])]
    assert {str(i) for i in ids} <= {row["id"] for row in listed(clients[1], "TYPE", "normal")}
    assert listed(clients[1], "TYPE", "PUBSUB") == listed(clients[1], "TYPE", "replica") == []
    w = clients[0]
    assert w("CLIENT", "LIST", "TYPE", "x") == Error("ERR Unknown client type 'x'")
    assert w("CLIENT", "LIST", "ID", "x") == Error("ERR Invalid client ID")
    assert w("CLIENT", "LIST", "ID") == Error("ERR syntax error")
    assert w("CLIENT", "LIST", "NOSUCH", 1) == Error("ERR syntax error")


def test_list_shows_a_transaction_of_another_client(connect: Connect) -> None:
    watcher = connect()
    for _ in range(2):
        busy = connect()
        number = busy("CLIENT", "ID")
        busy("MULTI")
        busy("SET", "k", "v" * 1000)
        busy("SET", "k", "v")
        (row,) = listed(watcher, "ID", number)
        assert (row["flags"], row["multi"], row["cmd"]) == ("x", "2", "set")
        assert int(row["multi-mem"]) > 1000
        busy("DISCARD")


def test_names_and_infos(w: Wire) -> None:
    assert w("CLIENT", "GETNAME") is None
    assert w("CLIENT", "SETNAME", "x" * 300) == OK
    assert w("CLIENT", "GETNAME") == b"x" * 300
    for bad in ("a b", "a\nb", "a\x00b", "é"):
        assert w("CLIENT", "SETNAME", bad) == Error(
            "ERR Client names cannot contain spaces, newlines or special characters."
        )
    assert w("CLIENT", "SETNAME", "") == OK
    assert w("CLIENT", "GETNAME") is None
    assert w("CLIENT", "SETINFO", "nosuch", "x") == Error("ERR Unrecognized option 'nosuch'")
    assert w("CLIENT", "SETINFO", "lib-ver", "a b") == Error(
        "ERR lib-ver cannot contain spaces, newlines or special characters."
    )


def test_switches_show_as_flags(w: Wire) -> None:
    w("CLIENT", "NO-EVICT", "ON")
    assert fields(w("CLIENT", "INFO"))["flags"] == "e"
    w("CLIENT", "NO-TOUCH", "on")
    assert fields(w("CLIENT", "INFO"))["flags"] == "eT"
    w("CLIENT", "NO-EVICT", "off")
    w("CLIENT", "NO-TOUCH", "OFF")
    assert fields(w("CLIENT", "INFO"))["flags"] == "N"
    assert w("CLIENT", "NO-EVICT", "x") == w("CLIENT", "NO-TOUCH", "x") == Error("ERR syntax error")


def test_no_touch_leaves_the_access_time_alone(w: Wire) -> None:
    w("SET", "touched", 1)
    w("SET", "left", 1)
    time.sleep(2.1)
    w("CLIENT", "NO-TOUCH", "ON")
    w("GET", "left")
    w("TOUCH", "touched")
    assert w("OBJECT", "IDLETIME", "left") >= 2
    assert w("OBJECT", "IDLETIME", "touched") <= 1, "TOUCH is meant"
    w("CLIENT", "NO-TOUCH", "OFF")
    w("GET", "left")
    assert w("OBJECT", "IDLETIME", "left") <= 1


# --- REPLY ------------------------------------------------------------------------------------------------------------


def test_reply_off_and_on(w: Wire) -> None:
    w.send("CLIENT", "REPLY", "OFF")
    w.send("PING")
    w.send("NOSUCHCOMMAND")
    w.send("CLIENT", "REPLY", "SKIP")
    w.send("CLIENT", "REPLY", "ON")
    w.send("ECHO", "on")
    assert w.read() == OK
    assert w.read() == b"on"


def test_reply_skip_swallows_one_reply(w: Wire) -> None:
    for pipelined in (True, False):
        w.send("CLIENT", "REPLY", "SKIP")
        if not pipelined:
            time.sleep(0.02)
        w.send("ECHO", "1")
        w.send("ECHO", "2")
        assert w.read() == b"2"
    assert w("CLIENT", "REPLY", "x") == Error("ERR syntax error")


def test_replies_to_transactions_may_be_off(w: Wire) -> None:
    w.send("CLIENT", "REPLY", "OFF")
    for args in (("MULTI",), ("SET", "quiet", 1), ("EXEC",)):
        w.send(*args)
    w.send("CLIENT", "REPLY", "ON")
    assert w.read() == OK
    assert w("GET", "quiet") == b"1"


# --- KILL -------------------------------------------------------------------------------------------------------------


def test_kill_by_id_on_any_worker(connect: Connect) -> None:
    killer = connect()
    victims = [connect() for _ in range(4)]
    ids = [v("CLIENT", "ID") for v in victims]
    for victim, number in zip(victims, ids, strict=True):
        assert killer("CLIENT", "KILL", "ID", number) == 1
        assert listed(killer, "ID", number) == []
        assert victim.closed()
        assert killer("CLIENT", "KILL", "ID", number) == 0
    assert listed(killer, "ID", *ids) == []


def test_kill_by_address(connect: Connect) -> None:
    killer = connect()
    for form in (lambda a: (a,), lambda a: ("ADDR", a)):
        victim = connect()
        assert victim("PING") == Status("PONG")  # it is a client by now, not a connection on its way
        address = "{}:{}".format(*victim.socket.getsockname())
        assert killer("CLIENT", "KILL", *form(address)) in (OK, 1)
        assert victim.closed()
    assert killer("CLIENT", "KILL", "1.2.3.4:5") == Error("ERR No such client")


def test_kill_filters_are_all_to_be_fulfilled(connect: Connect) -> None:
    killer, victim = connect(), connect()
    number = victim("CLIENT", "ID")
    local = "{}:{}".format(*victim.socket.getpeername())
    assert killer("CLIENT", "KILL", "ID", number, "TYPE", "pubsub") == 0
    assert killer("CLIENT", "KILL", "ID", number, "LADDR", "1.2.3.4:5") == 0
    assert victim("PING") == Status("PONG")
    assert killer("CLIENT", "KILL", "USER", "default", "LADDR", local, "TYPE", "normal", "ID", number) == 1
    assert victim.closed()


def test_kill_spares_the_caller_unless_told(w: Wire) -> None:
    number = w("CLIENT", "ID")
    assert w("CLIENT", "KILL", "ID", number) == 0
    assert w("CLIENT", "KILL", "ID", number, "SKIPME", "no") == 1
    assert w.closed()


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("ID", "x"), "ERR client-id should be greater than 0"),
        (("ID", 0), "ERR client-id should be greater than 0"),
        (("TYPE", "x"), "ERR Unknown client type 'x'"),
        (("USER", "nobody"), "ERR No such user 'nobody'"),
        (("SKIPME", "perhaps"), "ERR syntax error"),
        (("ID", 1, "ADDR"), "ERR syntax error"),
        (("NOSUCH", "x"), "ERR syntax error"),
    ],
)
def test_wrong_kills(w: Wire, args: tuple[Any, ...], error: str) -> None:
    assert w("CLIENT", "KILL", *args) == Error(error)


def test_a_killed_client_gives_up_its_watches(connect: Connect) -> None:
    killer = connect()
    for _ in range(2):
        victim = connect()
        number = victim("CLIENT", "ID")
        victim("WATCH", "k")
        victim("MULTI")
        assert killer("CLIENT", "KILL", "ID", number) == 1
        assert victim.closed()
        assert killer("SET", "k", 1) == OK


# --- PAUSE ------------------------------------------------------------------------------------------------------------


def test_pause_write_holds_back_writes_of_all_workers(connect: Connect) -> None:
    admin = connect()
    others = [connect() for _ in range(4)]
    admin("SET", "k", 0)
    assert admin("CLIENT", "PAUSE", 60000, "WRITE") == OK
    try:
        for other in others:
            assert other("GET", "k") == b"0"
            other.send("INCR", "k")
        assert all(other.silent(0.1) for other in others)
        assert admin("GET", "k") == b"0"
        assert sum(row["flags"] == "b" for row in listed(admin)) == len(others), "who is held back is blocked"
    finally:
        assert admin("CLIENT", "UNPAUSE") == OK
    assert sorted(other.read() for other in others) == [1, 2, 3, 4]


def test_pause_write_holds_back_exec_with_writes(connect: Connect) -> None:
    admin, reader, writer = connect(), connect(), connect()
    admin("CLIENT", "PAUSE", 60000, "WRITE")
    try:
        reader("MULTI")
        reader("GET", "k")
        assert len(reader("EXEC")) == 1
        writer("MULTI")
        writer.send("SET", "k", 1)
        writer.send("EXEC")
        assert writer.silent(0.1)
    finally:
        admin("CLIENT", "UNPAUSE")
    assert (writer.read(), writer.read()) == (QUEUED, [OK])


def test_pause_all_ends_by_itself(connect: Connect) -> None:
    admin = connect()
    others = [connect() for _ in range(4)]
    admin("CLIENT", "PAUSE", 400)
    started = time.monotonic()
    for other in others:
        other.send("PING")
    assert all(other.read() == Status("PONG") for other in others)
    assert time.monotonic() - started > 0.3


def test_a_pause_is_not_weakened_by_a_later_one(connect: Connect) -> None:
    admin, other = connect(), connect()
    admin.send("CLIENT", "PAUSE", 400, "WRITE")
    admin.send("CLIENT", "PAUSE", 10, "WRITE")
    assert (admin.read(), admin.read()) == (OK, OK)
    started = time.monotonic()
    assert other("SET", "k", 1) == OK
    assert time.monotonic() - started > 0.3


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (("x",), "ERR timeout is not an integer or out of range"),
        ((-1,), "ERR timeout is negative"),
        ((9223372036854775807,), "ERR timeout is out of range"),
        ((1, "x"), "ERR CLIENT PAUSE mode must be WRITE or ALL"),
    ],
)
def test_wrong_pauses(w: Wire, args: tuple[Any, ...], error: str) -> None:
    assert w("CLIENT", "PAUSE", *args) == Error(error)


# --- what is not built ------------------------------------------------------------------------------------------------


def test_tracking_is_off_and_says_so(w: Wire) -> None:
    assert w("CLIENT", "TRACKING", "ON").startswith("ERR client tracking is not supported")
    assert w("CLIENT", "TRACKING", "OFF") == OK
    assert w("CLIENT", "GETREDIR") == -1
    info = w("CLIENT", "TRACKINGINFO")
    pairs = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2], strict=True))
    assert {k: list(v) if k == b"flags" else v for k, v in pairs.items()} == {
        b"flags": [b"off"],
        b"redirect": -1,
        b"prefixes": [],
    }


def test_unblock_finds_nobody(w: Wire) -> None:
    assert w("CLIENT", "UNBLOCK", w("CLIENT", "ID")) == 0
    assert w("CLIENT", "UNBLOCK", "x") == Error("ERR value is not an integer or out of range")
    assert w("CLIENT", "UNBLOCK", 1, "x") == Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
