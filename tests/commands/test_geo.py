"""Geo commands over the socket: known positions, searches against distances computed here, stores, errors in Redis 7.2's words."""

from __future__ import annotations

import math
import random

from wire import Error, Wire

RADIUS = 6372797.560856
UNIT = "ERR unsupported unit provided. please use M, KM, FT, MI"


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    lon1, lat1, lon2, lat2 = map(math.radians, (*a, *b))
    u, v = math.sin((lat2 - lat1) / 2), math.sin((lon2 - lon1) / 2)
    return 2 * RADIUS * math.asin(math.sqrt(u * u + math.cos(lat1) * math.cos(lat2) * v * v))


def test_known_places(client: Wire):
    assert client("GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania") == 2
    assert client("ZSCORE", "g", "Palermo") == {2: b"3479099956230698", 3: 3479099956230698.0}[client.resp]
    assert client("GEOHASH", "g", "Palermo", "Catania", "none") == [b"sqc8b49rny0", b"sqdtr74hyu0", None]
    assert client("GEODIST", "g", "Palermo", "Catania") == b"166274.1516"
    assert client("GEODIST", "g", "Palermo", "Catania", "km") == b"166.2742"
    assert client("GEODIST", "g", "Palermo", "Catania", "MI") == b"103.3182"
    assert client("GEODIST", "g", "Palermo", "none") is None
    lon, lat = client("GEOPOS", "g", "Palermo")[0]
    assert abs(float(lon) - 13.361389) < 1e-5 and abs(float(lat) - 38.115556) < 1e-5
    assert client("GEOPOS", "g", "none") == client("GEOPOS", "none", "x") == [None]
    assert client("GEOSEARCH", "g", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", "ASC") == [b"Catania", b"Palermo"]
    assert client("GEORADIUS", "g", 15, 37, 200, "km", "WITHDIST", "DESC") == [[b"Palermo", b"190.4424"], [b"Catania", b"56.4413"]]
    assert client("GEORADIUSBYMEMBER_RO", "g", "Palermo", 100, "km") == [b"Palermo"]
    assert client("GEOSEARCH", "g", "FROMMEMBER", "Palermo", "BYBOX", 400, 400, "km", "COUNT", 1, "WITHHASH") == [[b"Palermo", 3479099956230698]]


def test_adding(client: Wire):
    assert client("GEOADD", "g", "XX", 1, 1, "a") == 0
    assert client("GEOADD", "g", "NX", 1, 1, "a") == 1
    assert client("GEOADD", "g", "NX", 2, 2, "a") == 0
    assert client("GEOADD", "g", "XX", "CH", 2, 2, "a", 3, 3, "b") == 1
    assert client("GEOADD", "g", 181, 1, "a") == Error("ERR invalid longitude,latitude pair 181.000000,1.000000")
    assert client("GEOADD", "g", 1, 86, "a") == Error("ERR invalid longitude,latitude pair 1.000000,86.000000")
    assert client("GEOADD", "g", "x", 1, "a") == Error("ERR value is not a valid float")
    assert client("GEOADD", "g", 1, 1) == Error("ERR wrong number of arguments for 'geoadd' command")
    assert client("GEOADD", "g", "NX", "XX", 1, 1, "a") == Error("ERR syntax error")
    assert client("GEOADD", "g", 1, 1, "a", 2) == Error("ERR syntax error")


def test_searches_against_distances(client: Wire):
    rnd = random.Random(4)
    for size in (50, 800):
        client("FLUSHALL")
        for i in range(size):
            client("GEOADD", "g", rnd.uniform(-180, 180), rnd.uniform(-85, 85), f"p{i}")
        names = [b"p%d" % i for i in range(size)]
        where = {n: tuple(map(float, p)) for n, p in zip(names, client("GEOPOS", "g", *names), strict=True)}
        for _ in range(40):
            centre, radius = (rnd.uniform(-180, 180), rnd.uniform(-80, 80)), rnd.choice([10, 500, 3000, 9000])
            want = sorted((distance(centre, p), n) for n, p in where.items() if distance(centre, p) <= radius * 1000)
            got = client("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "km", "ASC", "WITHDIST")
            assert [n for n, _ in got] == [n for _, n in want]
            assert all(abs(float(d) * 1000 - w) < 1 for (_, d), (w, _) in zip(got, want, strict=True))
            nearest = client("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "km", "COUNT", 3)
            assert nearest == [n for _, n in want[:3]]
            some = client("GEOSEARCH", "g", "FROMLONLAT", *centre, "BYRADIUS", radius, "km", "COUNT", 3, "ANY")
            assert len(some) == min(3, len(want)) and set(some) <= {n for _, n in want}


def test_storing(client: Wire):
    client("GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    assert client("GEOSEARCHSTORE", "d", "g", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", "STOREDIST") == 2
    assert [round(float(client("ZSCORE", "d", name)), 4) for name in ("Catania", "Palermo")] == [56.4413, 190.4424]
    assert client("GEORADIUS", "g", 15, 37, 100, "km", "STORE", "d") == 1
    assert client("ZRANGE", "d", 0, -1) == [b"Catania"]
    assert client("GEORADIUSBYMEMBER", "g", "Palermo", 1, "km", "STOREDIST", "d") == 1
    assert client("GEOSEARCHSTORE", "d", "none", "FROMMEMBER", "x", "BYRADIUS", 1, "km") == 0
    assert client("EXISTS", "d") == 0


def test_errors(script):
    script(
        rf"""
        GEOADD g 1 1 a -> 1
        SET str x -> "OK"
        GEOPOS str a -> ! WRONGTYPE Operation against a key holding the wrong kind of value
        GEOSEARCH str FROMMEMBER a BYRADIUS 1 m -> ! WRONGTYPE Operation against a key holding the wrong kind of value
        GEODIST g a a parsec -> ! {UNIT}
        GEORADIUS g 1 1 1 parsec -> ! {UNIT}
        GEORADIUS g 1 1 x m -> ! ERR need numeric radius
        GEORADIUS g 1 1 -1 m -> ! ERR radius cannot be negative
        GEORADIUSBYMEMBER g none 1 m -> ! ERR could not decode requested zset member
        GEORADIUS_RO g 1 1 1 m STORE d -> ! ERR syntax error
        GEORADIUS g 1 1 1 m STORE d WITHDIST -> ! ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        GEOSEARCHSTORE d g FROMMEMBER a BYRADIUS 1 m WITHDIST -> ! ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options
        GEOSEARCH g BYRADIUS 1 m COUNT 1 ANY -> ! ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH
        GEOSEARCH g FROMMEMBER a COUNT 1 ANY -> ! ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH
        GEOSEARCH g FROMMEMBER a BYBOX 1 -1 m -> ! ERR height or width cannot be negative
        GEOSEARCH g FROMMEMBER a BYBOX x 1 m -> ! ERR need numeric width
        GEOSEARCH g FROMMEMBER a BYRADIUS 1 m ANY -> ! ERR the ANY argument requires COUNT argument
        GEOSEARCH g FROMMEMBER a BYRADIUS 1 m COUNT 0 -> ! ERR COUNT must be > 0
        GEOSEARCH g FROMMEMBER a FROMLONLAT 1 1 BYRADIUS 1 m -> ! ERR syntax error
        GEOSEARCH none FROMMEMBER a BYRADIUS 1 m -> []
        """
    )
