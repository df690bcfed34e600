"""The supervisor: makes the segment and the sockets, starts the processes and their heirs, carries out what only it can.

It never takes a keyspace lock and reads no keys. Signal handlers only queue: their numbers arrive through a wake-up descriptor and
the loop acts. SIGTERM and SIGINT shut down (settings shutdown-on-*), SIGCHLD reaps, SIGHUP is ignored. The loop's latency is that of
its slowest action, so nothing in it waits.

When it is killed, the kernel kills its children; the segment stays, and the next start on the data folder repairs and takes it
over (see shoal.segment).
"""

from __future__ import annotations

import gc
import os
import resource
import secrets
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shoal import engine, log, messages, process, segment, sockets
from shoal.commands import registry
from shoal.config import Config
from shoal.errors import StartError
from shoal.persist import temporary
from shoal.persist.appendonly import LOG_ON
from shoal.persist.schedule import Backups
from shoal.processes import BACKUP, BOOT_FAILED, KINDS, MAX_BOOT_FAILURES, ProcessKind
from shoal.settings import BY_NAME
from shoal.workers.child import Channels, Child

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_CLIENTS_MIN = 10000
"""Client records in the segment at least, so that maxclients may be raised at run time."""
_CLOCK_SECONDS = 30.0
"""The wall clock may be set: what is due by it is looked at so often."""
_RESERVED_FDS = 128
"""Beside clients; and four for each worker slot."""


@dataclass(slots=True)
class Running:
    """A child that lives."""

    kind: ProcessKind
    slot: int
    pid: int
    control: socket.socket
    ready: bool = False
    muted: bool = False
    """Its control socket is at its end."""
    kill_at: float = 0.0
    """Monotonic time of SIGKILL once it was told to stop."""


class Supervisor:
    """The parent of all processes of one server."""

    def __init__(self, config: Config, executable: str, greet: Callable[[], None]) -> None:
        self.config = config
        self.greet = greet
        self.executable = executable
        self.pid = os.getpid()
        self.workers: int = config["workers"]
        self.children: dict[int, Running] = {}
        self.boot_failures: dict[tuple[str, int], int] = {}
        self.channels: dict[int, Channels] = {}
        self.listeners: list[sockets.Listener] = []
        self.segment: segment.Segment | None = None
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.announced = False
        self.loaded = False
        self.saving = False
        """The persistence process works on a save, a rewrite or a reload."""
        self.rewriting = False
        """It is a rewrite of the append-only file."""
        self.rewrite_scheduled = False
        self.asked: dict[int, tuple[Running, int] | None] = {}
        """What children wait to be told by the persistence process: token -> child and message id; None: ourselves."""
        self.last_token = 0
        self.ending: dict[str, Any] | None = None
        """The SHUTDOWN that waits for its save."""
        self.backups = Backups(config)
        self.backup_told = False
        """The process that makes one has said how it went."""
        self.failure = ""
        self.cron_paused = False
        """DEBUG PAUSE-CRON."""
        self.waiting_signals: list[signal.Signals] = []
        """Of a shutdown, while that is so."""

    # --- start

    def run(self) -> int:
        """Until the server stops; the exit status."""
        try:
            self._prepare()
        except StartError as e:
            log.warning(str(e))
            self._close_unused()
            return 1
        try:
            self._serve()
        finally:
            self._end()
        if self.failure:
            return 1  # the caller says it
        log.warning("Shoal is now ready to exit, bye bye...")
        return 0

    def _prepare(self) -> None:
        values = self.config.values
        self._raise_file_limit()
        segment.check_room(values["maxmemory"])
        record = segment.lock_folder(values["dir"])
        self.listeners = sockets.open_all(values)
        self.greet()
        limit = sockets.backlog_limit()
        if values["tcp-backlog"] > limit:
            log.warning(
                f"WARNING: The TCP backlog setting of {values['tcp-backlog']} cannot be enforced because "
                f"/proc/sys/net/core/somaxconn is set to the lower value of {limit}."
            )
        parameters = segment.Parameters(values["databases"], self.workers, max(values["maxclients"], _CLIENTS_MIN))
        self.segment = segment.open_segment(record, parameters, values["keep-memory"])
        repaired = engine.instance_begin(secrets.token_hex(20), self.workers)
        if self.segment.kept:
            try:
                engine.check(keys=False)
            except engine.EngineError as e:
                log.warning(f"The memory that the last instance left is damaged ({e}); it is dropped, and the files are loaded")
                self.segment = segment.begin_anew(self.segment, parameters)
                engine.instance_begin(secrets.token_hex(20), self.workers)
        engine.set_word("kept_memory", int(self.segment.kept))
        if self.segment.kept:
            keys = sum(engine.db_size(db) for db in range(values["databases"]))
            log.notice(
                f"Took over the memory of the last instance: {keys} keys, {repaired} interrupted processes repaired"
            )
        self.config.publish(values, self.config.file)
        for slot in range(1, self.workers + 1):
            receive, send = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.channels[slot] = Channels(
                receive.detach(), send.detach(), os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            )

    def _raise_file_limit(self) -> None:
        """Every worker may hold every client."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        need = self.config["maxclients"] + _RESERVED_FDS + 4 * self.workers
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
            fitting = hard - _RESERVED_FDS
            if fitting < 1:
                raise StartError(
                    f"Your current 'ulimit -n' of {hard} is not enough for the server to start. "
                    f"Please increase your open file limit to at least {need}. Exiting."
                )
            log.warning(
                f"You requested maxclients of {self.config['maxclients']} requiring at least {need} max file "
                f"descriptors. Current maximum open files is {hard}. maxclients has been reduced to {fitting} to "
                "compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
            )
            self.config.values["maxclients"] = fitting

    def _close_unused(self) -> None:
        for listener in self.listeners:
            listener.sock.close()
            self._unlink_unix(listener)

    # --- the loop

    def _serve(self) -> None:
        wake_receive, wake_send = socket.socketpair()
        wake_receive.setblocking(False)
        wake_send.setblocking(False)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(wake_send.fileno(), warn_on_full_buffer=False)
        self.selector.register(wake_receive, selectors.EVENT_READ, None)
        registry.functions()
        gc.collect()
        gc.freeze()
        log.role = "M"
        if self.config["set-proc-title"]:
            process.set_title(self._title())
        log.warning("Server initialized")
        for kind, slot in self._places():
            self._start(kind, slot)
        while self.children or not self.stopping:
            for key, _ in self.selector.select(self._timeout()):
                if key.data is None:
                    self._on_signals(wake_receive.recv(4096))
                else:
                    self._on_message(key.data)
            self._kill_overdue()
            self._backup_by_the_clock()
        signal.set_wakeup_fd(-1)
        wake_receive.close()
        wake_send.close()

    def _places(self) -> Iterator[tuple[ProcessKind, int]]:
        for kind in KINDS:
            if kind.on_demand:
                continue
            if kind.per_worker:
                for slot in range(1, self.workers + 1):
                    yield kind, slot
            else:
                yield kind, self.workers + kind.place if kind.place else 0

    def _title(self) -> str:
        listen = f"{self.config['bind'][0] if self.config['bind'] else ''}:{self.config['port']}"
        if not self.config["port"]:
            listen = self.config["unixsocket"]
        template: str = self.config["proc-title-template"]
        words = {"title": "shoal-server", "listen-addr": listen, "server-mode": "", "port": str(self.config["port"])}
        words |= {"tls-port": str(self.config["tls-port"]), "unixsocket": self.config["unixsocket"]}
        words["config-file"] = self.config.file
        for name, value in words.items():
            template = template.replace("{" + name + "}", value)
        return template.strip()

    def _timeout(self) -> float | None:
        waits = [max(c.kill_at - time.monotonic(), 0.0) for c in self.children.values() if c.kill_at]
        if self.announced and not self.stopping and not self.cron_paused and (backup := self.backups.seconds_left()) is not None:
            waits.append(min(backup, _CLOCK_SECONDS))
        return min(waits) if waits else None

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGCHLD in numbers:
            self._reap()
        for number in (signal.SIGINT, signal.SIGTERM):
            if number in numbers:
                self._on_stop_signal(number)

    def _on_stop_signal(self, number: signal.Signals) -> None:
        if self.cron_paused and not self.stopping:
            self.waiting_signals.append(number)
            return
        if self.stopping:
            if number == signal.SIGINT:
                self._insisted()
            return
        if self.ending is not None and number == signal.SIGINT:
            self._stop("")
            self._insisted()
            return
        log.warning(f"Received {number.name} scheduling shutdown...")
        words = self.config["shutdown-on-sigterm" if number == signal.SIGTERM else "shutdown-on-sigint"]
        words = words.split() if isinstance(words, str) else list(words)
        how = next((w for w in words if w in ("save", "nosave")), "")
        error = self._shutdown({"how": how, "force": "force" in words}, None, 0)
        if error:
            log.warning(f"{number.name} received but errors trying to shut down the server, check the logs for more information")

    def _insisted(self) -> None:
        """A second SIGINT does not wait for anybody."""
        log.warning("You insist... exiting now.")
        for child in self.children.values():
            os.kill(child.pid, signal.SIGKILL)

    # --- children

    def _start(self, kind: ProcessKind, slot: int) -> None:
        """Fork a child; the heir of a dead one is started by the same call."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._child_main(kind, slot, theirs)
        theirs.close()
        ours.setblocking(False)
        child = Running(kind, slot, pid, ours)
        self.children[pid] = child
        self.selector.register(ours, selectors.EVENT_READ, child)

    def _child_main(self, kind: ProcessKind, slot: int, control: socket.socket) -> None:
        """In the child, and never comes back."""
        status = BOOT_FAILED
        try:
            self.selector.close()
            for other in self.children.values():
                other.control.close()
            if not kind.per_worker:
                for listener in self.listeners:
                    listener.sock.close()  # else it would stay open here when CONFIG SET closes it
            child = Child(
                kind.name, slot, kind.title.format(slot=slot), self.pid, control, self.config, self.listeners,
                self.channels, self.executable, self.segment.fd if self.segment else -1,
            )  # fmt: skip
            child.begin()
            kind.main(child)
            status = 0
        except engine.EngineError as e:
            log.warning(f"{kind.title.format(slot=slot)}: {e}")
        except BaseException:
            log.warning(f"{kind.title.format(slot=slot)}: {traceback.format_exc()}")
        finally:
            sys.stdout.flush()
            os._exit(status)

    def _reap(self) -> None:
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.get(pid)
            if child is not None:
                if not child.muted:
                    self._on_message(child)  # what it said at its end
                del self.children[pid]
                if not child.muted:
                    self.selector.unregister(child.control)
                child.control.close()
                self._on_death(child, os.waitstatus_to_exitcode(status))

    def _on_death(self, child: Running, code: int) -> None:
        if self.stopping:
            return
        who = child.kind.title.format(slot=child.slot)
        if child.kind.on_demand:
            self.backups.ended(self.backup_told, f"by signal {-code}" if code < 0 else f"with status {code}")
            return
        how = f"by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"with status {code}"
        log.warning(f"The {who} (pid {child.pid}) ended {how}; its heir is being started")
        if child.kind.slot_kind:
            engine.count_death(child.kind.slot_kind)
        if child.kind.name == "persistence":
            self._lost_persistence()
        place = (child.kind.name, child.slot)
        if child.ready:
            self.boot_failures[place] = 0
        else:
            self.boot_failures[place] = self.boot_failures.get(place, 0) + 1
            if self.boot_failures[place] >= MAX_BOOT_FAILURES:
                self._stop(
                    f"The {who} could not start {MAX_BOOT_FAILURES} times in a row, giving up. See the log above."
                )
                return
        self._start(child.kind, child.slot)

    # --- messages

    def _on_message(self, child: Running) -> None:
        try:
            while child.pid in self.children and (got := messages.receive(child.control)) is not None:
                message, fds = got
                for fd in fds:
                    os.close(fd)
                self._handle(child, message)
        except messages.Closed:
            # It is dying: SIGCHLD says the rest. Until then its socket would keep the loop busy.
            self.selector.unregister(child.control)
            child.muted = True

    def _handle(self, child: Running, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {}
        match message.get("op"):
            case "ready":
                self._on_ready(child)
            case "apply":
                answer["error"] = self._apply(message["names"])
            case "shutdown":
                log.warning("User requested shutdown...")
                answer["error"] = self._shutdown(message, child, message["id"])
                if self.ending is not None:
                    return  # answered when the save is done
            case "pause_cron":
                self._pause_cron(message["on"])
            case "shutdown_abort":
                answer["error"] = self._abort_shutdown()
            case "rewrite" if self.saving:
                answer = self._schedule_rewrite()
            case "save" | "reload" | "rewrite":
                answer["error"] = self._persist(message, child)
                if not answer["error"]:
                    return
            case "answer":
                self._on_answer(message)
            case "saving":
                self.saving = message["on"]
                self.rewriting = self.saving and self.rewriting
                if not self.saving:
                    engine.set_word("log_rewriting", 2 if self.rewrite_scheduled else 0)
                if not self.saving and self.rewrite_scheduled and not self.stopping and self.ending is None:
                    self.rewrite_scheduled = False
                    self._persist({"op": "rewrite"}, None)
                if not self.saving and self.ending is not None and not self.asked:
                    self._final_save()
            case "loaded":
                self.loaded = True
                engine.set_word("loaded", 1)
                self._announce()
            case "backup_ended":
                self.backup_told = True
                self.backups.told(message)
            case "load_failed":
                self._stop(message["error"])
            case "status":
                answer["children"] = [
                    {"kind": c.kind.name, "slot": c.slot, "pid": c.pid, "ready": c.ready}
                    for c in self.children.values()
                ]
            case other:
                answer["error"] = f"unknown request {other}"
        if "id" in message:
            messages.send(child.control, {"re": message["id"], **answer})

    def _on_ready(self, child: Running) -> None:
        child.ready = True
        self.boot_failures[(child.kind.name, child.slot)] = 0
        self._announce()

    def _announce(self) -> None:
        """Once: the dataset is there and all workers serve."""
        if self.announced or not self.loaded or not all(c.ready for c in self.children.values() if c.kind.per_worker):
            return
        self.announced = True
        engine.set_word("serving", 1)
        self.backups.plan()
        if self.config["port"]:
            log.notice("Ready to accept connections tcp")
        if self.config["unixsocket"]:
            log.notice("Ready to accept connections unix")
        if self.config["supervised"] in ("systemd", "auto"):
            process.notify_service_manager("STATUS=Ready to accept connections\nREADY=1\n")

    def _backup_by_the_clock(self) -> None:
        if self.announced and not self.stopping and not self.cron_paused and self.ending is None and self.backups.seconds_left() == 0:
            self.backup_told = False
            self.backups.begun()
            self._start(BACKUP, 0)

    # --- what settings ask for

    def _apply(self, names: list[str]) -> str:
        """Carry out changed settings; "" or `name: reason`."""
        self.config.refresh()
        hooks = {BY_NAME[name].apply for name in names}
        if "port" in names or "bind" in names:
            problem = self._listen_again("port" if "port" in names else "bind")
            if problem:
                return problem
        if "dir" in names and self.segment is not None:
            try:
                self.segment.move(self.config["dir"])
            except StartError as e:
                return f"dir: {e}"
            os.chdir(self.config["dir"].encode("latin-1"))
        if "maxclients" in names:
            most = min(engine.word("clients_max"), resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _RESERVED_FDS)
            if self.config["maxclients"] > most:
                return (
                    "maxclients: The operating system is not able to handle the specified number of clients, "
                    f"try with {most}"
                )
        for name in names:
            if name.startswith("tls-"):
                return f"{name}: Unable to update TLS configuration. Check server logs."
        if "appendonly" in names:
            problem = self._apply_appendonly()
            if problem:
                return problem
        if "backup" in hooks and self.announced:
            self.backups.plan()
        if "title" in hooks and self.config["set-proc-title"]:
            process.set_title(self._title())
        for child in self.children.values():
            if child.kind.per_worker:
                messages.send(child.control, {"op": "settings"})
        return ""

    # --- saving: the persistence process does it, whoever asks

    def _persistence(self) -> Running | None:
        return next((c for c in self.children.values() if c.kind.name == "persistence"), None)

    def _persist(self, message: dict[str, Any], asker: Running | None) -> str:
        """Hand a save or reload over; "" or why not. The answer comes through `_on_answer`."""
        persistence = self._persistence()
        if self.saving and self.rewriting:
            return (
                "Background append only file rewriting in progress: can't BGSAVE right now. "
                "Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
            )
        if self.saving:
            return "Background save already in progress"
        if persistence is None or not self.loaded:
            return "The persistence process is not ready"
        self.last_token += 1
        if not messages.send(persistence.control, {**message, "token": self.last_token}):
            return "The persistence process does not answer"
        self.asked[self.last_token] = (asker, message["id"]) if asker else None
        self.saving = True
        self.rewriting = message["op"] == "rewrite"
        if message["op"] == "reload":
            engine.pause(2, 2**62)
        return ""

    def _schedule_rewrite(self) -> dict[str, Any]:
        """BGREWRITEAOF while the persistence process is busy."""
        if self.rewriting:
            return {"error": "Background append only file rewriting already in progress"}
        self.rewrite_scheduled = True
        engine.set_word("log_rewriting", 2)
        return {"error": "", "scheduled": True}

    def _apply_appendonly(self) -> str:
        """CONFIG SET appendonly: done in the background; a rewrite is seen to be in progress from here on."""
        persistence = self._persistence()
        if persistence is None or not persistence.ready:
            return "appendonly: The persistence process is not ready"
        if self.config["appendonly"] and not engine.word("log_enabled"):
            engine.set_word("log_rewriting", 1)
        if not self.config["appendonly"] and self.rewriting:
            engine.set_word("save_cancel", 1)  # the base would be of no use
        self.saving = self.rewriting = True
        messages.send(persistence.control, {"op": "appendonly"})
        return ""

    def _on_answer(self, message: dict[str, Any]) -> None:
        asker = self.asked.pop(message["to"], None)
        if engine.word("clients_paused") == 2 and self.ending is None:
            engine.pause(0, 0)
        if asker is not None:
            messages.send(asker[0].control, {"re": asker[1], "error": message["error"]})
        elif self.ending is not None:
            self._end_after_save(message["error"])

    def _lost_persistence(self) -> None:
        """It died: whoever waited for it is told."""
        self.saving = False
        for token in list(self.asked):
            self._on_answer({"to": token, "error": "The persistence process died"})
        self._final_save()  # of a shutdown that waited for a base

    def _listen_again(self, name: str) -> str:
        """New TCP sockets; the old ones are closed only when the new ones listen."""
        config = self.config
        old_tcp = [listener for listener in self.listeners if not listener.unix]
        unix = [listener for listener in self.listeners if listener.unix]
        keep: list[sockets.Listener] = []
        wanted = config["bind"] if config["port"] else []
        if name == "bind":
            # The same port: sockets whose address stays keep their queue of connections.
            keep, wanted = _kept(old_tcp, wanted, config["port"])
        try:
            made = sockets.listen_tcp(
                wanted, config["port"], config["tcp-backlog"], config["socket-mark-id"], beside=old_tcp
            )
        except sockets.BindError as e:
            log.warning(f"Warning: {e}")
            if name == "port":
                return "port: Unable to listen on this port. Check server logs."
            return "bind: Failed to bind to specified addresses."
        self.listeners = [*keep, *made, *unix]
        fds = [listener.fd for listener in self.listeners]
        for child in self.children.values():
            if child.kind.per_worker:
                messages.send(child.control, {"op": "listen", "unix": [x.unix for x in self.listeners]}, fds)
        for listener in old_tcp:
            if listener not in keep:
                listener.sock.close()
        return ""

    # --- the end

    def _shutdown(self, message: dict[str, Any], asker: Running | None, ident: int) -> str:
        """Save first when it is asked for (or there are save points and not told otherwise), with writes paused; then stop."""
        if self.ending is not None:
            return ""
        wanted = message.get("how") == "save" or (message.get("how") != "nosave" and bool(self.config["save"]))
        first_base = self.loaded and self._first_base_is_written() and not message.get("force")
        if not first_base:
            engine.set_word("save_cancel", 1)  # a background save that runs would only be thrown away
        if not self.loaded or not (wanted or first_base):
            self._stop("")
            return ""
        if first_base:
            log.notice("Writing initial AOF, the exit waits for it.")
        self.ending = {**message, "asker": (asker, ident) if asker else None, "save": wanted, "base": first_base}
        engine.pause(1, 2**62)
        self._final_save()
        return ""

    def _first_base_is_written(self) -> bool:
        """The log was just switched on: without its base the files do not hold the dataset."""
        return self.rewriting and self.config["appendonly"] and engine.word("log_state") != LOG_ON

    def _final_save(self) -> None:
        if self.saving or self.ending is None:
            return  # its end comes soon: it was cancelled, or it is the log's first base
        if self.ending["base"] and engine.word("log_state") != LOG_ON:
            self._end_after_save("the append only file has no base yet")
            return
        if not self.ending["save"]:
            self._end_after_save("")
            return
        log.notice("Saving the final RDB snapshot before exiting.")
        error = self._persist({"op": "save", "wait": True}, None)
        if error:
            self._end_after_save(error)

    def _end_after_save(self, error: str) -> None:
        if not error or (self.ending and self.ending.get("force")):
            self.ending = None
            self._stop("")
            return
        log.warning(f"Error trying to save the DB, can't exit: {error}")
        self._resume("Errors trying to SHUTDOWN. Check logs.")

    def _pause_cron(self, on: bool) -> None:
        self.cron_paused = on
        waiting, self.waiting_signals = self.waiting_signals, []
        for number in waiting:
            self._on_stop_signal(number)

    def _abort_shutdown(self) -> str:
        """SHUTDOWN ABORT: as long as the final save runs, or the clock rests."""
        if self.ending is None and not self.waiting_signals:
            return "No shutdown in progress."
        log.warning("Shutdown manually aborted.")
        self.waiting_signals.clear()
        if self.ending is None:
            return ""
        engine.set_word("save_cancel", 1)
        self._resume("Errors trying to SHUTDOWN. Check logs.")
        return ""

    def _resume(self, error: str) -> None:
        """There is no shutdown after all."""
        ending, self.ending = self.ending, None
        engine.pause(0, 0)
        if ending and ending["asker"]:
            asker, ident = ending["asker"]
            messages.send(asker.control, {"re": ident, "error": error})

    def _stop(self, failure: str) -> None:
        """Tell all children to stop; those that do not are killed when their grace is over."""
        if self.stopping:
            return
        self.stopping, self.failure = True, failure
        if self.config["supervised"] in ("systemd", "auto"):
            process.notify_service_manager("STOPPING=1\n")
        for listener in self.listeners:
            listener.sock.close()
            self._unlink_unix(listener)
        for child in self.children.values():
            messages.send(child.control, {"op": "stop"})
            child.kill_at = time.monotonic() + child.kind.grace

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if child.kill_at and now >= child.kill_at:
                log.warning(
                    f"The {child.kind.title.format(slot=child.slot)} (pid {child.pid}) did not stop, killing it"
                )
                os.kill(child.pid, signal.SIGKILL)
                child.kill_at = 0.0

    def _unlink_unix(self, listener: sockets.Listener) -> None:
        if listener.unix and os.getpid() == self.pid:
            log.warning("Removing the unix socket file.")
            try:
                os.unlink(self.config["unixsocket"].encode("latin-1"))
            except OSError:
                pass

    def _end(self) -> None:
        """All children are gone (or must go, if we got here by an error)."""
        for child in self.children.values():
            os.kill(child.pid, signal.SIGKILL)
        for pid in self.children:
            os.waitpid(pid, 0)
        self.children.clear()
        temporary.sweep(os.fsdecode(self.config["dir"].encode("latin-1")))
        engine.set_word("serving", 0)
        engine.instance_end(not self.failure)
        if self.segment is not None:
            self.segment.end(keep=self.loaded and (bool(self.failure) or self.config["keep-memory"]))


def _kept(old: list[sockets.Listener], wanted: list[str], port: int) -> tuple[list[sockets.Listener], list[str]]:
    """Of the open sockets, those that a list of addresses still asks for; and the addresses that need new ones."""
    names = {"*": "0.0.0.0", "::*": "::"}
    by_address = {listener.sock.getsockname()[:2]: listener for listener in old}
    keep, missing = [], []
    for word in wanted:
        address = word.removeprefix("-")
        listener = by_address.get((names.get(address, address), port))
        if listener is None:
            missing.append(word)
        else:
            keep.append(listener)
    return keep, missing
