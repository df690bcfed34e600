"""The side-by-side measurements, on small numbers."""

import argparse
import sys

import pytest

from loadtest.compare import durability, saves, throughput
from loadtest.compare.servers import Spec

OURS = f"{sys.executable} -m shoal --workers 2 --bind 127.0.0.1 --port {{port}} --dir {{dir}} --save ''"


def _options(module, words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    module.arguments(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("module", "words", "command"),
    [
        (throughput, ["--lines", "get-p16,zrange-p16", "--few", "500", "--many", "500"], OURS),
        (saves, ["--keys", "3000", "--size", "32"], OURS),
        (durability, [], OURS + " --appendonly yes --appendfsync {fsync}"),
    ],
)
def test_measures_a_server(module, words, command, monkeypatch):
    if module is durability:  # the real numbers of requests take a minute
        real = durability._benchmark
        monkeypatch.setattr(
            durability, "_benchmark", lambda s, w: real(s, " ".join("800" if x.isdigit() and int(x) > 99 else x for x in w.split()))
        )
    if module is saves:
        monkeypatch.setattr(saves, "SETTLE_SECONDS", 0.3)
    results = module.run(_options(module, words), [Spec("shoal", command)])
    for by_server in results.medians().values():
        assert set(by_server) == {"shoal"}
        assert by_server["shoal"][results.judged] >= 0
    assert results.table()
