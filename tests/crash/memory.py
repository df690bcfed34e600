"""The memory of a server as a file: where it is, what it looks like after kill -9 of everything, where its parts lie."""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path

from tests.conftest import ShoalServer

MEMORY = Path("/dev/shm")


def segment(server: ShoalServer) -> Path:
    return MEMORY / json.loads((server.folder / "shoal.segment").read_text())["segment"].lstrip("/")


def killed(server: ShoalServer) -> Path:
    """Its memory, after kill -9 of everything."""
    place = segment(server)
    server.close_clients()
    server.process.kill()
    server.process.wait()
    return place


def offsets(header: bytes) -> list[int]:
    """Of the parts: stripes, slots, areas, clients, blobs, replicas and their ring, pages, cow, pre-images, arena."""
    words = [int.from_bytes(header[i : i + 8], "little") for i in range(0, 512, 8)]
    for i in range(len(words) - 11):
        run = words[i : i + 11]
        if run == sorted(run) and run[0] >= 4096 and all(x % 4096 == 0 for x in run) and len(set(run)) == 11:
            return run
    raise AssertionError("the header has no offsets")


def damage_beside(place: Path, text: bytes, at: int, new: bytes) -> int:
    """Overwrites bytes `at` from a text wherever it stands in the arena; how often it does."""
    count = 0
    with open(place, "r+b") as f:
        end = offsets(f.read(1 << 16))[10]
        while (start := _data_from(f.fileno(), end)) is not None:
            end = os.lseek(f.fileno(), start, os.SEEK_HOLE)
            with mmap.mmap(f.fileno(), end - start, offset=start) as m:
                where = m.find(text)
                while where >= 0:
                    m[where + at : where + at + len(new)] = new
                    where, count = m.find(text, where + 1), count + 1
    return count


def _data_from(fd: int, at: int) -> int | None:
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError:
        return None
