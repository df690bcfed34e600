"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: RESP2 and RESP3, clients on both workers."""

from __future__ import annotations

import itertools
import threading
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

    first = open_one()
    first("FLUSHALL")
    yield open_one
    for wire in opened:
        wire.close()


@pytest.fixture
def w(connect: Connect) -> Wire:
    return connect()


def test_queued_commands_run_as_one(w: Wire) -> None:
    assert w("MULTI") == OK
    assert w("SET", "a", "1") == QUEUED
    assert w("INCR", "a") == QUEUED
    assert w("GET", "a") == QUEUED
    assert w("EXEC") == [OK, 2, b"2"]
    assert w("GET", "a") == b"2"


def test_an_empty_transaction_answers_an_empty_array(w: Wire) -> None:
    w("MULTI")
    assert w("EXEC") == []


def test_words_of_errors(w: Wire) -> None:
    assert w("EXEC") == Error("ERR EXEC without MULTI")
    assert w("DISCARD") == Error("ERR DISCARD without MULTI")
    w("MULTI")
    assert w("MULTI") == Error("ERR MULTI calls can not be nested")
    assert w("WATCH", "k") == Error("ERR WATCH inside MULTI is not allowed")
    w("SET", "k", "v")
    assert w("EXEC") == [OK], "neither error ends the transaction"


@pytest.mark.parametrize("wrong", [("NOSUCHCOMMAND",), ("GET",), ("SET", "k"), ("CLIENT", "NOSUCH")])
def test_a_refused_command_aborts_exec(w: Wire, wrong: tuple[str, ...]) -> None:
    w("MULTI")
    w("SET", "k", "v")
    assert isinstance(w(*wrong), Error)
    assert w("SET", "other", "v") == QUEUED
    assert w("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
    assert w("EXISTS", "k", "other") == 0
    assert w("MULTI") == OK


def test_a_command_that_fails_leaves_the_others_alone(w: Wire) -> None:
    w("SET", "text", "abc")
    w("MULTI")
    w("SET", "before", "1")
    w("INCR", "text")
    w("SET", "after", "1")
    assert w("EXEC") == [OK, Error("ERR value is not an integer or out of range"), OK]
    assert w("MGET", "before", "text", "after") == [b"1", b"abc", b"1"]


def test_discard_forgets_queue_and_watches(connect: Connect) -> None:
    w, other = connect(), connect()
    w("WATCH", "k")
    w("MULTI")
    w("SET", "k", "mine")
    assert w("DISCARD") == OK
    other("SET", "k", "theirs")
    w("MULTI")
    w("GET", "k")
    assert w("EXEC") == [b"theirs"]


def test_select_inside_multi(w: Wire) -> None:
    w("MULTI")
    for args in (("SELECT", 1), ("SET", "k", "one"), ("SELECT", 0), ("SET", "k", "zero"), ("SELECT", 1)):
        assert w(*args) == QUEUED
    assert w("EXEC") == [OK] * 5
    assert w("GET", "k") == b"one"
    w("SELECT", 0)
    assert w("GET", "k") == b"zero"


def test_commands_that_take_stripes_themselves(w: Wire) -> None:
    w("MSET", *itertools.chain.from_iterable((f"key:{i}", i) for i in range(100)))
    w("MULTI")
    for args in (
        ("SET", "key:x", 1),
        ("DBSIZE",),
        ("KEYS", "key:?"),
        ("SCAN", 0, "COUNT", 1000),
        ("RANDOMKEY",),
        ("FLUSHALL",),
        ("DBSIZE",),
    ):
        assert w(*args) == QUEUED
    ok, size, keys, (cursor, scanned), random_key, flushed, empty = w("EXEC")
    assert (ok, size, flushed, empty) == (OK, 101, OK, 0)
    assert len(keys) == 11
    assert cursor == b"0" and len(scanned) == 101
    assert random_key.startswith(b"key:")


def test_python_commands_inside_exec(w: Wire) -> None:
    w("MULTI")
    w("SET", "k", "v")
    w("CONFIG", "GET", "maxclients")
    w("INFO", "server")
    w("GET", "k")
    replies = w("EXEC")
    assert replies[0] == OK and replies[3] == b"v"
    assert b"redis_version" in replies[2]


def test_python_commands_keep_their_place_and_database(w: Wire) -> None:
    w("MULTI")
    for args in (("CONFIG", "GET", "port"), ("SET", "k", 1), ("CLIENT", "INFO"), ("SELECT", 5), ("ECHO", "x" * 5000)):
        assert w(*args) == QUEUED
    for args in (("CONFIG", "GET", "nosuch*"), ("CONFIG", "SET", "maxmemory", "wrong"), ("ECHO", "end"), ("LASTSAVE",)):
        assert w(*args) == QUEUED
    port, stored, info, selected, echoed, none, wrong, end, saved = w("EXEC")
    assert stored == selected == OK
    assert (port if isinstance(port, dict) else dict([port]))[b"port"].isdigit()
    assert b" flags=x " in info and b" cmd=exec " in info
    assert (echoed, end) == (b"x" * 5000, b"end")
    assert not none
    assert wrong.startswith("ERR CONFIG SET failed")
    assert isinstance(saved, int)
    assert b" db=5 " in w("CLIENT", "INFO")


def test_saving_inside_exec_waits_for_nobody(w: Wire) -> None:
    w("MULTI")
    w("SET", "k", 1)
    w("BGSAVE")
    w("SET", "k", 2)
    assert w("EXEC") == [OK, Status("Background saving scheduled"), OK]
    assert w("GET", "k") == b"2"
    while b"rdb_bgsave_in_progress:1" in w("INFO", "persistence"):
        time.sleep(0.01)


def test_a_large_transaction(w: Wire) -> None:
    w("MULTI")
    for i in range(5000):
        w.send("SET", f"large:{i}", "x" * 100)
    assert all(w.read() == QUEUED for _ in range(5000))
    assert w("EXEC") == [OK] * 5000
    assert w("DBSIZE") == 5000


def test_the_queue_counts_as_input(w: Wire, connect: Connect) -> None:
    w("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    try:
        greedy = connect()
        greedy("MULTI")
        assert greedy("SET", "k", b"x" * 600_000) == QUEUED
        greedy.send("SET", "k", b"x" * 600_000)
        assert greedy.closed()
        assert b"client_query_buffer_limit_disconnections:0\r" not in w("INFO", "stats")
    finally:
        w("CONFIG", "SET", "client-query-buffer-limit", "1gb")


# --- WATCH ------------------------------------------------------------------------------------------------------------


def pairs(connect: Connect) -> Iterator[tuple[Wire, Wire]]:
    """Every pair of four connections, so that some are served by the same worker and some by different ones."""
    yield from itertools.permutations([connect() for _ in range(4)], 2)


def test_a_change_by_any_client_fails_exec(connect: Connect) -> None:
    for mine, other in pairs(connect):
        mine("SET", "k", 1)
        assert mine("WATCH", "k", "unrelated") == OK
        other("SET", "k", 2)
        mine("MULTI")
        mine("SET", "k", 3)
        assert mine("EXEC") is None
        assert mine("GET", "k") == b"2"
        mine("MULTI")
        mine("SET", "k", 4)
        assert mine("EXEC") == [OK], "the failed EXEC gave up the watch"


def test_changes_of_other_keys_and_databases_do_not(connect: Connect) -> None:
    for mine, other in pairs(connect):
        mine("WATCH", "k")
        other("SET", "unwatched", 1)
        other("SELECT", 1)
        other("SET", "k", 1)
        other("SELECT", 0)
        other("GET", "k")
        other("DEL", "nosuch")
        mine("MULTI")
        mine("PING")
        assert mine("EXEC") == [Status("PONG")]


def test_ones_own_change_fails_exec(w: Wire) -> None:
    w("WATCH", "k")
    w("SET", "k", 1)
    w("MULTI")
    w("PING")
    assert w("EXEC") is None


def test_a_write_in_somebodys_exec_fails_mine(connect: Connect) -> None:
    for mine, other in pairs(connect):
        mine("WATCH", "k")
        other("MULTI")
        other("INCR", "k")
        other("EXEC")
        mine("MULTI")
        mine("PING")
        assert mine("EXEC") is None


def test_unwatch_and_watching_twice(connect: Connect) -> None:
    w, other = connect(), connect()
    w("WATCH", "k", "k")
    w("WATCH", "k")
    other("SET", "k", 1)
    assert w("UNWATCH") == OK
    w("MULTI")
    w("UNWATCH")
    w("PING")
    assert w("EXEC") == [OK, Status("PONG")]


@pytest.mark.parametrize("flush", [("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", 0, 2)])
def test_emptying_touches_only_what_exists(connect: Connect, flush: tuple[Any, ...]) -> None:
    for mine, other in itertools.islice(pairs(connect), 4):
        for exists in (True, False):
            other("FLUSHALL")
            if exists:
                other("SET", "k", 1)
            mine("WATCH", "k")
            assert other(*flush) == OK
            mine("MULTI")
            mine("PING")
            assert mine("EXEC") == (None if exists else [Status("PONG")])


def test_swapdb_touches_what_comes_in(connect: Connect) -> None:
    mine, other = connect(), connect()
    other("SELECT", 3)
    other("SET", "k", 1)
    mine("WATCH", "k")
    other("SWAPDB", 0, 3)
    mine("MULTI")
    mine("PING")
    assert mine("EXEC") is None


def test_a_key_that_expires_fails_exec(w: Wire) -> None:
    w("SET", "k", 1, "PX", 20)
    w("WATCH", "k")
    time.sleep(0.05)
    w("MULTI")
    w("PING")
    assert w("EXEC") is None


def test_a_key_that_was_over_already_does_not(connect: Connect) -> None:
    w, other = connect(), connect()
    if isinstance(w("DEBUG", "SET-ACTIVE-EXPIRE", 0), Error):
        pytest.skip("DEBUG is not allowed")
    try:
        w("SET", "k", 1, "PX", 1)
        time.sleep(0.02)
        w("WATCH", "k")
        assert other("GET", "k") is None  # removes it
        w("MULTI")
        w("PING")
        assert w("EXEC") == [Status("PONG")]
    finally:
        w("DEBUG", "SET-ACTIVE-EXPIRE", 1)


def test_watches_end_with_their_connection(connect: Connect) -> None:
    keeper = connect()
    for _ in range(20):
        gone = connect()
        gone("WATCH", *(f"w:{i}" for i in range(50)))
        gone.close()
    assert keeper("MSET", *itertools.chain.from_iterable((f"w:{i}", i) for i in range(50))) == OK
    assert keeper("DBSIZE") == 50


def test_optimistic_increments_lose_nothing(server: Any, connect: Connect) -> None:
    connect()("SET", "counter", 0)
    each, clients = 60, 4

    def work() -> None:
        with Wire(server.port) as w:
            done = 0
            while done < each:
                w("WATCH", "counter")
                value = int(w("GET", "counter"))
                w("MULTI")
                w("SET", "counter", value + 1)
                done += w("EXEC") is not None

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert connect()("GET", "counter") == b"%d" % (each * clients)


def test_nobody_sees_half_of_a_transaction(server: Any, connect: Connect) -> None:
    """Transfers between keys of different stripes; a reader's own EXEC always sees the same sum."""
    connect()("MSET", "left", 500, "right", 500)
    stop = threading.Event()

    def transfer(step: int) -> None:
        with Wire(server.port) as w:
            while not stop.is_set():
                w("MULTI")
                w("DECRBY", "left", step)
                w("INCRBY", "right", step)
                w("EXEC")

    threads = [threading.Thread(target=transfer, args=(step,)) for step in (3, 5, -4)]
    for t in threads:
        t.start()
    reader = connect()
    try:
        for _ in range(300):
            reader("MULTI")
            reader("GET", "left")
            reader("GET", "right")
            left, right = reader("EXEC")
            assert int(left) + int(right) == 1000
            assert sum(map(int, reader("MGET", "left", "right"))) == 1000
    finally:
        stop.set()
        for t in threads:
            t.join()
