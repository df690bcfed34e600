"""`shoal status --watch` in a terminal of 80 columns: bars of what is running, deaths, and a server that goes and comes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from shoal.admin.status import bar, duration
from tests.conftest import StartServer, free_port, wait_until
from tests.integration.test_persistence import children, slow_save

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Terminal:
    """What a command shows in one."""

    def __init__(self, command: list[str]) -> None:
        self.fd, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True)
        os.close(child)
        os.set_blocking(self.fd, False)
        self.text = ""

    def page(self) -> list[str]:
        """The newest whole page."""
        try:
            while piece := os.read(self.fd, 65536):
                self.text += piece.decode()
        except (BlockingIOError, OSError):
            pass
        pages = self.text.split("\x1b[H")
        return [_CONTROL.sub("", line) for line in pages[-2].splitlines()] if len(pages) > 2 else []

    def wait_for(self, what: Callable[[str], object]) -> list[str]:
        wait_until(lambda: any(what(line) for line in self.page()), 20, "the page")
        page = self.page()
        assert all(len(line) <= 80 for line in page) and len(page) < 24
        return page

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(10) == 130
        os.close(self.fd)


def watch(port: int) -> Terminal:
    return Terminal([sys.executable, "-m", "shoal.cli", "-p", str(port), "status", "--watch", "0.1"])


def test_bars_and_deaths(start_server: StartServer) -> None:
    server = start_server("--save", "", "--appendonly", "yes")
    client = server.client()
    terminal = watch(server.port)
    terminal.wait_for(lambda line: re.match(r"workers +\d+ of \d+ serving, 0 deaths$", line))
    slow_save(client)
    terminal.wait_for(lambda line: re.match(r"save +\[#*\.+\] +\d+ %  \d+ of 600 keys$", line))
    assert any(line.startswith("log  ") for line in terminal.page())
    client.flushall()
    wait_until(lambda: not client.info("persistence")["rdb_bgsave_in_progress"])
    client.mset({f"key{i}": "x" for i in range(100)})
    client.bgrewriteaof()
    terminal.wait_for(lambda line: re.match(r"rewrite +\[#*\.+\] +\d+ %  \d+ of 100 keys$", line))
    client.config_set("rdb-key-save-delay", 0)
    client.close()
    os.kill(next(pid for name, pid in children(server).items() if name.startswith("worker")), signal.SIGKILL)
    os.kill(children(server)["persistence"], signal.SIGKILL)
    terminal.wait_for(lambda line: re.match(r"workers .*, 1 deaths \(others: persistence 1\)$", line))
    server.close_clients()
    server.stop()
    terminal.wait_for(lambda line: "Could not connect" in line)
    terminal.close()


def test_the_bar_of_a_load(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--save", "")
    client = server.client()
    client.mset({f"key{i}": "x" * 2000 for i in range(1500)})
    client.config_set("rdbcompression", "no")
    client.save()
    server.close_clients()
    server.stop()
    port = free_port()
    terminal = watch(port)
    start_server("--save", "", "--key-load-delay", "1000", folder=server.folder, port=port, wait=False)
    terminal.wait_for(lambda line: re.match(r"load +\[#*\.*\] +\d+ %  [\d.]+[BKM] of 2\.\dM$", line))
    terminal.close()


def test_without_a_terminal_pages_follow_each_other(start_server: StartServer) -> None:
    server = start_server()
    command = [sys.executable, "-m", "shoal.cli", "-p", str(server.port), "status", "--watch", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(40)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert len([line for line in lines if line.startswith("Shoal ")]) >= 2 and not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(("done", "total", "text"), [(0, 0, "  0 %"), (1, 2, " 50 %"), (2, 2, "100 %"), (3, 2, "100 %")])
def test_the_bar(done: int, total: int, text: str) -> None:
    assert bar(done, total).endswith(text) and len(bar(done, total)) == 48
    assert duration(90061) == "1d 01:01:01"
