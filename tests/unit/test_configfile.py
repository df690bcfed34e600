"""shoal.configfile: the grammar of redis.conf, the command line, CONFIG REWRITE's text."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shoal.configfile import (
    SIGNATURE,
    ConfigError,
    ConfigOpenError,
    Invocation,
    Loaded,
    command_line,
    load,
    parse,
    rewrite,
    split_words,
)
from shoal.settings import ROWS, defaults


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("port 6379", ["port", "6379"]),
        ("  a\t b ", ["a", "b"]),
        ("", []),
        ('a ""', ["a", ""]),
        ("a ''", ["a", ""]),
        (r'a "\x41\n\t\"\\"', ["a", 'A\n\t"\\']),
        (r"a 'it\'s \n'", ["a", r"it's \n"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ('a "b', None),
        ("a 'b", None),
        ('a "b"c', None),
    ],
)
def test_words(line: str, words: list[str] | None) -> None:
    assert split_words(line) == words


def values_of(text: str) -> dict[str, object]:
    loaded = Loaded()
    parse(text, loaded)
    return loaded.values


def test_comments_aliases_and_case() -> None:
    values = values_of("# port 1\n\n  PORT 7000\nslave-priority 5\nLUA-TIME-LIMIT 9\n")
    assert values["port"] == 7000
    assert values["replica-priority"] == 5
    assert values["busy-reply-threshold"] == 9


def test_save_points_add_up_after_the_defaults_are_gone() -> None:
    assert values_of("save 900 1\nsave 300 10 60 5")["save"] == [[900, 1], [300, 10], [60, 5]]
    assert values_of('save 900 1\nsave ""')["save"] == []
    assert values_of('save ""\nsave 1 2')["save"] == [[1, 2]]
    assert values_of('save "1 2 3 4"')["save"] == [[1, 2], [3, 4]]


def test_a_repeated_directive_replaces_the_value() -> None:
    assert values_of("port 1\nport 2")["port"] == 2
    assert values_of("bind 10.0.0.1 10.0.0.2\nbind ::1")["bind"] == ["::1"]
    assert values_of('bind ""')["bind"] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("foo bar", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ('requirepass "abc', "Unbalanced quotes in configuration line"),
        ("bind " + "1 " * 17, "Too many bind addresses specified."),
        ("loadmodule /x.so", "Modules are not supported"),
        ("dir /nowhere/at/all", "No such file or directory"),
    ],
)
def test_bad_lines_name_their_line(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as found:
        values_of(f"# first\n\n{line}\n")
    assert found.value.line == 3
    assert found.value.reason == problem
    report = found.value.report()
    assert "*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***" in report
    assert f"Reading the configuration file, at line 3\n>>> '{line.strip()}'\n{problem}\n" in report


def test_includes(tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("port 1\nhz 20\n")
    (tmp_path / "b.conf").write_text("port 2\n")
    values = values_of(f"include {tmp_path}/*.conf\ntimeout 3\n")
    assert (values["port"], values["hz"], values["timeout"]) == (2, 20, 3)
    assert values_of(f"include {tmp_path}/none*.conf")["port"] == 6379
    with pytest.raises(ConfigOpenError, match="can't open config file '/nowhere': No such file or directory"):
        values_of("include /nowhere")


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    file = tmp_path / "self.conf"
    file.write_text(f"include {file}\n")
    with pytest.raises(ConfigOpenError, match="too many include"):
        values_of(f"include {file}")


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        (["--port", "7000"], 'port "7000" '),
        (["--port 7000"], "port 7000 "),
        (["--save", "900", "1", "300", "10"], 'save "900" "1" "300" "10" '),
        (["--save", "", "--hz", "5"], 'save "" \nhz "5" '),
        (["--save", "--hz", "5"], 'save ""\nhz "5" '),
        (["--save"], 'save ""'),
        (["--requirepass", "--secret"], 'requirepass "--secret" '),
        (["--bind", "a", "b", "--port", "1"], 'bind "a" "b" \nport "1" '),
    ],
)
def test_options_of_the_command_line(argv: list[str], options: str) -> None:
    assert command_line(argv) == Invocation("", False, options)


def test_file_and_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.conf").write_text("port 1\ntimeout 5\nhz 50")
    call = command_line(["x.conf", "--hz", "7", "-"])
    assert call == Invocation(str(tmp_path / "x.conf"), True, 'hz "7" ')

    class Stdin:
        buffer = io.BytesIO(b"port 2\nhz 60\n")

    monkeypatch.setattr("sys.stdin", Stdin)
    values = load(call).values
    assert (values["port"], values["timeout"], values["hz"]) == (2, 5, 7)
    assert values["dir"] == str(tmp_path)


def test_rewrite_keeps_comments_and_order() -> None:
    old = "# my server\n\nport 1\n\n\n# the limit\nmaxmemory 5mb\nsave 900 1\nsave 300 10\ninclude /x\nhz 10\n"
    new = {**defaults(), "port": 2, "maxmemory": 7 << 20, "save": [[60, 5]], "timeout": 9}
    lines = rewrite(old, new, ROWS).split("\n")
    assert lines == [
        "# my server",
        "",
        "port 2",
        "",
        "# the limit",
        "maxmemory 7mb",
        "save 60 5",
        "include /x",
        "hz 10",
        "",
        SIGNATURE,
        "timeout 9",
        "",
    ]


def test_rewritten_text_reads_back_the_same_values() -> None:
    values = {
        **defaults(),
        "requirepass": 'a "b" \x00\xff',
        "bind": [],
        "save": [],
        "maxmemory-clients": -5,
        "unixsocketperm": 0o700,
        "shutdown-on-sigterm": ["nosave", "now"],
        "notify-keyspace-events": "AKE",
        "client-output-buffer-limit": {"normal": [1, 2, 3], "slave": [4, 5, 6], "pubsub": [1 << 20, 0, 0]},
    }
    text = rewrite("", values, [row for row in ROWS if row.name != "dir"])
    loaded = Loaded()
    parse(text, loaded)
    assert loaded.values == values
    assert rewrite(text, values, ROWS) == text


def test_debian_default_file_is_accepted() -> None:
    file = Path("/etc/redis/redis.conf")
    if not file.exists():
        pytest.skip("no Debian redis.conf here")
    text = "\n".join(x for x in file.read_text().splitlines() if not x.startswith("dir "))
    assert values_of(text)["daemonize"] is True
