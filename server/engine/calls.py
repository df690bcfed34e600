"""One call of a Python command, and keys on their way to another server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.engine.binding import c_strings, ffi, lib
from shoal.engine.clients import Client, client
from shoal.replies import CommandError, Reply, encode

NO_REPLY = object()
"""What a handler answers whose client gets nothing now."""


class Call:
    """One call of a Python command: its arguments and where the reply goes. Valid only while the command runs."""

    __slots__ = ("_c", "args", "index")

    def __init__(self, c: Any) -> None:
        self._c = c
        self.index = int(lib.cmd_index(c))
        size = ffi.new("size_t *")
        self.args: list[bytes] = []
        for i in range(lib.cmd_argc(c)):
            p = lib.cmd_arg(c, i, size)
            self.args.append(bytes(ffi.buffer(p, size[0])) if size[0] else b"")

    @property
    def db(self) -> int:
        return int(lib.cmd_db(self._c))

    @property
    def resp(self) -> int:
        return int(lib.cmd_resp(self._c))

    @property
    def in_exec(self) -> bool:
        return bool(lib.cmd_in_exec(self._c))

    @property
    def client_id(self) -> int:
        return int(lib.cmd_client_id(self._c))

    @property
    def client(self) -> Client | None:
        return client(int(lib.cmd_client_record(self._c)))

    def authenticate(self, user: bytes = b"") -> None:
        lib.cmd_client_authenticate(self._c, user, len(user))

    def away(self) -> None:
        """The command goes on by itself; `client_answer` ends it. Not in EXEC."""
        lib.cmd_client_away(self._c)

    def close(self, after_reply: bool) -> None:
        lib.cmd_client_close(self._c, int(after_reply))

    def reply(self, value: Reply) -> None:
        self.raw(encode(value, self.resp))

    def raw(self, data: bytes) -> None:
        """RESP already."""
        lib.cmd_reply_raw(self._c, data, len(data))

    def error(self, line: str) -> None:
        data = line.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogateescape")
        lib.cmd_reply_error(self._c, data, len(data))


class Transfer:
    """Payloads of keys as of one moment, and their removal; see snap/transfer.h. `end` must be called."""

    def __init__(self, db: int, names: Sequence[bytes], watch: bool) -> None:
        self.names = names
        pointers, lens, _keep = c_strings(names)
        self._x = lib.engine_transfer_begin(db, len(names), pointers, lens, int(watch))
        if self._x == ffi.NULL:
            raise CommandError("no memory to move the keys", code="OOM")
        self._p, self._n, self._expire = ffi.new("const char **"), ffi.new("size_t *"), ffi.new("int64_t *")

    def _look(self, i: int) -> int:
        return int(lib.engine_transfer_payload(self._x, i, self._p, self._n, self._expire))

    def here(self, i: int) -> bool:
        """Whether there was such a key."""
        return self._look(i) != 0

    def payload(self, i: int) -> bytes:
        if self._look(i) < 0:
            raise CommandError("the value is too large to be dumped")
        return bytes(ffi.buffer(self._p[0], self._n[0]))

    def expire_ms(self, i: int) -> int:
        """Unix time; 0: it does not expire."""
        self._look(i)
        return int(self._expire[0])

    def arrived(self, i: int) -> None:
        lib.engine_transfer_arrived(self._x, i)

    def end(self) -> list[bool]:
        """Removes what has arrived and was not changed meanwhile: which keys were removed."""
        done = lib.engine_transfer_end(self._x) == 0
        removed = [lib.engine_transfer_removed(self._x, i) == 1 for i in range(len(self.names))]
        lib.engine_transfer_free(self._x)
        if not done:
            raise CommandError("no memory to remove the keys here: they are on both servers now", code="OOM")
        return removed
