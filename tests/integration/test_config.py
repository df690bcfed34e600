"""CONFIG GET, SET, REWRITE, RESETSTAT over the socket, on every worker."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.conftest import ShoalServer, StartServer, free_port, wait_until


def clients_on_all_workers(server: ShoalServer) -> list[redis.Redis]:
    """One client on each worker."""
    found: dict[int, redis.Redis] = {}

    def enough() -> bool:
        client = server.client()
        found.setdefault(int(client.execute_command("DEBUG", "WORKER")[0]), client)
        return len(found) == int(client.config_get("workers")["workers"])

    wait_until(enough)
    return list(found.values())


@pytest.fixture
def server(start_server: StartServer) -> ShoalServer:
    return start_server("--enable-debug-command", "yes")


def test_get_by_names_patterns_and_aliases(client: redis.Redis) -> None:
    assert client.config_get("hash-max-ziplist-entries") == {"hash-max-ziplist-entries": "512"}
    several = client.config_get("port", "*max-intset*", "sav[e]", "nothing")
    assert set(several) == {"port", "set-max-intset-entries", "save"}
    everything = client.config_get("*")
    assert len(everything) > 180
    assert everything["client-output-buffer-limit"] == "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
    assert "key-load-delay" not in everything
    assert client.config_get("key-load-delay") == {"key-load-delay": "0"}


def test_a_change_is_seen_by_every_worker(server: ShoalServer) -> None:
    clients = clients_on_all_workers(server)
    for i, client in enumerate(clients):
        client.config_set("maxmemory-samples", i + 20)
        for other in clients:
            assert other.config_get("maxmemory-samples") == {"maxmemory-samples": str(i + 20)}


def test_several_at_once_all_or_nothing(server: ShoalServer) -> None:
    client = server.client()
    client.execute_command("CONFIG", "SET", "hz", "50", "timeout", "77", "save", "1 2 3 4")
    assert client.config_get("hz", "timeout", "save") == {"hz": "50", "timeout": "77", "save": "1 2 3 4"}
    with pytest.raises(redis.ResponseError):
        client.execute_command("CONFIG", "SET", "hz", "60", "timeout", "x")
    assert client.config_get("hz") == {"hz": "50"}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["foo", "bar"], "Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (["maxmemory", "x"], "CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value"),
        (["port", "1", "port", "2"], "CONFIG SET failed (possibly related to argument 'port') - duplicate parameter"),
        (["databases", "3"], "CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config"),
        (["dir", "/tmp"], "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config"),
        (["hz"], "wrong number of arguments for 'config|set' command"),
        (["hz", "1", "timeout"], "wrong number of arguments for 'config|set' command"),
        (["maxclients", "4000000"], "The operating system is not able to handle the specified number of clients, try with"),
        (["bind", "203.0.113.1"], "CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified addresses."),
        (["tls-port", "5"], "CONFIG SET failed (possibly related to argument 'tls-port') - Unable to update TLS configuration."),
    ],
)
def test_errors_of_set(shoal: ShoalServer, words: list[str], error: str) -> None:
    client = shoal.client()
    before = client.config_get("*")
    with pytest.raises(redis.ResponseError) as found:
        client.execute_command("CONFIG", "SET", *words)
    assert error in str(found.value)
    assert client.config_get("*") == before


def test_protected_settings_may_be_permitted(start_server: StartServer) -> None:
    client = start_server("--enable-protected-configs", "local").client()
    assert client.config_set("dbfilename", "other.rdb")
    with pytest.raises(redis.ResponseError, match="can't be a path"):
        client.config_set("dbfilename", "a/b")


def test_another_folder(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("--enable-protected-configs", "yes")
    (tmp_path / "new").mkdir()
    client = server.client()
    assert client.config_set("dir", str(tmp_path / "new"))
    assert client.config_get("dir") == {"dir": str(tmp_path / "new")}
    assert (tmp_path / "new" / "shoal.segment").exists()
    assert not (server.folder / "shoal.segment").exists()
    other = start_server()
    with pytest.raises(redis.ResponseError, match="Another server"):
        client.config_set("dir", str(other.folder))
    assert client.config_get("dir") == {"dir": str(tmp_path / "new")}
    with pytest.raises(redis.ResponseError, match="No such file or directory"):
        client.config_set("dir", "/nowhere/at/all")


def test_another_port(server: ShoalServer) -> None:
    client = server.client()
    old, new = server.port, free_port()
    assert client.config_set("port", new)
    server.port = new
    for other in clients_on_all_workers(server):
        assert other.ping()
    assert client.ping()
    with pytest.raises(redis.ConnectionError):
        redis.Redis("127.0.0.1", old, retry=None).ping()


def test_a_port_in_use_is_refused_and_the_old_one_stays(shoal: ShoalServer, start_server: StartServer) -> None:
    other = start_server()
    with pytest.raises(redis.ResponseError, match="Unable to listen on this port"):
        shoal.client().config_set("port", other.port)
    assert shoal.client().config_get("port") == {"port": str(shoal.port)}
    assert shoal.client().ping()
    assert other.client().ping()


def test_other_addresses_on_the_same_port(server: ShoalServer) -> None:
    client = server.client()
    assert client.config_set("bind", "0.0.0.0")
    assert redis.Redis("127.0.0.2", server.port).ping()
    assert client.config_set("bind", "127.0.0.1")
    with pytest.raises(redis.ConnectionError):
        redis.Redis("127.0.0.2", server.port, retry=None).ping()
    assert server.client().ping()


def test_rewrite_keeps_what_the_user_wrote(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "my.conf"
    file.write_text("# mine\nmaxmemory 5mb\n\n# limits\ntimeout 3\n")
    server = start_server_with_file(start_server, file)
    client = server.client()
    client.config_set("maxmemory", "6mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert client.config_rewrite()
    text = file.read_text()
    assert text.startswith("# mine\nmaxmemory 6mb\n\n# limits\ntimeout 3\n")
    assert "# Generated by CONFIG REWRITE\n" in text
    assert "\nmaxmemory-policy allkeys-lru\n" in text
    client.config_rewrite()
    assert file.read_text() == text


def start_server_with_file(start_server: StartServer, file: Path) -> ShoalServer:
    return start_server(str(file))


def test_rewrite_without_a_file(client: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="The server is running without a config file"):
        client.config_rewrite()


def test_resetstat(client: redis.Redis) -> None:
    client.set("a", "1")
    client.get("a")
    assert client.info("stats")["keyspace_hits"] > 0
    client.config_resetstat()
    assert client.info("stats")["keyspace_hits"] == 0
    assert client.info("stats")["total_commands_processed"] < 5


def test_requirepass_at_run_time(server: ShoalServer) -> None:
    clients = clients_on_all_workers(server)
    clients[0].config_set("requirepass", "secret")
    assert clients[-1].ping(), "connections that are open stay logged in"
    once = Retry(NoBackoff(), 0)  # else the library tries a refused connection again for seconds
    for _ in range(4):
        with pytest.raises(redis.AuthenticationError, match="authenticate"):
            server.client(retry=once).ping()
    with pytest.raises(redis.AuthenticationError):
        server.client(password="wrong", retry=once).ping()
    assert server.client(password="secret").ping()
    clients[0].config_set("requirepass", "")
    assert server.client().ping()
