"""Commands that wait: order of arrival over all workers, timeouts, CLIENT UNBLOCK, transactions, clients and workers that go away."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import servers
from wire import OK, QUEUED, Error, Wire

Connect = Callable[[], Wire]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def connect(server: Any, request: pytest.FixtureRequest) -> Iterator[Connect]:
    opened: list[Wire] = []

    def open_one() -> Wire:
        opened.append(Wire(server.port, request.param))
        return opened[-1]

    assert open_one()("FLUSHALL") == OK
    yield open_one
    for wire in opened:
        with contextlib.suppress(OSError):
            wire.close()


@pytest.fixture
def w(connect: Connect) -> Wire:
    return connect()


def blocked(w: Wire) -> int:
    info = w("INFO", "clients")
    return int(info.split(b"blocked_clients:")[1].split(b"\r\n")[0])


def wait_blocked(w: Wire, count: int) -> None:
    deadline = time.monotonic() + 10
    while blocked(w) != count:
        assert time.monotonic() < deadline, blocked(w)
        time.sleep(0.002)


def test_a_key_whose_time_has_passed_in_exec_serves_nobody(w: Wire, connect: Connect) -> None:
    other = waiting(w, connect, "BLPOP", "k", 0)
    for command in (["MULTI"], ["RPUSH", "k", "v"], ["PEXPIRE", "k", 30], ["DEBUG", "SLEEP", "0.06"]):
        w(*command)
    assert w("EXEC") == [1, 1, OK]
    assert blocked(w) == 1
    w("RPUSH", "k", "new")
    assert other.read() == [b"k", b"new"]


def waiting(w: Wire, connect: Connect, *command: str | bytes | int) -> Wire:
    """A client that waits in this command."""
    before = blocked(w)
    other = connect()
    other.send(*command)
    wait_blocked(w, before + 1)
    return other


def test_first_come_first_served_over_all_workers(w: Wire, connect: Connect) -> None:
    line = [waiting(w, connect, "BLPOP", "q", 0) for _ in range(12)]
    for i in range(5):
        assert w("RPUSH", "q", f"v{i}") == 1
        assert line[i].read() == [b"q", b"v%d" % i]
    assert w("RPUSH", "q", *(f"v{i}" for i in range(5, 14))) == 9
    for i in range(5, 12):
        assert line[i].read() == [b"q", b"v%d" % i]
    assert w("LRANGE", "q", 0, -1) == [b"v12", b"v13"]
    assert blocked(w) == 0


def test_the_pusher_never_sees_what_a_waiter_got(w: Wire, connect: Connect) -> None:
    for _ in range(50):
        line = [waiting(w, connect, "BLPOP", "q", 0)]
        w.send("RPUSH", "q", "x")
        w.send("EXISTS", "q")
        w.send("LPOP", "q")
        assert [w.read(), w.read(), w.read()] == [1, 0, None]
        assert line[0].read() == [b"q", b"x"]
        line[0].close()


def test_several_keys(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLPOP", "k1", "k2", "k3", "k2", 0)
    b = waiting(w, connect, "BRPOP", "k2", "k1", 0)
    assert w("RPUSH", "k2", "1", "2", "3") == 3
    assert a.read() == [b"k2", b"1"]
    assert b.read() == [b"k2", b"3"]
    assert w("RPUSH", "k1", "x") == 1
    assert w("LRANGE", "k1", 0, -1) == [b"x"]
    assert w("LRANGE", "k2", 0, -1) == [b"2"]
    assert w("BLPOP", "none", "k1", "k2", 0) == [b"k1", b"x"]


def test_moving_chains(w: Wire, connect: Connect) -> None:
    """What a waiter moves wakes those who wait for its destination."""
    last = waiting(w, connect, "BLPOP", "c", 0)
    middle = waiting(w, connect, "BRPOPLPUSH", "b", "c", 0)
    first = waiting(w, connect, "BLMOVE", "a", "b", "LEFT", "RIGHT", 0)
    assert w("RPUSH", "a", "x") == 1
    assert first.read() == b"x"
    assert middle.read() == b"x"
    assert last.read() == [b"c", b"x"]
    assert w("EXISTS", "a", "b", "c") == 0


def test_move_to_itself(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLMOVE", "q", "q", "LEFT", "RIGHT", 0)
    assert w("RPUSH", "q", "1", "2", "3") == 3
    assert a.read() == b"1"
    assert w("LRANGE", "q", 0, -1) == [b"2", b"3", b"1"]


def test_move_to_a_key_of_another_type(w: Wire, connect: Connect) -> None:
    assert w("SET", "s", "text") == OK
    a = waiting(w, connect, "BLMOVE", "q", "s", "LEFT", "RIGHT", 0)
    b = waiting(w, connect, "BLPOP", "q", 0)
    assert w("RPUSH", "q", "x") == 1
    assert isinstance(error := a.read(), Error) and error.code == "WRONGTYPE"
    assert b.read() == [b"q", b"x"]


def test_pop_many(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLMPOP", 0, 2, "k1", "k2", "RIGHT", "COUNT", 2)
    b = waiting(w, connect, "BLMPOP", 0, 1, "k2", "LEFT", "COUNT", 10)
    assert w("RPUSH", "k2", "1", "2", "3", "4") == 4
    assert a.read() == [b"k2", [b"4", b"3"]]
    assert b.read() == [b"k2", [b"1", b"2"]]
    assert w("EXISTS", "k2") == 0


def test_keys_that_come_otherwise(w: Wire, connect: Connect) -> None:
    assert w("RPUSH", "other", "1", "2") == 2
    a = waiting(w, connect, "BLPOP", "q", 0)
    assert w("RENAME", "other", "q") == OK
    assert a.read() == [b"q", b"1"]
    assert w("DEL", "q") == 1
    a = waiting(w, connect, "BLPOP", "q", 0)
    assert w("RPUSH", "src", "x") == 1
    assert w("COPY", "src", "q") == 1
    assert a.read() == [b"q", b"x"]
    a = waiting(w, connect, "BLPOP", "q", 0)
    assert w("SELECT", 1) == OK
    assert w("RPUSH", "q", "y") == 1
    assert a.silent(0.05)
    assert w("SWAPDB", 0, 1) == OK
    assert a.read() == [b"q", b"y"]


def test_other_types_do_not_wake(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLPOP", "q", 0)
    assert w("SET", "q", "text") == OK
    assert w("HSET", "h", "f", "v") == 1
    assert w("RENAME", "h", "q") == OK
    assert a.silent(0.05)
    assert w("DEL", "q") == 1
    assert w("LPUSH", "q", "x") == 1
    assert a.read() == [b"q", b"x"]


def test_a_transaction_serves_at_its_end(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLPOP", "q", 0)
    b = waiting(w, connect, "BLPOP", "p", "q", 0)
    for command in (
        ["MULTI"],
        ["LPUSH", "q", "1"],
        ["DEL", "q"],
        ["LPUSH", "q", "2"],
        ["RPUSH", "q", "3"],
        ["LLEN", "q"],
    ):
        assert w(*command) in (OK, QUEUED)
    assert w("EXEC") == [1, 1, 1, 2, 2]
    assert a.read() == [b"q", b"2"]
    assert b.read() == [b"q", b"3"]
    a = waiting(w, connect, "BLPOP", "q", 0)
    for command in (["MULTI"], ["LPUSH", "q", "1"], ["DEL", "q"]):
        w(*command)
    assert w("EXEC") == [1, 1]
    assert a.silent(0.05)


def test_nothing_waits_in_a_transaction(w: Wire) -> None:
    assert w("MULTI") == OK
    for command in (
        ["BLPOP", "q", 0],
        ["BLMOVE", "q", "p", "LEFT", "LEFT", 0],
        ["BLMPOP", 0, 1, "q", "LEFT"],
        ["BRPOPLPUSH", "q", "p", 0],
    ):
        assert w(*command) == QUEUED
    assert w("EXEC") == [None, None, None, None]


def test_timeouts(w: Wire, connect: Connect) -> None:
    for command in (
        ["BLPOP", "q", "0.1"],
        ["BLMOVE", "q", "p", "LEFT", "LEFT", "0.1"],
        ["BLMPOP", "0.1", 1, "q", "LEFT"],
    ):
        start = time.monotonic()
        assert w(*command) is None
        assert 0.1 <= time.monotonic() - start < 0.5
    line = [waiting(w, connect, "BLPOP", "q", f"0.{t}") for t in (9, 3, 6, 2)]
    order: list[int] = []
    threads = [threading.Thread(target=lambda i=i: (line[i].read(), order.append(i))) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(5)
    assert order == [3, 1, 2, 0]
    assert w("RPUSH", "q", "x") == 1
    assert w("LLEN", "q") == 1
    assert w("BLPOP", "q", "0.00001") == [b"q", b"x"]
    assert w("BLPOP", "q", "0.00001") is None


@pytest.mark.parametrize(
    ("timeout", "error"),
    [("-1", "ERR timeout is negative"), ("x", "ERR timeout is not a float or out of range"), ("nan", "ERR timeout is not a float or out of range"),
     ("0x7FFFFFFFFFFFFF", "ERR timeout is out of range"), ("1e100", "ERR timeout is out of range")],
)  # fmt: skip
def test_bad_timeouts(w: Wire, timeout: str, error: str) -> None:
    for command in (
        ["BLPOP", "q", timeout],
        ["BLMOVE", "q", "p", "LEFT", "LEFT", timeout],
        ["BLMPOP", timeout, 1, "q", "LEFT"],
    ):
        assert w(*command) == error


def test_client_unblock(w: Wire, connect: Connect) -> None:
    for how, expected in (
        ([], None),
        (["TIMEOUT"], None),
        (["ERROR"], "UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ):
        a = connect()
        client_id = a("CLIENT", "ID")
        assert w("CLIENT", "UNBLOCK", client_id, *how) == 0
        a.send("BLPOP", "q", 0)
        wait_blocked(w, 1)
        assert w("CLIENT", "UNBLOCK", client_id, *how) == 1
        assert a.read() == expected
        assert a("PING") == "PONG"
        assert w("CLIENT", "UNBLOCK", client_id) == 0
    assert w("RPUSH", "q", "x") == 1
    assert w("LLEN", "q") == 1
    assert w("CLIENT", "UNBLOCK", 999999) == 0


def test_input_waits_with_its_client(w: Wire, connect: Connect) -> None:
    a = connect()
    a.send("BLPOP", "q", 0)
    for i in range(3):
        a.send("RPUSH", "log", i)
    wait_blocked(w, 1)
    assert a.silent(0.05)
    assert w("EXISTS", "log") == 0
    assert w("RPUSH", "q", "x") == 1
    assert [a.read() for _ in range(4)] == [[b"q", b"x"], 1, 2, 3]


def test_a_client_that_goes_away_leaves_nothing(w: Wire, connect: Connect) -> None:
    a = waiting(w, connect, "BLPOP", "q", "p", 0)
    b = waiting(w, connect, "BLPOP", "q", 0)
    c = waiting(w, connect, "BLPOP", "q", 0)
    a.close()
    wait_blocked(w, 2)
    ids = [line.split(b" ")[0][3:] for line in w("CLIENT", "LIST").splitlines() if b" flags=b " in line]
    assert len(ids) == 2
    assert w("RPUSH", "q", "x") == 1
    assert b.read() == [b"q", b"x"]
    last = [line.split(b" ")[0][3:] for line in w("CLIENT", "LIST").splitlines() if b" flags=b " in line]
    assert len(last) == 1
    assert w("CLIENT", "KILL", "ID", last[0]) == 1
    wait_blocked(w, 0)
    assert c.closed()
    assert w("RPUSH", "q", "y") == 1
    assert w("LLEN", "q") == 1


def test_protocol_of_the_waiter(server: Any, w: Wire) -> None:
    """A reply is in the waiter's protocol, whoever serves it."""
    with Wire(server.port, 2) as two, Wire(server.port, 3) as three:
        for other in (two, three):
            other.send("BLMPOP", 0, 1, "q", "LEFT", "COUNT", 3)
            wait_blocked(w, 1)
            assert w("RPUSH", "q", "1", "b") == 2
            assert other.read() == [b"q", [b"1", b"b"]]
            assert other("BLPOP", "q", "0.01") is None


def test_many_producers_and_consumers(server: Any, w: Wire) -> None:
    """Every element arrives exactly once, whatever the workers do at the same time."""
    total, got, lock = 600, [], threading.Lock()

    def consume(kind: int) -> None:
        with Wire(server.port) as c:
            while True:
                if kind == 0:
                    reply = c("BLPOP", "q1", "q2", "q3", 0)[1]
                elif kind == 1:
                    reply = c("BLMPOP", 0, 2, "q2", "q1", "RIGHT")[1][0]
                else:
                    reply = c("BLMOVE", "q1", "moved", "LEFT", "RIGHT", 0)
                if reply == b"end":
                    return
                with lock:
                    got.append(reply)

    def produce(part: int) -> None:
        with Wire(server.port) as c:
            for i in range(part, total, 4):
                assert isinstance(c("RPUSH", f"q{i % 3 + 1}" if i % 2 else "q1", i), int)

    consumers = [threading.Thread(target=consume, args=(i % 3,), daemon=True) for i in range(9)]
    producers = [threading.Thread(target=produce, args=(i,)) for i in range(4)]
    for t in consumers + producers:
        t.start()
    for t in producers:
        t.join(30)
    deadline = time.monotonic() + 20
    while len(got) < total and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(map(int, got)) == list(range(total))
    while any(t.is_alive() for t in consumers):
        w("RPUSH", "q1", "end")
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_worker_that_dies_leaves_nothing(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(servers.running(servers.shoal_server(), tmp_path))

        def connect() -> Wire:
            return stack.enter_context(Wire(server.port))

        w = connect()
        for _ in range(10):
            connect().send("BLPOP", "q", "p", 0)
        wait_blocked(w, 10)
        for pid in children(server.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        served = False
        while not served and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                w = connect()
                served = w("RPUSH", "q", "x") == 1 and w("LPOP", "q") == b"x"
        wait_blocked(w, 0)
        assert w("EXISTS", "q") == 0
        again = waiting(w, connect, "BLPOP", "q", 0)
        assert w("RPUSH", "q", "y") == 1
        assert again.read() == [b"q", b"y"]


def test_an_error_that_ends_the_waiting_is_counted(w: Wire, connect: Connect) -> None:
    """As that of a command that answers at once: INFO errorstats, commandstats, stats."""
    w("CONFIG", "RESETSTAT")
    w("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    waiter = waiting(w, connect, "XREADGROUP", "GROUP", "g", "alice", "BLOCK", 0, "STREAMS", "s", ">")
    w("XGROUP", "DESTROY", "s", "g")
    assert waiter.read().code == "NOGROUP"
    assert b"errorstat_NOGROUP:count=1" in w("INFO", "errorstats")
    stats = next(line for line in w("INFO", "commandstats").splitlines() if line.startswith(b"cmdstat_xreadgroup:"))
    assert b"calls=1," in stats and b"failed_calls=1" in stats
    assert b"total_error_replies:1\r\n" in w("INFO", "stats")
