"""The side-by-side measurements: what they read, and how they judge."""

import pytest

from loadtest.compare import throughput
from loadtest.compare.report import Results
from loadtest.compare.servers import Spec

CSV = '''"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
"GET","1000.50","0.1","0.0","0.1","0.2","0.44","0.9"
'''


def test_output_of_redis_benchmark():
    assert throughput.parse(CSV) == (1000.5, 0.44)
    with pytest.raises(RuntimeError, match="measured nothing"):
        throughput.parse("Could not connect\n")


def test_a_server_needs_a_name_and_a_port():
    assert Spec.parse("a=x --port {port}") == Spec("a", "x --port {port}")
    with pytest.raises(ValueError, match="NAME"):
        Spec.parse("x --port {port}")


def test_medians_and_ratios():
    results = Results(("requests/s", "p99 ms"), judged="requests/s")
    for ours, theirs in ((300.0, 100.0), (100.0, 100.0), (200.0, 400.0)):
        results.add("get", "ours", (ours, 2.0))
        results.add("get", "theirs", (theirs, 4.0))
    assert results.medians()["get"] == {
        "ours": {"requests/s": 200.0, "p99 ms": 2.0},
        "theirs": {"requests/s": 100.0, "p99 ms": 4.0},
    }
    assert "2.00 x" in results.table().split("\n\n")[0]
    assert "0.50 x" in results.table().split("\n\n")[1]
