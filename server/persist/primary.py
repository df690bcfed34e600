"""Following a primary (REPLICAOF): how the persistence process makes the link, until a worker has it.

One step at a time beside this process' other work, the socket never blocks: connect, PING, AUTH, REPLCONF, PSYNC. The primary lets
us go on where we are (the position is in the segment, cext/shm/replica_link.h), or sends its dataset, which goes to a file without a
name and replaces ours when it is whole. Then the connection goes to a worker, which executes the stream (cext/net/primary.h); when it
ends there, the next link is made here.

Killed in between, the heir begins another link. Killed while the dataset is being replaced, the heir loads our own files, and
synchronises anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Callable, Generator

from shoal import engine, log
from shoal.config import Config
from shoal.persist.replicas import unlinked

_RETRY_SECONDS = 1.0
_PIECE = 1 << 20
_PIECES = 16
"""Pieces of the file in one step."""
_MARK = 40
"""Bytes of the text that ends a file whose length was not known."""

READ, WRITE = "r", "w"
Steps = Generator[str, None, None]
"""Each step says what it waits for."""


class LinkError(Exception):
    """Why there is no link this time."""


class Primary:
    def __init__(self, config: Config, replace: Callable[[int], None]) -> None:
        """replace(fd) puts the RDB file in the place of the dataset; raises EngineError when it cannot be read."""
        self.config = config
        self.replace = replace
        self.socket: socket.socket | None = None
        self.steps: Steps | None = None
        self.waits_for = READ
        self.target = ""
        self.retry_at = 0.0
        self.progress_at = 0.0

    def waiting(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """For select: what to read from, and what to write to."""
        if self.socket is None or self.steps is None:
            return [], []
        return ([self.socket], []) if self.waits_for == READ else ([], [self.socket])

    def step(self) -> None:
        """Do what can be done now."""
        target, link = self.config["replicaof"], engine.link()
        if self.steps is not None and target != self.target:
            self._end()
        if link.client_id and link.target != target:
            engine.link_close()
            return
        if not target:
            self.target = ""
            if link.state != engine.LINK_NONE:
                engine.link_state(engine.LINK_NONE)
            return
        if link.client_id:
            return
        if self.steps is None:
            if target == self.target and time.monotonic() < self.retry_at:
                return
            self._begin(target)
        self._go_on()

    def _begin(self, target: str) -> None:
        self.target = target
        self.retry_at = time.monotonic() + _RETRY_SECONDS
        self.progress_at = time.monotonic()
        if engine.replication().on:
            engine.replication_off()  # replicas of ours cannot follow what comes now
        engine.link_state(engine.LINK_CONNECTING)
        self.steps = self._synchronise()

    def _go_on(self) -> None:
        assert self.steps is not None
        try:
            self.waits_for = next(self.steps)
            if time.monotonic() - self.progress_at > self.config["repl-timeout"]:
                raise LinkError("Timeout connecting to the MASTER, or receiving from it")
        except StopIteration:
            self._end()
        except (OSError, UnicodeError, LinkError, engine.EngineError) as e:  # UnicodeError: a host that is no name
            log.warning(f"No link to MASTER {self.target}: {e}")
            self._end()
            engine.link_state(engine.LINK_CONNECT)
            self.retry_at = time.monotonic() + _RETRY_SECONDS

    def _end(self) -> None:
        if self.steps is not None:
            self.steps.close()
        self.steps = None
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    # --- words

    def _connect(self) -> Steps:
        host, _, port = self.target.rpartition(" ")
        log.notice(f"Connecting to MASTER {host}:{port}")
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        self.socket = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
        self.socket.setblocking(False)
        problem = self.socket.connect_ex(address)
        while problem in (errno.EINPROGRESS, errno.EALREADY, errno.EINTR):
            yield WRITE
            problem = self.socket.connect_ex(address)
        if problem not in (0, errno.EISCONN):
            raise LinkError(f"Error condition on socket: {os.strerror(problem)}")

    def _send(self, *words: str) -> Steps:
        assert self.socket is not None
        raw = [w.encode("latin-1") for w in words]
        left = b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in raw)
        while left:
            try:
                left = left[self.socket.send(left) :]
            except BlockingIOError:
                yield WRITE

    def _receive(self, n: int) -> bytes | None:
        """At most n bytes; None: nothing is there yet."""
        assert self.socket is not None
        try:
            got = self.socket.recv(n)
        except BlockingIOError:
            return None
        if not got:
            raise LinkError("the primary closed the connection")
        self.progress_at = time.monotonic()
        return got

    def _line(self, found: list[str]) -> Steps:
        """The next line that is not empty, and no byte behind it: that may be the worker's."""
        line = b""
        while True:
            got = self._receive(1)
            if got is None:
                yield READ
            elif got != b"\n":
                line += got
                if len(line) > 1024:
                    raise LinkError("the primary does not speak as one")
            elif line.strip():
                found.append(line.strip().decode("latin-1"))
                return
            else:
                line = b""

    def _ask(self, found: list[str], *words: str) -> Steps:
        yield from self._send(*words)
        yield from self._line(found)

    # --- the synchronisation

    def _introduce(self) -> Steps:
        config, said = self.config, list[str]()
        yield from self._ask(said, "PING")
        if said[-1].startswith("-") and not said[-1].startswith(("-NOAUTH", "-NOPERM", "-ERR operation not permitted")):
            raise LinkError(f"Error reply to PING from master: '{said[-1]}'")
        if config["masterauth"]:
            user = [config["masteruser"]] if config["masteruser"] else []
            yield from self._ask(said, "AUTH", *user, config["masterauth"])
            if said[-1].startswith("-"):
                raise LinkError(f"Unable to AUTH to MASTER: {said[-1]}")
        port = config["replica-announce-port"] or config["port"]
        yield from self._ask(said, "REPLCONF", "listening-port", str(port))
        if config["replica-announce-ip"]:
            yield from self._ask(said, "REPLCONF", "ip-address", config["replica-announce-ip"])
        yield from self._ask(said, "REPLCONF", "capa", "eof", "capa", "psync2")

    def _synchronise(self) -> Steps:
        yield from self._connect()
        yield from self._introduce()
        link, said = engine.link(), list[str]()
        if link.valid:
            log.notice(f"Trying a partial resynchronization (request {link.id}:{link.offset + 1}).")
        yield from self._ask(said, "PSYNC", *((link.id, str(link.offset + 1)) if link.valid else ("?", "-1")))
        answer, *words = said[-1].split()
        if answer == "+CONTINUE":
            if words and len(words[0]) == len(link.id):
                engine.link_id(words[0])
            log.notice("MASTER <-> REPLICA sync: Master accepted a Partial Resynchronization.")
        elif answer == "+FULLRESYNC" and len(words) == 2 and _is_number(words[1]):
            log.notice(f"Full resync from master: {words[0]}:{words[1]}")
            engine.link_state(engine.LINK_SYNC)
            yield from self._full(words[0], int(words[1]))
        else:
            raise LinkError(f"Unexpected reply to PSYNC from master: {said[-1]}")
        assert self.socket is not None
        if not engine.link_hand_over(self.socket.fileno(), self.target):
            raise LinkError("no worker takes the connection")

    def _full(self, replid: str, offset: int) -> Steps:
        said = list[str]()
        yield from self._line(said)
        fd = unlinked(os.fsdecode(self.config["dir"].encode("latin-1")))
        try:
            if said[0].startswith("$EOF:") and len(said[0]) == 5 + _MARK:
                yield from self._until_mark(fd, said[0][5:].encode())
            elif said[0].startswith("$") and _is_number(said[0][1:]):
                yield from self._bytes(fd, int(said[0][1:]))
            else:
                raise LinkError(f"MASTER aborted replication with an error: {said[0]}")
            log.notice("MASTER <-> REPLICA sync: Flushing old data, loading DB in memory")
            os.lseek(fd, 0, os.SEEK_SET)
            engine.link_forget()
            self.replace(fd)
            engine.link_begin(replid, offset)
            if self.config["replicaof"] != self.target:
                engine.link_forget()
                raise LinkError("it is not the primary any more")
            log.notice("MASTER <-> REPLICA sync: Finished with success")
        finally:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _bytes(self, fd: int, left: int) -> Steps:
        n = 0
        while left:
            got = self._receive(min(left, _PIECE))
            if got is not None:
                _write(fd, got)
                left -= len(got)
                n += 1
            if got is None or n % _PIECES == 0:
                yield READ

    def _until_mark(self, fd: int, mark: bytes) -> Steps:
        """The primary sends nothing behind the mark before it has our acknowledgement."""
        tail, size, n = b"", 0, 0
        while tail != mark:
            got = self._receive(_PIECE)
            if got is not None:
                _write(fd, got)
                tail, size = (tail + got)[-_MARK:], size + len(got)
                n += 1
            if got is None or n % _PIECES == 0:
                yield READ
        os.ftruncate(fd, size - _MARK)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 18


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
