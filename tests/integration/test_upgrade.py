"""SIGUSR2: the software is replaced under the dataset, on the same pid."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, wait_until

READY = "Ready to accept connections tcp"


def upgraded(server: ShoalServer, times: int = 1) -> redis.Redis:
    """After the signal: a client of the new software."""
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: server.log().count("Took over the memory") == times and server.log().count(READY) == times + 1, 30)
    return server.client()


def refused(server: ShoalServer, why: str) -> None:
    client = server.client()
    client.set("still", "here")
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: "The upgrade is refused, the server goes on as it is" in server.log(), 30)
    line = next(x for x in server.log().splitlines() if "The upgrade is refused" in x)
    assert why in line
    assert client.get("still") == "here", "the very same connection is served on"


def next_software(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that every later interpreter of a server reads at its start: what it changes is the newly installed software."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "sitecustomize.py"


@pytest.mark.parametrize("options", [(), ("--appendonly", "yes", "--appendfsync", "always"), ("--keep-memory", "yes")])
def test_nothing_is_lost_on_the_same_pid(start_server: StartServer, options: tuple[str, ...]) -> None:
    server = start_server("--save", "", *options)
    client = server.client()
    run_id = client.info("server")["run_id"]
    client.mset({f"key:{i}": i for i in range(2000)})
    client.zadd("scores", {"a": 1, "b": 2})
    client.set("short", "x", px=100000)
    for times in (1, 2):
        client = upgraded(server, times)
        assert client.dbsize() == 2002 and client.get("key:1999") == "1999" and client.zscore("scores", "b") == 2
        assert 0 < client.pttl("short") <= 100000
        info = client.info("server")
        assert info["process_id"] == server.pid and info["run_id"] != run_id
    client.set("after", "1")
    assert server.stop() == 0
    if "--appendonly" in options:
        assert start_server("--save", "", *options, folder=server.folder).client().dbsize() == 2003


def test_clients_wait_in_the_backlog(start_server: StartServer) -> None:
    """Somebody who connects all the time is never refused."""
    server = start_server("--save", "")
    stop = threading.Event()
    refusals: list[str] = []
    served = 0

    def connect() -> None:
        nonlocal served
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
                    s.sendall(b"PING\r\n")
                    served += s.recv(100) == b"+PONG\r\n"
            except ConnectionResetError:
                pass  # it was connected when the old processes ended
            except OSError as e:
                refusals.append(str(e))

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        upgraded(server)
    finally:
        stop.set()
        thread.join()
    assert not refusals and served


def test_several_sockets_and_changed_settings(start_server: StartServer, tmp_path: Path) -> None:
    """What CONFIG SET has changed goes on; where the file was edited since, the file has the last word."""
    path = tmp_path / "s"
    config = tmp_path / "shoal.conf"
    config.write_text("maxmemory-policy allkeys-lru\nslowlog-max-len 50\nmaxmemory-samples 3\n")
    server = start_server(str(config), "--save", "", "--unixsocket", str(path), "--unixsocketperm", "700")
    client = server.client()
    client.config_set("slowlog-max-len", 60)
    client.config_set("maxmemory-samples", 7)
    client.config_set("save", "3600 5")
    client.config_set("bind", "127.0.0.1 127.0.0.2")
    config.write_text("maxmemory-policy allkeys-lfu\nslowlog-max-len 50\nmaxmemory-samples 4\n")
    with socket.socket(socket.AF_UNIX) as waiting:
        client = upgraded(server)
        names = ["maxmemory-policy", "slowlog-max-len", "maxmemory-samples", "save", "bind"]
        assert [client.config_get(n)[n] for n in names] == ["allkeys-lfu", "60", "4", "3600 5", "127.0.0.1 127.0.0.2"]
        waiting.connect(str(path))
        waiting.sendall(b"PING\r\n")
        assert waiting.recv(100) == b"+PONG\r\n"
    assert redis.Redis("127.0.0.2", server.port).ping()
    assert path.stat().st_mode & 0o777 == 0o700
    client = upgraded(server, 2)
    assert client.config_get("slowlog-max-len")["slowlog-max-len"] == "60", "a second upgrade keeps it, too"
    assert server.stop() == 0
    assert not path.exists()


def test_a_configuration_from_standard_input_is_read_again(start_server: StartServer) -> None:
    server = start_server("--save", "", stdin="slowlog-max-len 77\n")
    for times in (1, 2):
        assert upgraded(server, times).config_get("slowlog-max-len")["slowlog-max-len"] == "77"


def test_a_daemon_keeps_its_pid_file(start_server: StartServer, tmp_path: Path) -> None:
    log, pid_file = tmp_path / "daemon.log", tmp_path / "pid"
    options = ["--daemonize", "yes", "--logfile", str(log), "--pidfile", str(pid_file)]
    server = start_server("--save", "", *options, wait=False)
    assert server.process.wait(20) == 0
    wait_until(lambda: log.exists() and READY in log.read_text(), 30)
    pid = int(pid_file.read_text())
    try:
        server.client().set("a", "1")
        os.kill(pid, signal.SIGUSR2)
        wait_until(lambda: log.read_text().count(READY) == 2, 30)
        assert server.client().get("a") == "1"
        assert int(pid_file.read_text()) == pid
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not pid_file.exists(), 20)


def test_systemd_is_told(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server("--save", "", "--supervised", "systemd")
        assert b"READY=1" in manager.recv(1000)
        upgraded(server)
        assert manager.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert b"READY=1" in manager.recv(1000)


def test_software_that_cannot_start_is_refused(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = next_software(monkeypatch, tmp_path)
    server = start_server("--save", "")
    code.write_text("import sys\nsys.modules['shoal.commands.client'] = None\n")
    refused(server, "ModuleNotFoundError")
    code.unlink()
    assert upgraded(server).get("still") == "here"


def test_a_bad_configuration_is_refused(start_server: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "shoal.conf"
    config.write_text("slowlog-max-len 50\n")
    server = start_server(str(config), "--save", "")
    config.write_text("slowlog-max-len 50\nno-such-thing 1\n")
    refused(server, "Bad directive or wrong number of arguments")


def test_sockets_that_cannot_be_opened_and_another_folder_are_refused(start_server: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "shoal.conf"
    config.write_text("")
    server = start_server(str(config), "--save", "")
    config.write_text(f"unixsocket {tmp_path}/no/such/folder\n")
    refused(server, "Failed opening Unix socket")
    config.write_text("")
    assert upgraded(server).get("still") == "here"


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_another_layout_goes_through_the_files(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, appendonly: str
) -> None:
    """With the log it is loaded; without it a snapshot is saved first, whatever `save` says."""
    code = next_software(monkeypatch, tmp_path)
    server = start_server("--save", "", "--appendonly", appendonly)
    client = server.client()
    client.mset({f"key:{i}": i for i in range(1000)})
    code.write_text(
        "import shoal.engine\n"
        "def segment_map(fd):\n"
        "    raise shoal.engine.EngineError('it has another layout (made by another version)')\n"
        "shoal.engine.segment_map = segment_map\n"
    )
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: server.log().count(READY) == 2, 30)
    assert "it has another layout" in server.log()
    assert "the append only file is loaded" in server.log() if appendonly == "yes" else "a final snapshot is saved" in server.log()
    client = server.client()
    assert client.dbsize() == 1000 and client.info("server")["process_id"] == server.pid


def test_what_cannot_be_saved_is_not_given_up(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = next_software(monkeypatch, tmp_path)
    server = start_server("--save", "")
    client = server.client()
    client.set("a", "1")
    (server.folder / "dump.rdb").mkdir()
    code.write_text(
        "import shoal.engine\n"
        "def segment_map(fd):\n"
        "    raise shoal.engine.EngineError('it has another layout')\n"
        "shoal.engine.segment_map = segment_map\n"
    )
    refused(server, "the final snapshot could not be saved")
    assert client.set("b", "2")


def test_when_the_last_step_fails_everything_goes_on(start_server: StartServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The new software can be asked, but not be executed any more: the processes are started again."""
    code = next_software(monkeypatch, tmp_path)
    code.write_text(
        "import os\n"
        "execve = os.execve\n"
        "def refuse(path, args, env):\n"
        "    if not env['SHOAL_UPGRADE'].startswith('0:'):\n"
        "        raise OSError(2, 'No such file or directory')\n"
        "    execve(path, args, env)\n"
        "os.execve = refuse\n"
    )
    server = start_server("--save", "")
    server.client().set("a", "1")
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: "The upgrade is refused" in server.log(), 30)
    client = server.client()
    assert client.get("a") == "1" and client.set("b", "2")
    assert wait_until(lambda: client.info("server")["workers_ready"] == 2)
    assert server.stop() == 0


def test_signals_twice_and_while_saving(start_server: StartServer) -> None:
    server = start_server("--save", "")
    client = server.client()
    client.execute_command("DEBUG", "POPULATE", 300000, "key", 100)
    client.bgsave()
    server.process.send_signal(signal.SIGUSR2)
    time.sleep(0.01)
    server.process.send_signal(signal.SIGUSR2)
    wait_until(lambda: server.log().count(READY) >= 2, 60)
    assert "DB saved on disk" in server.log() and "an upgrade is under way" in server.log()
    wait_until(lambda: server.client().dbsize() == 300000)


def test_sigterm_ends_the_upgrade_and_the_server(start_server: StartServer) -> None:
    """At any moment: before the old processes stop, it is theirs; later it is the new software's. The save points are obeyed."""
    for delay in (0.0, 0.1, 0.3, 0.5):
        server = start_server("--save", "3600 1")
        server.client().set("a", delay)
        server.process.send_signal(signal.SIGUSR2)
        time.sleep(delay)
        assert server.stop() == 0, server.log()
        again = start_server("--save", "", folder=server.folder)
        assert float(again.client().get("a") or -1) == delay
        assert "Took over the memory" not in again.log()
