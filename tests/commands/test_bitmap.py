"""Bit commands against a model written with Python's integers, and their errors in Redis 7.2's words."""

from __future__ import annotations

import random

import pytest
from wire import Wire

BIT_OFFSET = "ERR bit offset is not an integer or out of range"
BAD_TYPE = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
BIT_VALUE = "ERR bit is not an integer or out of range"


def bits_of(data: bytes) -> list[int]:
    return [byte >> (7 - i) & 1 for byte in data for i in range(8)]


def clamp(start: int, end: int, total: int) -> tuple[int, int]:
    start = max(total + start, 0) if start < 0 else start
    end = max(total + end, 0) if end < 0 else min(end, total - 1)
    return start, end


def test_setbit_and_getbit(script):
    script(
        rf"""
        SETBIT k 1 1 -> 0
        SETBIT k 1 1 -> 1
        GET k -> b"@"
        SETBIT k 1 0 -> 1
        GET k -> b"\x00"
        GETBIT k 1 -> 0
        GETBIT k 100000 -> 0
        GETBIT none 5 -> 0
        SETBIT k 79 1 -> 0
        STRLEN k -> 10
        SET n 12 -> "OK"
        GETBIT n 2 -> 1
        SETBIT n 6 1 -> 0
        GET n -> b"32"
        OBJECT ENCODING n -> b"raw"
        SETBIT z 0 0 -> 0
        GET z -> b"\x00"
        SETBIT k -1 1 -> ! {BIT_OFFSET}
        SETBIT k x 1 -> ! {BIT_OFFSET}
        SETBIT k 4294967296 1 -> ! {BIT_OFFSET}
        GETBIT k 4294967296 -> ! {BIT_OFFSET}
        SETBIT k 0 2 -> ! {BIT_VALUE}
        SETBIT k 0 x -> ! {BIT_VALUE}
        """
    )


def test_setbit_everywhere(client: Wire):
    rnd, model = random.Random(1), bytearray()
    for _ in range(500):
        at, bit = rnd.randrange(100000), rnd.randrange(2)
        model.extend(bytes(max(0, at // 8 + 1 - len(model))))
        old = model[at // 8] >> (7 - at % 8) & 1
        assert client("SETBIT", "k", at, bit) == old
        model[at // 8] = model[at // 8] & ~(0x80 >> at % 8) | (0x80 >> at % 8 if bit else 0)
    assert client("GET", "k") == bytes(model)


@pytest.mark.parametrize("unit", [None, "BYTE", "bit"])
def test_bitcount_ranges(client: Wire, unit: str | None):
    rnd = random.Random(2)
    for _ in range(150):
        data = rnd.randbytes(rnd.choice([0, 1, 3, 8, 17, 200]))
        client("SET", "k", data)
        bits = bits_of(data)
        step = 1 if unit == "bit" else 8
        start, end = (rnd.randint(-300, 300) * (8 // step) // 2 for _ in range(2))
        low, high = clamp(start, end, len(bits) // step)
        expected = 0 if start < 0 and end < 0 and start > end else sum(bits[low * step : (high + 1) * step] if low <= high else [])
        assert client("BITCOUNT", "k", start, end, *([unit] if unit else [])) == expected, (data, start, end)
        assert client("BITCOUNT", "k") == sum(bits)


def test_bitcount_errors(script):
    script(
        """
        BITCOUNT none -> 0
        BITCOUNT none 0 -1 -> 0
        BITCOUNT none 0 -> ! ERR syntax error
        BITCOUNT none 0 1 2 -> ! ERR syntax error
        BITCOUNT none 0 1 BIT 2 -> ! ERR syntax error
        BITCOUNT none a b -> ! ERR value is not an integer or out of range
        SET n 123 -> "OK"
        BITCOUNT n -> 10
        """
    )


@pytest.mark.parametrize("unit", ["BYTE", "BIT"])
def test_bitpos_ranges(client: Wire, unit: str):
    rnd = random.Random(3)
    for _ in range(300):
        fill = rnd.choice([b"\x00", b"\xff"])
        data = fill * rnd.randrange(40)
        if rnd.random() < 0.7:
            data += rnd.randbytes(rnd.randrange(4))
        client("SET", "k", data)
        bits, bit = bits_of(data), rnd.randrange(2)
        step = 1 if unit == "BIT" else 8
        start, end = rnd.randint(-50, 50), rnd.randint(-50, 50)
        low, high = clamp(start, end, len(bits) // step)
        hits = [i for i in range(low * step, (high + 1) * step) if bits[i] == bit] if low <= high else []
        assert client("BITPOS", "k", bit, start, end, unit) == (hits[0] if hits else -1), (data, bit, start, end)
        if unit == "BYTE":
            low = clamp(start, -1, len(data))[0]
            hits = [i for i in range(low * 8, len(bits)) if bits[i] == bit]
            past_end = len(bits) if bit == 0 and low < len(data) else -1
            assert client("BITPOS", "k", bit, start) == (hits[0] if hits else past_end), (data, bit, start)


def test_bitpos_errors(script):
    script(
        """
        BITPOS none 0 -> 0
        BITPOS none 1 -> -1
        BITPOS none 2 -> ! ERR The bit argument must be 1 or 0.
        BITPOS none x -> ! ERR value is not an integer or out of range
        BITPOS none 1 x -> ! ERR value is not an integer or out of range
        BITPOS none 1 0 1 FOO -> ! ERR syntax error
        BITPOS none 1 0 1 BIT 3 -> ! ERR syntax error
        """
    )


@pytest.mark.parametrize("op", ["AND", "OR", "XOR"])
def test_bitop(client: Wire, op: str):
    rnd = random.Random(op)
    for _ in range(60):
        sources = [rnd.randbytes(rnd.choice([0, 1, 7, 8, 9, 100, 9000])) for _ in range(rnd.randint(1, 5))]
        for i, source in enumerate(sources):
            if source:
                client("SET", f"s{i}", source)
            else:
                client("DEL", f"s{i}")
        size = max(map(len, sources))
        result = int.from_bytes(sources[0].ljust(size, b"\0"), "big")
        for source in sources[1:]:
            number = int.from_bytes(source.ljust(size, b"\0"), "big")
            result = {"AND": result & number, "OR": result | number, "XOR": result ^ number}[op]
        assert client("BITOP", op, "d", *(f"s{i}" for i in range(len(sources)))) == size
        assert client("GET", "d") == (result.to_bytes(size, "big") if size else None)


def test_bitop_not_and_errors(script):
    script(
        r"""
        SET s "\x0f\xaa" -> "OK"
        BITOP NOT d s -> 2
        GET d -> b"\xf0\x55"
        BITOP NOT s s -> 2
        GET s -> b"\xf0\x55"
        SET d x EX 100 -> "OK"
        BITOP OR d s d -> 2
        GET d -> b"\xf8\x55"
        TTL d -> -1
        OBJECT ENCODING d -> b"raw"
        BITOP AND d none none2 -> 0
        EXISTS d -> 0
        BITOP NOT d s s -> ! ERR BITOP NOT must be called with a single source key.
        BITOP NAND d s -> ! ERR syntax error
        BITOP NOT d -> ! ERR wrong number of arguments for 'bitop' command
        """
    )


def field_model(value: int, signed: bool, width: int, rule: str) -> int | None:
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    if low <= value <= high:
        return value
    if rule == "FAIL":
        return None
    if rule == "SAT":
        return high if value > high else low
    value &= (1 << width) - 1
    return value - (1 << width) if signed and value >> (width - 1) else value


def test_bitfield_model(client: Wire):
    rnd, bits = random.Random(4), 0
    total = 8 * 64
    client("SET", "k", bytes(64))
    for _ in range(800):
        signed = rnd.random() < 0.5
        width = rnd.randint(1, 64 if signed else 63)
        at = rnd.randrange(0, total - width)
        shift = total - at - width
        old = bits >> shift & ((1 << width) - 1)
        old -= (1 << width) if signed and old >> (width - 1) else 0
        kind, rule = rnd.choice(["GET", "SET", "INCRBY"]), rnd.choice(["WRAP", "SAT", "FAIL"])
        name = ("i" if signed else "u") + str(width)
        if kind == "GET":
            assert client("BITFIELD", "k", "GET", name, at) == [old]
            continue
        value = rnd.choice([rnd.randint(-(1 << 63), (1 << 63) - 1), rnd.randint(-300, 300)])
        if kind == "SET" and not signed:
            value = abs(value)
        new = field_model(value if kind == "SET" else old + value, signed, width, rule)
        expected = None if new is None else old if kind == "SET" else new
        assert client("BITFIELD", "k", "OVERFLOW", rule, kind, name, at, value) == [expected], (old, kind, name, value, rule)
        if new is not None:
            bits = bits & ~(((1 << width) - 1) << shift) | (new & ((1 << width) - 1)) << shift
    assert client("GET", "k") == bits.to_bytes(64, "big")


def test_bitfield(script):
    script(
        f"""
        BITFIELD k -> []
        EXISTS k -> 0
        BITFIELD k GET u8 0 GET i64 100 -> [0, 0]
        EXISTS k -> 0
        BITFIELD k SET u8 #1 255 GET u8 #0 GET u8 #1 GET u16 0 -> [0, 0, 255, 255]
        STRLEN k -> 2
        BITFIELD k INCRBY u8 #1 1 OVERFLOW SAT INCRBY u8 #1 -1 INCRBY i8 #1 1000 -> [0, 0, 127]
        BITFIELD k OVERFLOW FAIL INCRBY i8 #1 1 -> [None]
        BITFIELD k GET u5 14 GET i3 15 -> [24, -4]
        BITFIELD k SET u4 100 1 -> [0]
        STRLEN k -> 13
        BITFIELD_RO k GET u8 #1 -> [127]
        BITFIELD_RO none GET u8 0 -> [0]
        BITFIELD_RO k SET u8 0 1 -> ! ERR BITFIELD_RO only supports the GET subcommand
        BITFIELD k GET u64 0 -> ! {BAD_TYPE}
        BITFIELD k GET i65 0 -> ! {BAD_TYPE}
        BITFIELD k GET u0 0 -> ! {BAD_TYPE}
        BITFIELD k GET x8 0 -> ! {BAD_TYPE}
        BITFIELD k GET u8 -1 -> ! {BIT_OFFSET}
        BITFIELD k GET u8 # -> ! {BIT_OFFSET}
        BITFIELD k GET u8 #9223372036854775807 -> ! {BIT_OFFSET}
        BITFIELD k OVERFLOW FOO -> ! ERR Invalid OVERFLOW type specified
        BITFIELD k SET u8 0 -> ! ERR syntax error
        BITFIELD k SET u8 0 x -> ! ERR value is not an integer or out of range
        BITFIELD k FOO u8 0 -> ! ERR syntax error
        BITFIELD k SET u8 0 9 GET foo 0 -> ! {BAD_TYPE}
        BITFIELD_RO k GET u8 #0 -> [0]
        """
    )
