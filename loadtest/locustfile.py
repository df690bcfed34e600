"""The scenarios, and the thresholds that decide a headless run's exit status. Run by loadtest/run.py."""

from __future__ import annotations

import random
import sys
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from locust import constant, events, task

from loadtest.options import OPTIONS
from loadtest.redis_user import Batch, RedisUser, check_ok, check_value, make_value


class CacheUser(RedisUser):
    """A cache: most operations read, some write, all over the same keys; what is missing is fine, what is wrong is not."""

    wait_time = constant(0)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.random = random.Random()
        self.number = 0

    @task
    def cache(self) -> None:
        batch = Batch()
        for _ in range(OPTIONS.batch):
            key = f"cache:{self.random.randrange(OPTIONS.keys):08d}"
            if self.random.randrange(100) < OPTIONS.read_percent:
                batch.add(partial(self.check_read, key), "GET", key)
            else:
                self.number += 1
                batch.add(check_ok, "SET", key, make_value(key, self.number, OPTIONS.value_size))
        self.run_batch(f"cache {OPTIONS.read_percent}/{100 - OPTIONS.read_percent} x{OPTIONS.batch}", batch)

    @staticmethod
    def check_read(key: str, reply: bytes | None) -> None:
        if reply is not None:
            check_value(key, reply)


@events.quitting.add_listener
def judge(environment: Any, **_: Any) -> None:
    """The exit status: 0 when every threshold holds."""
    total = environment.stats.total
    seconds = max((total.last_request_timestamp or 0) - (total.start_time or 0), 0.001)
    operations = total.total_content_length / seconds
    p95 = total.get_response_time_percentile(0.95) or 0
    print(f"{total.total_content_length} operations in {seconds:.1f} s: {operations:.0f} a second, 95 % of batches in {p95:.0f} ms")
    problems = []
    if total.num_requests == 0:
        problems.append("nothing was measured")
    if total.num_failures > OPTIONS.max_failures:
        problems.append(f"{total.num_failures} batches failed, {OPTIONS.max_failures} may")
    if operations < OPTIONS.min_operations:
        problems.append(f"{operations:.0f} operations a second, {OPTIONS.min_operations:.0f} are wanted")
    if p95 > OPTIONS.max_p95_ms:
        problems.append(f"95 % of batches in {p95:.0f} ms, {OPTIONS.max_p95_ms:.0f} are wanted")
    for problem in problems:
        print(f"THRESHOLD: {problem}", file=sys.stderr)
    environment.process_exit_code = 1 if problems else 0
