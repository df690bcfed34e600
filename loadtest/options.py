"""What a load test may be told, from the environment: one row each, named SHOAL_LOAD_<NAME>."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Options:
    host: str = "127.0.0.1"
    port: int = 6379
    password: str = ""
    timeout_seconds: float = 20.0
    keys: int = 100_000
    """Keys of the cache."""
    batch: int = 100
    """Operations in one batch."""
    value_size: int = 64
    read_percent: int = 90
    min_operations: float = 10_000.0
    """Threshold: operations a second."""
    max_p95_ms: float = 250.0
    """Threshold: response time of 95 % of the batches."""
    max_failures: int = 0
    """Threshold: batches with an error or a wrong reply."""


def from_environment() -> Options:
    """Defaults, overridden by SHOAL_LOAD_PORT and so on."""
    values = {}
    for field in fields(Options):
        text = os.environ.get(f"SHOAL_LOAD_{field.name.upper()}")
        if text is not None:
            values[field.name] = type(field.default)(text)
    return Options(**values)


OPTIONS = from_environment()
