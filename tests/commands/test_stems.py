"""Lists and hashes whose texts begin alike: kept shorter inside, the same outside."""

from __future__ import annotations

import random
from typing import Any

from wire import OK, Wire


def test_a_list_is_what_a_model_says(client: Wire) -> None:
    c: Any = client
    dice = random.Random(5)
    model = [b"element:%d" % i for i in range(300)]
    assert c("RPUSH", "l", *model) == 300
    for i in range(300):
        match dice.randrange(6):
            case 0:
                model.insert(0, b"element:%d:head" % i)
                c("LPUSH", "l", model[0])
            case 1:
                at = dice.randrange(len(model))
                model[at] = b"element:" if i % 2 else b"another %d" % i
                assert c("LSET", "l", at, model[at]) == OK
            case 2:
                pivot = model[dice.randrange(len(model))]
                model.insert(model.index(pivot) + 1, b"element:%d" % (i + 1000))
                c("LINSERT", "l", "AFTER", pivot, b"element:%d" % (i + 1000))
            case 3:
                gone = model[dice.randrange(len(model))]
                model.remove(gone)
                assert c("LREM", "l", 1, gone) == 1
            case 4:
                assert c("RPOP", "l") == model.pop()
            case _:
                model.append(b"element:x" + b"y" * dice.randrange(300))
                c("RPUSH", "l", model[-1])
    assert c("LRANGE", "l", 0, -1) == model
    assert c("LPOS", "l", model[77]) == model.index(model[77])
    assert c("RESTORE", "copy", 0, c("DUMP", "l")) == OK
    assert c("LRANGE", "copy", 0, -1) == model
    assert c("LMOVE", "l", "other", "LEFT", "RIGHT") == model[0]
    assert c("SORT", "copy", "ALPHA") == sorted(model)


def test_a_hash_is_what_a_model_says(client: Wire) -> None:
    c: Any = client
    model = {b"field%d" % i: b"value:%d" % (i * 7919) for i in range(60)}
    for field, value in model.items():
        c("HSET", "h", field, value)
    assert c("OBJECT", "ENCODING", "h") == b"listpack"
    for i in range(0, 60, 3):
        model[b"field%d" % i] = b"%d" % i if i % 2 else b"value:" + b"z" * (i % 50)
        assert c("HSET", "h", b"field%d" % i, model[b"field%d" % i]) == 0
        assert c("HDEL", "h", b"field%d" % (i + 1)) == 1
        del model[b"field%d" % (i + 1)]

    def pairs(reply: Any) -> dict[bytes, bytes]:
        if isinstance(reply, dict):
            return reply
        return dict(reply if isinstance(reply[0], list) else zip(reply[::2], reply[1::2], strict=True))

    assert pairs(c("HGETALL", "h")) == model
    assert pairs(c("HSCAN", "h", 0, "MATCH", "field*")[1]) == model
    assert c("HMGET", "h", *model) == list(model.values())
    assert pairs(c("HRANDFIELD", "h", 100, "WITHVALUES")) == model
    assert c("HRANDFIELD", "h") in model
    assert c("RESTORE", "copy", 0, c("DUMP", "h")) == OK
    assert pairs(c("HGETALL", "copy")) == model
    assert c("HEXPIRE", "h", 1000, "FIELDS", 1, "field3") == [1]
    assert pairs(c("HGETALL", "h")) == model
    assert c("HINCRBY", "h", "field60", 5) == 5
