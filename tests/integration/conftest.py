"""Fixtures of the integration tests."""

from tests.integration.test_appendonly import faults
from tests.peers import start_peer

__all__ = ["faults", "start_peer"]
