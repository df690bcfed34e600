"""Errors that end the start of the server."""

from __future__ import annotations


class StartError(Exception):
    """The server cannot start; the text is logged as a warning and the process exits with 1."""
