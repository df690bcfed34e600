"""The supervisor: makes the segment and the sockets, starts the processes and their heirs, carries out what only it can.

It never takes a keyspace lock and reads no keys. Signal handlers only queue: their numbers arrive through a wake-up descriptor and
the loop acts. SIGTERM and SIGINT shut down (settings shutdown-on-*), SIGUSR2 upgrades in place, SIGCHLD reaps, SIGHUP is ignored. The
loop's latency is that of its slowest action, so nothing in it waits.

Its parts: shoal.children (processes), shoal.saving (who waits for the persistence process), shoal.shutdown (the end), shoal.upgrade.

When it is killed, the kernel kills its children; the segment stays, and the next start on the data folder repairs and takes it
over (see shoal.segment).
"""

from __future__ import annotations

import gc
import os
import secrets
import selectors
import signal
import socket
from collections.abc import Callable
from typing import Any

from shoal import engine, limits, log, messages, process, segment, sockets
from shoal.children import Children, Running
from shoal.commands import registry
from shoal.config import Config
from shoal.errors import StartError
from shoal.handover import Handover
from shoal.persist import temporary
from shoal.persist.schedule import Backups
from shoal.processes import BACKUP
from shoal.saving import Saving
from shoal.settings import BY_NAME
from shoal.shutdown import Shutdown
from shoal.upgrade import Upgrade, unblock_signals

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR2)
CLIENTS_MIN = 10000
"""Client records in the segment at least, so that maxclients may be raised at run time."""
_CLOCK_SECONDS = 30.0
"""The wall clock may be set: what is due by it is looked at so often."""


class Supervisor:
    """The parent of all processes of one server."""

    def __init__(
        self,
        config: Config,
        executable: str,
        greet: Callable[[], None],
        started_in: str = "",
        standard_input: str | None = None,
        handed: Handover | None = None,
    ) -> None:
        self.config = config
        self.greet = greet
        self.handed = handed
        """From the software that was here before, on this pid."""
        self.pid = os.getpid()
        self.selector = selectors.DefaultSelector()
        self.children = Children(config, executable, self.selector, self._handle)
        self.saving = Saving(config, self.children, self._saved)
        self.upgrade = Upgrade(self, started_in or os.getcwd(), standard_input)
        self.shutdown = Shutdown(config, self.children, self.saving, self._end_now, self.upgrade.failed)
        self.backups = Backups(config)
        self.backup_told = False
        """The process that makes one has said how it went."""
        self.segment: segment.Segment | None = None
        self.stopping = False
        self.announced = False
        self.failure = ""

    @property
    def listeners(self) -> list[sockets.Listener]:
        return self.children.listeners

    # --- start

    def run(self) -> int:
        """Until the server stops; the exit status."""
        try:
            self._prepare()
        except StartError as e:
            log.warning(str(e))
            self._close_listeners()
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
        values, handed = self.config.values, self.handed
        limits.raise_file_limit(self.config)
        segment.check_room(values["maxmemory"])
        record = segment.lock_folder(values["dir"], held=handed.record_fd if handed else -1)
        self.children.listeners = self._listen(handed)
        self.greet()
        limit = sockets.backlog_limit()
        if values["tcp-backlog"] > limit:
            log.warning(
                f"WARNING: The TCP backlog setting of {values['tcp-backlog']} cannot be enforced because "
                f"/proc/sys/net/core/somaxconn is set to the lower value of {limit}."
            )
        self._open_segment(record, handed.segment_fd if handed else -1)
        self.config.publish(values, self.config.file)
        self.children.make_channels()

    def _listen(self, handed: Handover | None) -> list[sockets.Listener]:
        held = handed.sockets() if handed else []
        found = sockets.open_all(self.config.values, held)
        for listener in held:
            if listener not in found:
                listener.sock.close()
        return found

    def _open_segment(self, record: segment.Record, held: int) -> None:
        values, workers = self.config.values, self.children.workers
        parameters = segment.Parameters(values["databases"], workers, max(values["maxclients"], CLIENTS_MIN))
        found = segment.open_segment(record, parameters, values["keep-memory"], held)
        repaired = 0
        if found.kept:
            try:
                repaired = segment.repair(workers)
            except engine.EngineError as e:
                log.warning(f"The memory that the last instance left is damaged ({e}); it is dropped, and the files are loaded")
                found = segment.begin_anew(found, parameters)
        if not found.kept:
            engine.instance_begin(secrets.token_hex(20), workers)
        engine.set_word("kept_memory", int(found.kept))
        if found.kept:
            keys = sum(engine.db_size(db) for db in range(values["databases"]))
            log.notice(f"Took over the memory of the last instance: {keys} keys, {repaired} interrupted processes repaired")
        self.segment, self.children.segment_fd = found, found.fd

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
        unblock_signals()
        self.selector.register(wake_receive, selectors.EVENT_READ, lambda: self._on_signals(wake_receive.recv(4096)))
        registry.functions()
        gc.collect()
        gc.freeze()
        log.role = "M"
        if self.config["set-proc-title"]:
            process.set_title(self._title())
        log.warning("Server initialized")
        self.children.start_all()
        while True:
            self._loop()
            if not self.upgrade.going:
                break
            self._go_on(self.upgrade.leave())
        signal.set_wakeup_fd(-1)
        wake_receive.close()
        wake_send.close()

    def _loop(self) -> None:
        """Until the server is to stop and all processes have ended."""
        while self.children or not self.stopping:
            for key, _ in self.selector.select(self._timeout()):
                if isinstance(key.data, Running):
                    self.children.hear(key.data)
                else:
                    key.data()
            self.children.kill_overdue()
            self.upgrade.step()
            self._backup_by_the_clock()

    def _go_on(self, why: str) -> None:
        """An upgrade has failed at its last step: the memory is still there, so are the sockets."""
        self.stopping = False
        engine.pause(0, 0)
        self.children.start_all()
        signals = self.upgrade.signals
        self.upgrade.failed(why)
        if self.config["supervised"] in ("systemd", "auto"):
            process.notify_service_manager("READY=1\n")
        for number in signals:
            self._on_stop_signal(number)

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

    def _may_back_up(self) -> bool:
        busy = self.shutdown.cron_paused or self.shutdown.ending is not None or self.upgrade.wanted
        return self.announced and not self.stopping and not busy

    def _timeout(self) -> float | None:
        waits = [self.children.seconds_to_kill(), self.upgrade.seconds_left()]
        if self._may_back_up() and (backup := self.backups.seconds_left()) is not None:
            waits.append(min(backup, _CLOCK_SECONDS))
        return min((w for w in waits if w is not None), default=None)

    # --- signals

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGCHLD in numbers:
            for pid, child, code in self.children.reap():
                if child is None:
                    self.upgrade.died(pid, code)
                else:
                    self._on_death(child, code)
        for number in (signal.SIGINT, signal.SIGTERM):
            if number in numbers:
                self._on_stop_signal(number)
        if signal.SIGUSR2 in numbers:
            self.upgrade.on_signal()

    def _on_stop_signal(self, number: signal.Signals) -> None:
        if self.upgrade.going:
            self.upgrade.signals.append(number)
            return
        self.upgrade.give_up()
        kept = self.segment is not None and self.segment.kept
        self.shutdown.on_signal(number, self.stopping, kept and not self.saving.loaded)

    def _deliver_signals(self) -> None:
        for number in self.shutdown.release_signals():
            self._on_stop_signal(number)

    def _on_death(self, child: Running, code: int) -> None:
        if self.stopping:
            return
        if child.kind.on_demand:
            self.backups.ended(self.backup_told, f"by signal {-code}" if code < 0 else f"with status {code}")
            return
        if child.kind.name == "persistence":
            self.saving.lost(self.shutdown.ending is not None)
            self.shutdown.final_save()  # of a shutdown that waited for a base
        hopeless = self.children.replace(child, code)
        if hopeless:
            self._stop(hopeless)

    # --- messages

    def _handle(self, child: Running, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {}
        match message.get("op"):
            case "ready":
                self.children.is_ready(child)
                self._announce()
            case "apply":
                answer["error"] = self._apply(message["names"])
            case "shutdown":
                log.warning("User requested shutdown...")
                self.upgrade.give_up()
                answer["error"] = ""
                self.shutdown.shutdown(message.get("how", ""), bool(message.get("force")), (child, message["id"]))
                if self.shutdown.ending is not None:
                    return  # answered when the save is done
            case "pause_cron":
                self.shutdown.cron_paused = message["on"]
                self._deliver_signals()
            case "shutdown_abort":
                answer["error"] = self.shutdown.abort()
            case "rewrite" if self.saving.on:
                answer = self.saving.schedule_rewrite()
            case "save" | "reload" | "rewrite":
                answer["error"] = self.saving.ask(message, child)
                if not answer["error"]:
                    return
            case "answer":
                self.saving.answered(message, self.shutdown.ending is not None)
            case "saving":
                self.saving.told(message["on"], self.stopping or self.shutdown.ending is not None)
                if not message["on"] and not self.saving.asked:
                    self.shutdown.final_save()
            case "loaded":
                self.saving.loaded = True
                engine.set_word("loaded", 1)
                if self.announced:
                    engine.set_word("serving", 1)  # a persistence process died while it replaced the dataset by a primary's
                self._announce()
                self._deliver_signals()
            case "backup_ended":
                self.backup_told = True
                self.backups.told(message)
            case "load_failed":
                self._stop(message["error"])
            case "status":
                answer["children"] = [
                    {"kind": c.kind.name, "slot": c.slot, "pid": c.pid, "ready": c.ready} for c in self.children
                ]
            case other:
                answer["error"] = f"unknown request {other}"
        if "id" in message:
            messages.send(child.control, {"re": message["id"], **answer})

    def _saved(self, error: str) -> None:
        """The save that we ourselves have asked for."""
        self.shutdown.after_save(error)

    def _announce(self) -> None:
        """Once: the dataset is there and all workers serve."""
        if self.announced or not self.saving.loaded or not self.children.workers_ready():
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
        if self._may_back_up() and self.backups.seconds_left() == 0:
            self.backup_told = False
            self.backups.begun()
            self.children.start(BACKUP, 0)

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
            most = min(engine.word("clients_max"), limits.most_clients())
            if self.config["maxclients"] > most:
                return (
                    "maxclients: The operating system is not able to handle the specified number of clients, "
                    f"try with {most}"
                )
        for name in names:
            if name.startswith("tls-"):
                return f"{name}: Unable to update TLS configuration. Check server logs."
        if "appendonly" in names:
            problem = self.saving.apply_appendonly()
            if problem:
                return problem
        if "backup" in hooks and self.announced:
            self.backups.plan()
        if "title" in hooks and self.config["set-proc-title"]:
            process.set_title(self._title())
        self.children.tell_workers({"op": "settings"})
        return ""

    def _listen_again(self, name: str) -> str:
        """New TCP sockets; the old ones are closed only when the new ones listen."""
        config = self.config
        old = [listener for listener in self.listeners if not listener.unix]
        unix = [listener for listener in self.listeners if listener.unix]
        # With the same port, sockets whose address stays keep their queue of connections.
        keep, wanted = sockets.kept(old, config["bind"] if config["port"] else [], config["port"])
        try:
            made = sockets.listen_tcp(wanted, config["port"], config["tcp-backlog"], config["socket-mark-id"], beside=old)
        except sockets.BindError as e:
            log.warning(f"Warning: {e}")
            if name == "port":
                return "port: Unable to listen on this port. Check server logs."
            return "bind: Failed to bind to specified addresses."
        self.children.listeners = [*keep, *made, *unix]
        fds = [listener.fd for listener in self.listeners]
        self.children.tell_workers({"op": "listen", "unix": [x.unix for x in self.listeners]}, fds)
        for listener in old:
            if listener not in keep:
                listener.sock.close()
        return ""

    # --- the end

    def _end_now(self, upgrade: bool) -> None:
        """What a shutdown comes to."""
        if upgrade and not self.stopping:
            self.stopping = True
            self.upgrade.begin()
            self.children.stop()
        else:
            self._stop("")

    def _stop(self, failure: str) -> None:
        """The server ends."""
        if self.stopping:
            return
        self.stopping, self.failure = True, failure
        self.upgrade.give_up()
        if self.config["supervised"] in ("systemd", "auto"):
            process.notify_service_manager("STOPPING=1\n")
        self._close_listeners()
        self.children.stop()

    def _close_listeners(self) -> None:
        for listener in self.listeners:
            listener.sock.close()
            if listener.unix and os.getpid() == self.pid:
                log.warning("Removing the unix socket file.")
                try:
                    os.unlink(listener.address.encode("latin-1"))
                except OSError:
                    pass

    def _end(self) -> None:
        """All children are gone (or must go, if we got here by an error)."""
        self.children.bury()
        temporary.sweep(os.fsdecode(self.config["dir"].encode("latin-1")))
        engine.set_word("serving", 0)
        assert self.segment is not None
        untouched = self.segment.kept and not self.saving.loaded  # taken over, and then not even looked at: it is still all there is
        unwritten = self.saving.loaded and self.saving.log_lacks_something()
        if unwritten:
            log.warning("The append only file could not be written: the dataset stays in shared memory for the next start")
        engine.instance_end(not (self.failure or untouched or unwritten))  # not clean: taken over whatever keep-memory says
        wanted = unwritten or bool(self.failure) or self.config["keep-memory"]
        self.segment.end(keep=untouched or (self.saving.loaded and wanted))
