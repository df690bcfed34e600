"""Errors that become replies or end the start of the server."""

from __future__ import annotations


class CommandError(Exception):
    """Becomes an error reply. The text begins with its code: `ERR syntax error`."""


class StartError(Exception):
    """The server cannot start; the text is logged as a warning and the process exits with 1."""


def syntax_error() -> CommandError:
    return CommandError("ERR syntax error")


def wrong_arity(fullname: str) -> CommandError:
    return CommandError(f"ERR wrong number of arguments for '{fullname}' command")


def not_integer() -> CommandError:
    return CommandError("ERR value is not an integer or out of range")
