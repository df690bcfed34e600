"""shoal.replies: the bytes of a Python command's reply in RESP2 and RESP3."""

from __future__ import annotations

import pytest

from shoal.replies import NULL_ARRAY, OK, CommandError, Push, Reply, Set, Status, Verbatim, encode


@pytest.mark.parametrize(
    ("value", "resp2", "resp3"),
    [
        (OK, b"+OK\r\n", b"+OK\r\n"),
        (Status("a\r\nb"), b"+a  b\r\n", b"+a  b\r\n"),
        (CommandError("no such thing"), b"-ERR no such thing\r\n", b"-ERR no such thing\r\n"),
        (CommandError("no", "NOAUTH"), b"-NOAUTH no\r\n", b"-NOAUTH no\r\n"),
        (7, b":7\r\n", b":7\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (False, b":0\r\n", b"#f\r\n"),
        (None, b"$-1\r\n", b"_\r\n"),
        (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
        (b"\x00\r\n", b"$3\r\n\x00\r\n\r\n", b"$3\r\n\x00\r\n\r\n"),
        ("\u00e9", b"$2\r\n\xc3\xa9\r\n", b"$2\r\n\xc3\xa9\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        (3.0, b"$1\r\n3\r\n", b",3\r\n"),
        (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
        ([1, [b"a"], ()], b"*3\r\n:1\r\n*1\r\n$1\r\na\r\n*0\r\n", b"*3\r\n:1\r\n*1\r\n$1\r\na\r\n*0\r\n"),
        ({"a": 1, b"b": {}}, b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*0\r\n", b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n%0\r\n"),
        (Set([Status("x")]), b"*1\r\n+x\r\n", b"~1\r\n+x\r\n"),
        (Push([b"x"]), b"*1\r\n$1\r\nx\r\n", b">1\r\n$1\r\nx\r\n"),
        (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    ],
)
def test_encode(value: Reply, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, 2) == resp2
    assert encode(value, 3) == resp3


def test_what_is_no_reply_is_refused() -> None:
    with pytest.raises(TypeError, match="object is no reply"):
        encode([object()])
