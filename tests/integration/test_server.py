"""shoal-server as a process: starting, refusing to start, listening, stopping."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.conftest import ShoalServer, StartServer, free_port, shoal_command, wait_until


def run_server(*options: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shoal_command(*options), capture_output=True, text=True, input=stdin, timeout=60)


def test_lines_that_tools_look_for(shoal: ShoalServer) -> None:
    log = shoal.log()
    assert f" PID: {shoal.pid}" in log
    assert "Redis version=7.2.4, bits=64" in log
    assert log.index("Server initialized") < log.index("Ready to accept connections tcp")
    assert re.search(rf"^{shoal.pid}:M \d\d \w{{3}} \d{{4}} \d\d:\d\d:\d\d\.\d{{3}} [.*#-] ", log, re.M)


def test_version_and_help() -> None:
    assert "v=7.2.4" in run_server("--version").stdout
    assert run_server("-v").returncode == 0
    assert "shoal-server" in run_server("--help").stdout
    refused = run_server("--test-memory", "64")
    assert refused.returncode == 1
    assert "does not test memory" in refused.stderr


def test_bad_configuration_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text("port 7000\n\nfoo bar\n")
    done = run_server(str(tmp_path / "x.conf"))
    assert done.returncode == 1
    assert "at line 3\n>>> 'foo bar'\nBad directive or wrong number of arguments" in done.stderr
    missing = run_server(str(tmp_path / "none.conf"))
    assert missing.returncode == 1
    assert "Fatal error, can't open config file" in missing.stdout


def test_configuration_from_file_standard_input_and_options(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--hz", "33", stdin="maxmemory 5mb\nhz 44\n")
    client = server.client()
    assert client.config_get("maxmemory") == {"maxmemory": str(5 << 20)}
    assert client.config_get("hz") == {"hz": "33"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(start_server: StartServer, number: signal.Signals) -> None:
    server = start_server()
    server.client().set("a", "1")
    assert server.stop(number) == 0
    assert "bye bye" in server.log()
    assert not (server.folder / "shoal.segment").exists()


@pytest.mark.parametrize("words", [[], ["NOSAVE"], ["NOW"], ["FORCE"], ["NOSAVE", "NOW", "FORCE"]])
def test_shutdown_command(start_server: StartServer, words: list[str]) -> None:
    server = start_server()
    with pytest.raises(redis.ConnectionError):
        server.client(retry=None).execute_command("SHUTDOWN", *words)
    assert server.process.wait(10) == 0


def test_shutdown_errors(shoal: ShoalServer) -> None:
    client = shoal.client()
    for words in (["SAVE", "NOSAVE"], ["FOO"], ["ABORT", "NOW"]):
        with pytest.raises(redis.ResponseError, match="syntax error"):
            client.execute_command("SHUTDOWN", *words)
    with pytest.raises(redis.ResponseError, match="No shutdown in progress"):
        client.execute_command("SHUTDOWN", "ABORT")
    assert client.ping()


def test_a_second_server_on_the_port_is_refused(shoal: ShoalServer, start_server: StartServer) -> None:
    second = start_server(port=shoal.port, wait=False)
    assert second.process.wait(20) == 1
    assert f"Failed listening on port {shoal.port} (tcp), aborting." in second.log()
    assert shoal.client().ping()


def test_a_second_server_on_the_folder_is_refused(shoal: ShoalServer, tmp_path: Path) -> None:
    done = run_server("--port", str(free_port()), "--dir", str(shoal.folder))
    assert done.returncode == 1
    assert f"Another server (pid {shoal.pid}) is using the data directory '{shoal.folder}'" in done.stdout
    assert shoal.client().ping()


def test_maxmemory_larger_than_shared_memory_is_refused_with_the_remedy(tmp_path: Path) -> None:
    s = os.statvfs("/dev/shm")
    too_much = s.f_blocks * s.f_frsize + (1 << 30)
    done = run_server("--port", str(free_port()), "--dir", str(tmp_path), "--maxmemory", str(too_much))
    assert done.returncode == 1
    assert "mount -o remount,size=" in done.stdout


def test_unix_socket(start_server: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = start_server("--unixsocket", str(path), "--unixsocketperm", "700")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert "Ready to accept connections unix" in server.log()
    client = redis.Redis(unix_socket_path=str(path))
    assert client.ping()
    client.close()
    server.stop()
    assert not path.exists()


def test_only_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "only.sock"
    process = subprocess.Popen(shoal_command("--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)), stdout=subprocess.DEVNULL)
    try:

        def answers() -> bool:
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(str(path))
                except OSError:
                    return False
                s.sendall(b"PING\r\n")
                return s.recv(7) == b"+PONG\r\n"

        wait_until(answers, 20)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_daemonize_and_pidfile(tmp_path: Path) -> None:
    port, pidfile = free_port(), tmp_path / "pid"
    done = run_server(
        "--port", str(port), "--dir", str(tmp_path), "--daemonize", "yes", "--pidfile", str(pidfile), "--logfile", str(tmp_path / "log")
    )  # fmt: skip
    assert done.returncode == 0
    wait_until(lambda: "Ready to accept" in (tmp_path / "log").read_text() if (tmp_path / "log").exists() else False, 20)
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pidfile.exists(), 10)
    wait_until(lambda: not (tmp_path / "shoal.segment").exists(), 10)


def test_supervised_by_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        options = shoal_command("--port", str(free_port()), "--dir", str(tmp_path), "--supervised", "systemd")
        process = subprocess.Popen(options, stdout=subprocess.DEVNULL)
        try:
            assert b"READY=1" in notify.recv(4096)
            process.terminate()
            assert b"STOPPING=1" in notify.recv(4096)
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_children_end_with_a_killed_supervisor_and_memory_stays(start_server: StartServer) -> None:
    first = start_server()
    client = first.client()
    client.mset({f"key:{i}": str(i) for i in range(1000)})
    first.close_clients()
    first.stop(signal.SIGKILL)
    second = start_server(folder=first.folder, port=first.port)
    assert "Took over the memory of the last instance: 1000 keys" in second.log()
    assert second.client().mget([f"key:{i}" for i in range(1000)]) == [str(i) for i in range(1000)]


def test_admin_tool(shoal: ShoalServer) -> None:
    tool = [sys.executable, "-m", "shoal.cli", "-p", str(shoal.port)]
    done = subprocess.run([*tool, "status"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert f"pid {shoal.pid}" in done.stdout
    assert "0 deaths" in done.stdout
    refused = subprocess.run([sys.executable, "-m", "shoal.cli", "-p", str(free_port()), "status"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "Could not connect" in refused.stderr


def test_renamed_commands(start_server: StartServer) -> None:
    server = start_server("--rename-command", "flushdb", "Badger9", "--rename-command", "KEYS", "")
    client = server.client()
    client.set("a", "1")
    for words in (["FLUSHDB"], ["keys", "*"]):
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.execute_command(*words)
    assert client.execute_command("bADGER9") in (True, "OK")
    assert client.dbsize() == 0
    for name, problem in (("nosuch", "No such command in rename-command"), ("get", "Target command name already exists")):
        done = run_server("--rename-command", name, "set")
        assert done.returncode == 1
        assert problem in done.stderr
