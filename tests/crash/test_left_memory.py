"""Memory that a killed server left: taken over only where it belongs, never removed behind a running server's back, never leaked."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.crash.memory import killed, offsets, segment


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


def _damage_pages(place: Path, seed: int) -> None:
    """Random words all over the header's lists, the slots and the keyspace's tables: what a start must follow."""
    chosen = random.Random(seed)
    with open(place, "r+b") as f:
        header = f.read(1 << 16)
        slots = offsets(header)[1]
        for _ in range(40):
            f.seek(slots + chosen.randrange(0, 64 << 10) // 8 * 8)
            f.write(chosen.randbytes(8))


@pytest.mark.parametrize("seed", range(4))
def test_a_start_does_not_die_of_what_it_takes_over(start_server: StartServer, seed: int) -> None:
    """Slots full of nonsense (undo records, lists of blocks): repaired or refused, but the server starts with what it has."""
    server = start_server("--save", "")
    client = server.client()
    client.set("a", "in the file")
    client.save()
    place = killed(server)
    _damage_pages(place, seed)
    found = subprocess.run([sys.executable, "-m", "shoal.cli", "check", place.name], capture_output=True, text=True, timeout=100)
    assert found.stdout.startswith(f"{place.name}: ") and found.returncode in (0, 1)
    again = start_server("--save", "", folder=server.folder)
    assert "is damaged" in again.log() or "Took over the memory" in again.log()
    if "is damaged" in again.log():
        assert again.client().get("a") == "in the file"


@pytest.mark.parametrize("which", [0, 1, 4, 7, 10])
def test_a_damaged_header_is_refused(start_server: StartServer, which: int) -> None:
    """Each of the places that it names."""
    server = start_server("--save", "")
    client = server.client()
    client.set("a", "in the file")
    client.save()
    place = killed(server)
    with open(place, "r+b") as f:
        header = f.read(1 << 16)
        at = header.index(offsets(header)[which].to_bytes(8, "little"))
        f.seek(at + 3)
        f.write(bytes([header[at + 3] ^ 0x41]))
    again = start_server("--save", "", folder=server.folder)
    assert "its header is damaged" in again.log()
    assert again.client().get("a") == "in the file"
    assert not place.exists()


def _first_page(header: bytes) -> int:
    """Where the map of pages begins: among the header's offsets, the eighth after the times (shm/layout.h)."""
    return offsets(header)[7]
