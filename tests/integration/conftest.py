"""Fixtures of the integration tests."""

from tests.peers import start_peer

__all__ = ["start_peer"]
