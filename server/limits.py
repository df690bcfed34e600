"""Open files: every worker may hold every client. Called by the supervisor before anything is opened."""

from __future__ import annotations

import resource

from shoal import log
from shoal.config import Config
from shoal.errors import StartError

RESERVED_FDS = 128
"""Beside clients; and four for each worker slot."""


def raise_file_limit(config: Config) -> None:
    """As far as it goes; `maxclients` is lowered to what fits. Raises StartError when nothing does."""
    workers: int = config["workers"]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = config["maxclients"] + RESERVED_FDS + 4 * workers
    if soft >= need or soft == resource.RLIM_INFINITY:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(hard, need)))
        return
    except (OSError, ValueError):
        pass
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        hard = soft
    if hard < need:
        fitting = hard - RESERVED_FDS
        if fitting < 1:
            raise StartError(
                f"Your current 'ulimit -n' of {hard} is not enough for the server to start. "
                f"Please increase your open file limit to at least {need}. Exiting."
            )
        log.warning(
            f"You requested maxclients of {config['maxclients']} requiring at least {need} max file "
            f"descriptors. Current maximum open files is {hard}. maxclients has been reduced to {fitting} to "
            "compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
        )
        config.values["maxclients"] = fitting


def most_clients() -> int:
    """What `maxclients` may be raised to by the limit of open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED_FDS
