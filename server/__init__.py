"""Shoal's control plane: supervisor, configuration, Python commands. Keys are the C engine's business (cext/)."""

__version__ = "0.1.0"

REDIS_VERSION = "7.2.4"
"""The version of Redis whose behaviour we answer for."""
