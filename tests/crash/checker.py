"""What is in a folder's files? One running server loads many folders, one after the other, by DEBUG LOADAOF and DEBUG RELOAD NOSAVE."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import redis

from tests.conftest import ShoalServer, StartServer
from tests.needs import program

AOF_FOLDER = "appendonlydir"


class FileChecker:
    """A server whose own files are replaced under it."""

    def __init__(self, start_server: StartServer, folder: Path, appendonly: bool = True) -> None:
        options = ["--appendonly", "yes" if appendonly else "no", "--save", "", "--auto-aof-rewrite-percentage", "0"]
        self.server: ShoalServer = start_server(*options, folder=folder, workers=1)
        self.client = self.server.client()
        self.appendonly = appendonly
        if appendonly:
            self.client.config_set("appendfsync", "no")

    @property
    def port(self) -> int:
        return self.server.port

    def load(self, files: dict[str, bytes]) -> None:
        """Of an image: paths below the folder. Fails the test when the server cannot load them."""
        if self.appendonly:
            place = self.server.folder / AOF_FOLDER
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for path, content in files.items():
                if path.startswith(AOF_FOLDER):
                    (self.server.folder / path).write_bytes(content)
            # Without a manifest a start begins with nothing: right as long as nothing had been acknowledged, which is the caller's to check.
            begun = f"{AOF_FOLDER}/appendonly.aof.manifest" in files
            command = ["DEBUG", "LOADAOF"] if begun else ["FLUSHALL"]
        else:
            place = self.server.folder / "dump.rdb"
            place.unlink(missing_ok=True)
            if "dump.rdb" in files:
                place.write_bytes(files["dump.rdb"])
            command = ["DEBUG", "RELOAD", "NOSAVE"]
        try:
            self.client.execute_command(*command)
        except redis.ResponseError as e:
            raise AssertionError(f"cannot be loaded: {e}\n{self.server.log()[-1500:]}") from None

    def load_copy(self, folder: Path) -> None:
        """Of the files of another server, as they are now."""
        self.load(files_of(folder))


def files_of(folder: Path) -> dict[str, bytes]:
    found = {}
    for path in [folder / "dump.rdb", *(folder / AOF_FOLDER).glob("*")]:
        if path.is_file():
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def redis_accepts(folder: Path) -> None:
    """redis-check-aof passes on the files."""
    manifest = folder / AOF_FOLDER / "appendonly.aof.manifest"
    done = subprocess.run([program("redis-check-aof"), str(manifest)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
