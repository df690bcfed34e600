"""Fixtures of the integration tests."""

from tests.faults import faults
from tests.peers import start_peer

__all__ = ["faults", "start_peer"]
