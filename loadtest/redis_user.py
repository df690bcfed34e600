"""A locust user that speaks Redis: redis-py underneath, pipelined batches, every reply checked.

A batch is one request for locust: its response time is that of the whole batch, its length the number of operations. So one locust
process drives tens of thousands of operations a second. A wrong value is a failure of the batch, and of the run.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from locust import User

from loadtest.options import OPTIONS


class WrongReply(Exception):
    """An answer that cannot be right."""


def make_value(key: str, number: int, size: int) -> bytes:
    """A value that says whose it is and proves that it is whole."""
    head = f"{key}|{number}|".encode()
    body = head + b"x" * max(size - len(head) - 8, 0)
    return body + b"%08x" % zlib.crc32(body)


def check_value(key: str, value: bytes) -> None:
    """Raises WrongReply when the value is another key's, or torn."""
    if not value.startswith(f"{key}|".encode()) or b"%08x" % zlib.crc32(value[:-8]) != value[-8:]:
        raise WrongReply(f"{key}: {value[:60]!r}")


@dataclass
class Batch:
    """Commands to send together, and what checks each of their replies."""

    commands: list[tuple[Any, ...]] = field(default_factory=list)
    checks: list[Callable[[Any], None]] = field(default_factory=list)

    def add(self, check: Callable[[Any], None], *command: Any) -> None:
        self.commands.append(command)
        self.checks.append(check)


def check_ok(reply: Any) -> None:
    if reply is not True and reply != b"OK":
        raise WrongReply(repr(reply))


class RedisUser(User):
    """Base of the scenarios: a connection of its own, and `run_batch`."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client = redis.Redis(
            OPTIONS.host, OPTIONS.port, password=OPTIONS.password or None, protocol=3, socket_timeout=OPTIONS.timeout_seconds
        )

    def on_stop(self) -> None:
        self.client.close()

    def run_batch(self, name: str, batch: Batch) -> None:
        """Send, check, report."""
        started = time.perf_counter()
        problem: Exception | None = None
        try:
            with self.client.pipeline(transaction=False) as pipe:
                for command in batch.commands:
                    pipe.execute_command(*command)
                self._check(batch, pipe.execute(raise_on_error=True))
        except (redis.RedisError, WrongReply, OSError) as e:
            problem = e
        self.environment.events.request.fire(
            request_type="batch",
            name=name,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(batch.commands),
            exception=problem,
            context={},
        )

    @staticmethod
    def _check(batch: Batch, replies: Sequence[Any]) -> None:
        if len(replies) != len(batch.checks):
            raise WrongReply(f"{len(replies)} replies to {len(batch.checks)} commands")
        for check, reply in zip(batch.checks, replies, strict=True):
            check(reply)
