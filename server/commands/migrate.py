"""MIGRATE: moves keys to another server.

The payloads are taken, and the keys removed, in C (cext/snap/transfer.h); here is the talk with the other server, which stops no
other client of this worker. A key that somebody changes while it is on its way is not removed: it is sent again, over the copy that is
ours, and what was deleted here meanwhile is deleted there. If that happens again and again the keys stay here, and the client is told.

Connections are kept for a while (shoal.connections); each is used by one dialogue at a time.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shoal import dialogue, engine
from shoal.commands.registry import command, integer, word
from shoal.commands.server_state import ServerState
from shoal.connections import Address, Connection, Connections
from shoal.dialogue import Dialogue, Wait
from shoal.engine import NO_REPLY, Call, Transfer
from shoal.replies import OK, CommandError, Reply, Status, encode

ROUNDS = 16
"""How often keys that go on changing are sent."""
LINE_MAX = 64 << 10
READ_BYTES = 64 << 10
_LINES = (b"+", b"-", b":")

class TalkError(Exception):
    """The other server cannot be reached, or has gone; `late`: its time was over; `lines`: what it had answered."""

    def __init__(self, doing: str, late: bool = False, lines: Sequence[bytes] = ()) -> None:
        super().__init__(doing)
        self.doing, self.late, self.lines = doing, late, lines

    @property
    def reply(self) -> CommandError:
        return CommandError(f"error or timeout {self.doing}", code="IOERR")


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments."""

    address: Address
    keys: tuple[bytes, ...]
    db: int
    seconds: float
    copy: bool
    replace: bool
    auth: tuple[bytes, ...]


def _long(text: bytes) -> int:
    return integer(text, "value is not an integer or out of range")


def parse(args: list[bytes]) -> Request:
    """Raises CommandError, with Redis' words."""
    keys: list[bytes] = [args[3]]
    copy = replace = False
    auth: tuple[bytes, ...] = ()
    at = 6
    while at < len(args):
        option, more = word(args[at]), len(args) - at - 1
        if option == "copy":
            copy = True
        elif option == "replace":
            replace = True
        elif option == "auth" and more >= 1:
            auth = (args[at + 1],)
            at += 1
        elif option == "auth2" and more >= 2:
            auth = (args[at + 1], args[at + 2])
            at += 2
        elif option == "keys":
            if args[3]:
                raise CommandError("When using MIGRATE KEYS option, the key argument must be set to the empty string")
            keys = args[at + 1 :]
            break
        else:
            raise CommandError("syntax error")
        at += 1
    ms = _long(args[5])
    db = _long(args[4])
    return Request((args[1], args[2]), tuple(dict.fromkeys(keys)), db, (ms if ms > 0 else 1000) / 1000, copy, replace, auth)


# --- the talk ---------------------------------------------------------------------------------------------------------


def connect(address: Address, seconds: float) -> Dialogue[Connection]:
    """Raises TalkError. A name is looked up while the worker waits, as in Redis."""
    try:
        host, port = address[0].decode(), int(address[1])
        family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
    except (OSError, ValueError, OverflowError):
        raise TalkError("connecting to the client") from None
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        result = sock.connect_ex(where)
        if result == errno.EINPROGRESS:
            yield Wait(sock, select.EPOLLOUT, seconds)
            result = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if result:
            raise OSError(result, "")
    except (OSError, OverflowError) as e:  # TimeoutError is one
        sock.close()
        raise TalkError("connecting to the client", isinstance(e, TimeoutError)) from None
    except GeneratorExit:
        sock.close()
        raise
    return Connection(sock, address)


class Exchange:
    """Frames to send, and so many one-line replies to read, which may come before all is sent."""

    def __init__(self, connection: Connection, frames: Iterable[bytes], count: int) -> None:
        self.connection, self.frames, self.count = connection, iter(frames), count
        self.lines: list[bytes] = []
        self.waiting = memoryview(b"")
        self.sending = True

    def send(self) -> bool:
        """Whether anything left."""
        if self.sending and not self.waiting:
            frame = next(self.frames, None)
            self.sending = frame is not None
            self.waiting = memoryview(frame or b"")
        if not self.waiting:
            return False
        try:
            self.waiting = self.waiting[self.connection.sock.send(self.waiting) :]
        except BlockingIOError:
            return False
        return True

    def receive(self) -> bool:
        """Whether anything came."""
        try:
            data = self.connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        *whole, self.connection.unread = (self.connection.unread + data).split(b"\r\n")
        for line in whole:
            if line[:1] not in _LINES:
                raise ConnectionResetError  # that is no Redis
            self.lines.append(line)
        if not data or len(self.connection.unread) > LINE_MAX:
            raise ConnectionResetError
        return True

    def run(self, seconds: float) -> Dialogue[list[bytes]]:
        """The replies; raises TalkError."""
        try:
            while len(self.lines) < self.count:
                if not (self.send() | self.receive()):
                    events = select.EPOLLIN | (select.EPOLLOUT if self.waiting else 0)
                    yield Wait(self.connection.sock, events, seconds)
        except OSError as e:
            doing = "writing" if self.sending else "reading"
            raise TalkError(f"{doing} to target instance", isinstance(e, TimeoutError), self.lines[: self.count]) from None
        return self.lines


def introduce(connection: Connection, request: Request) -> Dialogue[CommandError | None]:
    """Who we are and which database; what the other server says against it. Before any key is sent, which would get into a wrong one."""
    frames = [_frame(b"AUTH", *request.auth)] if request.auth else []
    if connection.db != request.db:
        frames.append(_frame(b"SELECT", b"%d" % request.db))
    for line in (yield from Exchange(connection, frames, len(frames)).run(request.seconds)):
        if line.startswith(b"-"):
            connection.db = -1
            return refusal(line)
    connection.db = request.db
    return None


def refusal(line: bytes) -> CommandError:
    return CommandError(f"Target instance replied with error: {line[1:].decode('utf-8', 'surrogateescape')}")


# --- moving -----------------------------------------------------------------------------------------------------------


def _frame(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def _restore(transfer: Transfer, i: int, replace: bool) -> bytes:
    expire = transfer.expire_ms(i)
    ttl = max(1, expire - int(time.time() * 1000)) if expire else 0
    words = [b"RESTORE", transfer.names[i], b"%d" % ttl, transfer.payload(i)]
    return _frame(*words, b"REPLACE") if replace else _frame(*words)


class Move:
    """One MIGRATE."""

    def __init__(self, db: int, request: Request, kept: Connections) -> None:
        self.db, self.request, self.kept = db, request, kept
        self.ours: frozenset[bytes] = frozenset()
        """Keys whose copies over there are ours, and old."""

    def run(self) -> Dialogue[Reply]:
        keys: Sequence[bytes] = self.request.keys
        for _ in range(ROUNDS):
            transfer = Transfer(self.db, keys, watch=not self.request.copy)
            try:
                if not self.ours and not any(transfer.here(i) for i in range(len(keys))):
                    return Status("NOKEY")
                reply = yield from self.send(transfer)
            finally:
                removed = transfer.end()
            if reply is not None or self.request.copy:
                return reply or OK
            keys = [name for name, gone in zip(keys, removed, strict=True) if not gone and name in self.ours]
            if not keys:
                return OK
            self.ours = frozenset(keys)
        return CommandError("keys went on changing while they were moved: they are here still, and copies of them there", code="IOERR")

    def plan(self, transfer: Transfer) -> list[int]:
        """Which of the keys something is to be sent for."""
        return [i for i, name in enumerate(transfer.names) if transfer.here(i) or name in self.ours]

    def frame(self, transfer: Transfer, i: int) -> bytes:
        name = transfer.names[i]
        if transfer.here(i):
            return _restore(transfer, i, self.request.replace or name in self.ours)
        return _frame(b"DEL", name)

    def send(self, transfer: Transfer) -> Dialogue[CommandError | None]:
        """What went wrong; tells the transfer what has arrived. A connection that was cut before anything arrived is tried once more."""
        wanted = self.plan(transfer)
        again = True
        while True:
            lines: Sequence[bytes] = ()
            error: CommandError | None = None
            connection: Connection | None = None
            try:
                connection = self.kept.take(self.request.address) or (yield from connect(self.request.address, self.request.seconds))
                error = yield from introduce(connection, self.request)
                if error is None:
                    frames = (self.frame(transfer, i) for i in wanted)
                    lines = yield from Exchange(connection, frames, len(wanted)).run(self.request.seconds)
                self.kept.give(connection)
            except TalkError as e:
                if connection is not None:
                    connection.close()
                lines = e.lines if connection is not None and connection.db == self.request.db else ()
                if again and connection is not None and not e.late and not any(line[:1] == b"+" for line in lines):
                    again = False
                    continue
                error = e.reply
            return self.arrived(transfer, wanted, lines) or error

    def arrived(self, transfer: Transfer, wanted: list[int], lines: Sequence[bytes]) -> CommandError | None:
        """Notes which keys the other server has; its first error."""
        error: CommandError | None = None
        there = []
        for i, line in zip(wanted, lines, strict=False):
            if line.startswith(b"-"):
                error = error or refusal(line)
            elif transfer.here(i):
                there.append(transfer.names[i])
                if not self.request.copy:
                    transfer.arrived(i)
        self.ours = frozenset(there)
        return error


@command("migrate")
def migrate(state: ServerState, call: Call) -> Reply:
    request = parse(call.args)
    move = Move(call.db, request, state.migrate_connections).run()
    if call.in_exec:
        return dialogue.run(move)
    early: list[Reply] = []
    client, resp, away = call.client_id, call.resp, False

    def done(reply: Reply) -> None:
        if away:
            engine.client_answer(client, encode(reply, resp))
        else:
            early.append(reply)

    state.dialogues.start(move, done)
    if early:
        return early[0]
    away = True
    call.away()
    return NO_REPLY
