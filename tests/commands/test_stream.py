"""Streams: random commands compared with redis-server reply by reply, words of errors, consumers' times, waiting readers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import servers
from wire import Error, Wire

KEYS = ["s", "t"]
GROUPS = ["g", "h"]
CONSUMERS = ["alice", "bob"]


class Machine:
    """Makes random commands about two streams with ids that are worth trying."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.top = 1

    def id(self, exact: bool = True) -> str:
        r = self.rng
        ms = r.choice([0, 1, 2, 5, 5, r.randrange(1, self.top + 3)])
        kind = r.randrange(10)
        if kind < 6 or exact:
            return f"{ms}-{r.randrange(4)}"
        return r.choice([str(ms), "-", "+", f"({ms}-1", f"({ms}", "0", "18446744073709551615-18446744073709551615", "nonsense", "1-x"])

    def trim(self) -> list[Any]:
        r = self.rng
        by_id = r.randrange(2)
        words: list[Any] = ["MINID" if by_id else "MAXLEN", *r.choice([[], ["="], ["~"]])]
        words.append(self.id() if by_id else r.choice([0, 1, 3, 10, 50, -1]))
        return words + r.choice([[], [], [], ["LIMIT", r.choice([0, 5, 100, -1])]])

    def xadd(self) -> list[Any]:
        r = self.rng
        self.top += r.randrange(3)
        fields = r.choice([["f", r.randrange(1000)], ["f", "text"], ["a", 1, "b", 2], ["long", "x" * r.randrange(200)], ["odd"]])
        ident = r.choice([f"{self.top}-*", f"{self.top}-{r.randrange(5)}", f"{self.top + 1}", self.id()])
        return ["XADD", self.key(), *r.choice([[], [], [], ["NOMKSTREAM"], self.trim()]), ident, *fields]

    def key(self) -> str:
        return self.rng.choice(KEYS)

    def group(self) -> list[str]:
        return [self.key(), self.rng.choice(GROUPS)]

    def one(self) -> list[Any]:
        r = self.rng
        consumer, count = r.choice(CONSUMERS), r.choice([[], ["COUNT", r.choice([0, 1, 2, 10, -3])]])
        return r.choice(
            [
                self.xadd, self.xadd, self.xadd, self.xadd,
                lambda: ["XRANGE", self.key(), self.id(False), self.id(False), *count],
                lambda: ["XREVRANGE", self.key(), self.id(False), self.id(False), *count],
                lambda: ["XDEL", self.key(), self.id(), self.id()],
                lambda: ["XTRIM", self.key(), *self.trim()],
                lambda: ["XLEN", self.key()],
                lambda: ["XREAD", *count, "STREAMS", *KEYS, self.id(), r.choice(["$", self.id()])],
                lambda: ["XREADGROUP", "GROUP", "g", consumer, *count, *r.choice([[], ["NOACK"]]), "STREAMS", self.key(),
                         r.choice([">", ">", self.id(), "$"])],
                lambda: ["XACK", *self.group(), self.id(), self.id()],
                lambda: ["XPENDING", *self.group()],
                lambda: ["XCLAIM", *self.group(), consumer, 0, self.id(), self.id(), *r.choice([[], ["FORCE"], ["JUSTID"],
                         ["RETRYCOUNT", 7], ["LASTID", self.id()], ["NONSENSE"]])],
                lambda: ["XAUTOCLAIM", *self.group(), consumer, 0, self.id(), *count, *r.choice([[], ["JUSTID"]])],
                lambda: ["XINFO", "GROUPS", self.key()],
                lambda: ["XSETID", self.key(), self.id(), *r.choice([[], ["ENTRIESADDED", r.randrange(100), "MAXDELETEDID", self.id()]])],
                lambda: ["XGROUP", "SETID", *self.group(), r.choice(["$", self.id()]), *r.choice([[], ["ENTRIESREAD", r.randrange(9)]])],
                lambda: ["XGROUP", "DELCONSUMER", *self.group(), consumer],
                lambda: ["XGROUP", "CREATECONSUMER", *self.group(), consumer],
            ]
        )()  # fmt: skip


def plain(reply: Any) -> Any:
    """XREAD's map of RESP3 as pairs."""
    return [[key, value] for key, value in reply.items()] if isinstance(reply, dict) else reply


@pytest.mark.parametrize("seed", range(6))
def test_like_redis(client: Wire, reference: Wire, seed: int):
    machine = Machine(seed)
    reference("FLUSHALL")
    for wire in client, reference:
        wire("CONFIG", "SET", "stream-node-max-entries", [3, 100, 10][seed % 3])
        for key in KEYS:
            wire("DEL", key)
            for group in GROUPS:
                wire("XGROUP", "CREATE", key, group, "0", "MKSTREAM")
                for consumer in CONSUMERS:
                    wire("XGROUP", "CREATECONSUMER", key, group, consumer)
    history: list[list[Any]] = []
    for _ in range(1500):
        command = machine.one()
        history.append(command)
        ours, theirs = client(*command), reference(*command)
        assert plain(ours) == plain(theirs), history[-12:]
        if command[:2] == ["XGROUP", "DELCONSUMER"]:
            for wire in client, reference:
                wire("XGROUP", "CREATECONSUMER", command[2], command[3], command[4])
    for key in KEYS:
        assert client("XRANGE", key, "-", "+") == reference("XRANGE", key, "-", "+")
        for group in GROUPS:
            ours = client("XPENDING", key, group, "-", "+", 1000)
            assert [x[:2] + x[3:] for x in ours] == [x[:2] + x[3:] for x in reference("XPENDING", key, group, "-", "+", 1000)]
        payload = client("DUMP", key)
        assert reference("RESTORE", key, 0, payload, "REPLACE") == "OK"
        assert reference("XRANGE", key, "-", "+") == client("XRANGE", key, "-", "+")
        assert reference("XINFO", "GROUPS", key) == client("XINFO", "GROUPS", key)
    client("CONFIG", "SET", "stream-node-max-entries", 100)


def test_ids_of_xadd(client: Wire):
    before = int(time.time() * 1000)
    first = client("XADD", "s", "*", "f", "v")
    assert before <= int(first.split(b"-")[0]) <= before + 60000
    assert client("XADD", "t", "5-*", "f", "v") == b"5-0"
    assert client("XADD", "t", "5-*", "f", "v") == b"5-1"
    assert client("XADD", "t", "6", "f", "v") == b"6-0"
    assert client("XADD", "t", "6-0", "f", "v") == (
        "ERR The ID specified in XADD is equal or smaller than the target stream top item"
    )
    assert client("XADD", "t", "0-0", "f", "v") == "ERR The ID specified in XADD must be greater than 0-0"
    assert client("XADD", "new", "0-*", "f", "v") == b"0-1"
    assert client("XADD", "t", "18446744073709551615-18446744073709551615", "f", "v")
    assert client("XADD", "t", "*", "f", "v") == (
        "ERR The stream has exhausted the last possible ID, unable to add more items"
    )
    assert client("XADD", "absent", "NOMKSTREAM", "*", "f", "v") is None
    assert client("EXISTS", "absent") == 0
    assert client("XADD", "s", "*", "f") == "ERR wrong number of arguments for 'xadd' command"


def test_encoding_type_and_wrong_type(client: Wire):
    client("XADD", "s", "1-1", "f", "v")
    assert client("TYPE", "s") == "stream"
    assert client("OBJECT", "ENCODING", "s") == b"stream"
    assert client("MEMORY", "USAGE", "s") > 0
    client("SET", "k", "v")
    for command in (
        ["XADD", "k", "*", "f", "v"], ["XLEN", "k"], ["XRANGE", "k", "-", "+"], ["XDEL", "k", "1-1"], ["XACK", "k", "g", "1-1"],
        ["XREAD", "STREAMS", "k", "0"], ["XGROUP", "CREATE", "k", "g", "0"], ["XINFO", "STREAM", "k"], ["XTRIM", "k", "MAXLEN", 1],
        ["XPENDING", "k", "g"], ["XCLAIM", "k", "g", "c", 0, "1-1"], ["XAUTOCLAIM", "k", "g", "c", 0, "0"], ["XSETID", "k", "1-1"],
    ):  # fmt: skip
        reply = client(*command)
        assert isinstance(reply, Error) and reply.startswith("WRONGTYPE"), command


def test_options_of_xgroup_given_twice(client: Wire):
    twice = ["ENTRIESREAD", 1, "ENTRIESREAD", 1]
    client("XADD", "s", "1-1", "f", "v")
    assert client("XGROUP", "CREATE", "none", "g", 1, *twice).startswith("ERR The XGROUP subcommand requires the key to exist")
    assert "wrong number of arguments for 'CREATE'" in client("XGROUP", "CREATE", "s", "g", 1, *twice)
    assert client("XGROUP", "CREATE", "s", "g", 1, "MKSTREAM", "ENTRIESREAD", 1) == "OK"
    assert "wrong number of arguments for 'SETID'" in client("XGROUP", "SETID", "s", "g", 1, *twice)
    assert client("XGROUP", "SETID", "s", "g", 1, "ENTRIESREAD", 1) == "OK"


def info(reply: Any) -> dict[bytes, Any]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def test_seen_and_active_times(client: Wire):
    client("XADD", "s", "1-1", "f", "v")
    client("XGROUP", "CREATE", "s", "g", "$")
    assert client("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">") is None
    consumer = info(client("XINFO", "CONSUMERS", "s", "g")[0])  # it was made although there was nothing to read
    assert consumer[b"name"] == b"c" and consumer[b"inactive"] == -1 and consumer[b"pending"] == 0
    client("XADD", "s", "2-1", "f", "v")
    client("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    time.sleep(0.05)
    assert client("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">") is None
    consumer = info(client("XINFO", "CONSUMERS", "s", "g")[0])
    assert consumer[b"inactive"] >= 50 > consumer[b"idle"]
    full = info(client("XINFO", "STREAM", "s", "FULL"))
    group = info(full[b"groups"][0])
    assert group[b"lag"] == 0 and group[b"pel-count"] == 1
    assert {b"seen-time", b"active-time", b"pel-count", b"pending", b"name"} == set(info(group[b"consumers"][0]))


def test_atomic_in_exec(client: Wire):
    client("MULTI")
    client("XADD", "s", "1-1", "f", "v")
    client("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    client("XADD", "s", "1-1", "f", "v")
    client("XREAD", "STREAMS", "s", "0")
    replies = client("EXEC")
    assert replies[0] == b"1-1" and replies[1] is None and isinstance(replies[2], Error)
    assert plain(replies[3]) == [[b"s", [[b"1-1", [b"f", b"v"]]]]]


def test_many_entries_and_large_ones(client: Wire):
    for i in range(1, 5001):
        client.send("XADD", "s", f"{i}-1", "field", i)
    for i in range(1, 5001):
        assert client.read() == b"%d-1" % i
    assert client("XLEN", "s") == 5000
    assert len(client("XRANGE", "s", "2000", "2999")) == 1000
    assert client("XTRIM", "s", "MAXLEN", "~", 1050) == 3900
    assert client("XTRIM", "s", "MINID", 4500) == 599
    assert client("XREVRANGE", "s", "+", "-", "COUNT", 1)[0][0] == b"5000-1"
    big = "x" * 3_000_000
    assert client("XADD", "s", "6000-1", "f", big) == b"6000-1"
    assert client("XADD", "s", "6001-1", "f", "small") == b"6001-1"
    assert client("XRANGE", "s", "6000", "+")[0][1] == [b"f", big.encode()]
    assert client("DEL", "s") == 1


def everything(wire: Wire) -> list[Any]:
    """All that is known of the streams but for times."""
    found: list[Any] = []
    for key in KEYS:
        found.append(wire("XRANGE", key, "-", "+"))
        found.append([info(group) for group in wire("XINFO", "GROUPS", key)])
        found.append({name: value for name, value in info(wire("XINFO", "STREAM", key)).items() if b"radix" not in name})
        for group in GROUPS:
            found.append([[x[0], x[1], x[3]] for x in wire("XPENDING", key, group, "-", "+", 10000)])
    return found


def test_the_log_replays_to_the_same(tmp_path: Path):
    command = [*servers.shoal_server(), "--appendonly", "yes"]
    with servers.running(command, tmp_path) as server, Wire(server.port) as wire:
        for seed in range(3):
            machine = Machine(100 + seed)
            assert wire("FLUSHALL") == "OK"
            wire("CONFIG", "SET", "stream-node-max-entries", [3, 100, 10][seed])
            for key in KEYS:
                for group in GROUPS:
                    wire("XGROUP", "CREATE", key, group, "0", "MKSTREAM")
            for _ in range(1200):
                words = machine.one()
                if words[0] == "XREADGROUP":  # own history: counts of deliveries are not logged, as in Redis
                    words[-1] = ">"
                wire(*words)
            before = everything(wire)
            assert wire("DEBUG", "LOADAOF") == "OK"
            assert everything(wire) == before


# ---- waiting ----


@pytest.fixture
def others(server: Any, wire: Wire) -> Any:
    """Makes further connections."""
    made: list[Wire] = []

    def connect() -> Wire:
        made.append(Wire(server.port, wire.resp))
        return made[-1]

    yield connect
    for found in made:
        found.close()


def waiting(client: Wire, n: int) -> None:
    deadline = time.monotonic() + 5
    while f"blocked_clients:{n}\r\n".encode() not in client("INFO", "clients"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


Connect = Callable[[], Wire]


def test_xread_waits(client: Wire, others: Connect):
    a, b = others(), others()
    a.send("XREAD", "BLOCK", 0, "STREAMS", "none", "s", "$", "$")
    b.send("XREAD", "BLOCK", 0, "COUNT", 1, "STREAMS", "s", "5-0")
    waiting(client, 2)
    client("XADD", "s", "5-0", "f", "v")
    assert plain(a.read()) == [[b"s", [[b"5-0", [b"f", b"v"]]]]]
    assert b.silent(0.1)
    client("XADD", "s", "5-1", "f", "w")
    assert plain(b.read()) == [[b"s", [[b"5-1", [b"f", b"w"]]]]]
    start = time.monotonic()
    assert a("XREAD", "BLOCK", 80, "STREAMS", "s", "$") is None
    assert time.monotonic() - start >= 0.08
    a.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    waiting(client, 1)
    client("MULTI")
    client("XADD", "s", "9-1", "f", "v")
    client("DEL", "s")
    client("EXEC")
    assert a.silent(0.1)
    client("XADD", "s", "10-1", "f", "v")
    assert plain(a.read())[0][1][0][0] == b"10-1"


def test_xreadgroup_waits(client: Wire, others: Connect):
    client("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    readers = [others() for _ in range(3)]
    for i, reader in enumerate(readers):
        reader.send("XREADGROUP", "GROUP", "g", f"c{i}", "COUNT", 1, "BLOCK", 0, "STREAMS", "s", ">")
        waiting(client, i + 1)
    client("XADD", "s", "1-1", "f", "v")
    assert plain(readers[0].read())[0][1][0][0] == b"1-1"
    assert readers[1].silent(0.05)
    client("MULTI")
    client("XADD", "s", "2-1", "f", "v")
    client("XADD", "s", "3-1", "f", "v")
    client("EXEC")
    assert [plain(r.read())[0][1][0][0] for r in readers[1:]] == [b"2-1", b"3-1"]
    assert [x[:2] for x in client("XPENDING", "s", "g", "-", "+", 10)] == [[b"1-1", b"c0"], [b"2-1", b"c1"], [b"3-1", b"c2"]]
    readers[0].send("XREADGROUP", "GROUP", "g", "c0", "BLOCK", 0, "STREAMS", "s", ">")
    waiting(client, 1)
    client("XGROUP", "DESTROY", "s", "g")
    assert str(readers[0].read()).startswith("NOGROUP")
    client("XGROUP", "CREATE", "s", "g", "$")
    readers[0].send("XREADGROUP", "GROUP", "g", "c0", "BLOCK", 0, "STREAMS", "s", ">")
    waiting(client, 1)
    client("SET", "s", "something else")
    assert str(readers[0].read()).startswith("WRONGTYPE")


def test_xread_arguments(client: Wire):
    client("XADD", "s", "1-1", "f", "v")
    for args, words in [
        (["XREAD", "BLOCK", "x", "STREAMS", "s", "0"], "ERR timeout is not an integer or out of range"),
        (["XREAD", "BLOCK", -1, "STREAMS", "s", "0"], "ERR timeout is negative"),
        (["XREAD", "COUNT", "x", "STREAMS", "s", "0"], "ERR value is not an integer or out of range"),
        (["XREAD", "STREAMS", "s", ">"], "ERR The > ID can be specified only when calling XREADGROUP using the GROUP"),
        (["XREAD", "GROUP", "g", "c", "STREAMS", "s", "0"], "ERR The GROUP option is only supported by XREADGROUP."),
        (["XREAD", "STREAMS", "s", "t", "0"], "ERR Unbalanced XREAD list of streams"),
        (["XREADGROUP", "COUNT", 1, "STREAMS", "s", "t", ">", ">"], "ERR Missing GROUP option for XREADGROUP"),
        (["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"], "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP"),
        (["XGROUP", "CREATE", "none", "g", "0"], "ERR The XGROUP subcommand requires the key to exist."),
        (["XGROUP", "SETID", "s", "g", "0"], "NOGROUP No such consumer group 'g' for key name 's'"),
        (["XINFO", "STREAM", "none"], "ERR no such key"),
        (["XINFO", "CONSUMERS", "s", "g"], "NOGROUP No such consumer group 'g' for key name 's'"),
        (["XINFO", "STREAM", "s", "HALF"], "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."),
    ]:
        reply = client(*args)
        assert isinstance(reply, Error) and reply.startswith(words), (args, reply)
