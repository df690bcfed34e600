"""Who may log in: the shared lines of users, one ACL line each, by which workers check passwords (cext/cmd/auth.h).

Called by the supervisor at the start and by CONFIG SET requirepass in a worker.
"""

from __future__ import annotations

import hashlib

from shoal import engine

BLOB_USERS = 2


def _line(name: str, password: bytes) -> bytes:
    rule = b"#" + hashlib.sha256(password).hexdigest().encode() if password else b"nopass"
    return b"user " + name.encode() + b" on " + rule + b" ~* &* +@all\n"


def set_default_password(password: bytes) -> None:
    """`requirepass`; empty: the default user needs none. As in Redis, connections that are logged in stay so."""
    data = _line("default", password)
    while not engine.blob_write(BLOB_USERS, data, engine.blob_version(BLOB_USERS)):
        pass
    engine.setting_set("<auth-required>", int(bool(password)))


def lines() -> list[str]:
    """Every user as ACL LIST shows it."""
    data, _version = engine.blob_read(BLOB_USERS)
    return (data or _line("default", b"")).decode("latin-1").splitlines()


def names() -> list[str]:
    return [line.split(" ")[1] for line in lines()]
