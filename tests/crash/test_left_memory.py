"""Memory that a killed server left: taken over only where it belongs, never removed behind a running server's back, never leaked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import ShoalServer, StartServer

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


def test_a_copied_folder_does_not_take_the_originals_memory(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    server.client().set("a", "newer than any file")
    place = killed(server)
    copy = start_server("--save", "", folder=Path(shutil.copytree(server.folder, tmp_path / "copy")))
    assert "belongs to another data directory" in copy.log() and copy.client().dbsize() == 0
    assert copy.stop() == 0
    assert place.exists(), "removed although it is another folder's"
    again = start_server("--save", "", folder=server.folder)
    assert "Took over the memory" in again.log() and again.client().get("a") == "newer than any file"
    assert again.stop() == 0
    assert not place.exists()


def test_a_renamed_folder_keeps_its_memory(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    server.client().set("a", "1")
    killed(server)
    again = start_server("--save", "", folder=server.folder.rename(tmp_path / "renamed"))
    assert again.client().get("a") == "1"


def test_a_running_servers_memory_is_left_alone(start_server: StartServer, tmp_path: Path) -> None:
    """A record that names it (restored from an old backup of the folder, say) changes nothing."""
    server = start_server("--save", "")
    folder = tmp_path / "other"
    folder.mkdir()
    content = json.loads((server.folder / "shoal.segment").read_text())
    del content["inode"]
    (folder / "shoal.segment").write_text(json.dumps(content))
    other = start_server("--save", "", folder=folder)
    assert "is used by a running server" in other.log()
    assert other.stop() == 0 and segment(server).exists()
    assert server.client().ping()


@pytest.mark.parametrize("field", ["fingerprint", "boot", "walk"])
def test_memory_that_does_not_fit_is_dropped_and_the_files_are_loaded(start_server: StartServer, field: str) -> None:
    """Bytes of the header that say: another layout, another boot; a map of pages that makes no sense."""
    server = start_server("--save", "")
    client = server.client()
    client.set("a", "in the file")
    client.save()
    client.set("a", "newer")
    place = killed(server)
    with open(place, "r+b") as f:
        at = {"fingerprint": 8, "boot": 16, "walk": None}[field]
        if at is None:
            at = _first_page(f.read(1 << 16))
        f.seek(at)
        old = f.read(1)
        f.seek(at)
        f.write(bytes([old[0] ^ 0x55]))
    again = start_server("--save", "", folder=server.folder)
    word = {"fingerprint": "another layout", "boot": "made before the machine was last started", "walk": "is damaged"}[field]
    assert word in again.log(), again.log()
    assert again.client().get("a") == "in the file"
    assert not place.exists() and segment(again).exists()


def _first_page(header: bytes) -> int:
    """Where the map of pages begins: among the header's offsets, the eighth of eleven, after the times (shm/layout.h)."""
    words = [int.from_bytes(header[i : i + 8], "little") for i in range(0, 512, 8)]
    for i in range(len(words) - 11):
        run = words[i : i + 11]
        if run == sorted(run) and run[0] >= 4096 and all(x % 4096 == 0 for x in run) and len(set(run)) == 11:
            return run[7]
    raise AssertionError("the header has no offsets")
