"""SIGUSR2: the newly installed software takes the place of the running one, on the same pid, with the dataset where it is.

    wait      until the dataset is loaded, and no save, rewrite or backup runs
    question  the same command line in a process of its own: can the new software be imported, is its configuration good, does it fit the
              memory? If not, the upgrade is refused and nothing has happened. New listening sockets are opened now, too
    save      only where the memory does not fit and there is no append-only file to load: a final snapshot, with writes paused
    stop      the workers finish, the log is forced, all processes end; connecting clients wait in the backlog
    leave     exec, with the sockets, the locked record and the locked segment open (shoal.handover)

The segment stays marked as one that was not left cleanly, so whoever dies in the middle, the next start takes it over. When the last
step fails, all processes are started again. SIGTERM before `stop` ends the upgrade and the server; later, it is for the new software.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import orjson

from shoal import __version__, engine, handover, log, process, sockets
from shoal.errors import StartError
from shoal.persist.appendonly import LOG_ON

if TYPE_CHECKING:
    from shoal.supervisor import Supervisor

_QUESTION_SECONDS = 60.0
_BLOCKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
_SAME_FILES = ("dir", "appendonly", "appenddirname", "appendfilename", "dbfilename")
"""By these the files are found: where the memory does not fit, they must be as they are now."""


def unblock_signals() -> None:
    """What came while one software took the other's place is delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)


class Refused(Exception):
    """Why the server goes on as it is."""


class Upgrade:
    def __init__(self, server: Supervisor, folder: str, standard_input: str | None) -> None:
        self.server = server
        self.folder = folder
        """Where the server was started: paths of the command line are relative to it."""
        self.standard_input = standard_input
        self.wanted = False
        self.going = False
        """All processes stop, or have stopped, for it."""
        self.question: tuple[int, int] | None = None
        """The process that was asked, and the descriptor of its answer."""
        self.question_ends = 0.0
        self.heard = b""
        self.answer: dict[str, Any] | None = None
        self.sockets: list[sockets.Listener] = []
        """What the new software listens on."""
        self.signals: list[signal.Signals] = []
        """For the new software."""

    # --- signals

    def on_signal(self) -> None:
        ending = self.server.shutdown.ending
        if self.wanted or self.going or (ending and ending.upgrade):
            log.warning("Received SIGUSR2, but an upgrade is under way")
        elif self.server.stopping or ending:
            log.warning("Received SIGUSR2, but the server is stopping")
        else:
            self.wanted = True
            waits = self._waits_for()
            log.warning(f"Received SIGUSR2 scheduling an upgrade in place...{' It waits for ' + waits if waits else ''}")
            self.step()

    def give_up(self) -> None:
        """The server is told to stop before the upgrade has begun."""
        if self.wanted:
            log.warning("The upgrade is given up: the server is told to stop")
        self._forget()

    def _forget(self) -> None:
        self.wanted, self.answer = False, None
        if self.question is not None:
            pid, fd = self.question
            self.server.selector.unregister(fd)
            os.close(fd)
            os.kill(pid, signal.SIGKILL)
            self.question = None
        for listener in self.sockets:
            if listener not in self.server.listeners:
                listener.sock.close()
                if listener.unix:
                    os.unlink(listener.address.encode("latin-1"))
        self.sockets = []

    # --- the steps

    def _waits_for(self) -> str:
        server = self.server
        if not server.announced:
            return "the dataset to be loaded"
        if server.saving.on:
            return "the rewrite that runs" if server.saving.rewriting else "the save that runs"
        return "the backup that runs" if server.children.of("backup") else ""

    def seconds_left(self) -> float | None:
        return max(self.question_ends - time.monotonic(), 0.0) if self.question else None

    def step(self) -> None:
        """Go on if there is something to be done now."""
        if self.question and time.monotonic() >= self.question_ends:
            self._refuse(f"the new software does not answer within {_QUESTION_SECONDS:.0f} seconds")
        if not self.wanted or self.question or self._waits_for() or self.server.shutdown.ending:
            return
        try:
            if self.answer is None:
                self._ask()
            else:
                self._go()
        except (Refused, OSError) as e:
            self._refuse(str(e))

    def _refuse(self, why: str) -> None:
        self._forget()
        log.warning(f"The upgrade is refused, the server goes on as it is: {why}")

    def _command(self) -> list[str]:
        return [sys.executable, *sys.orig_argv[1:]]

    def _handover(self, pid: int) -> handover.Handover:
        server = self.server
        assert server.segment is not None
        server.config.refresh()
        return handover.Handover(pid, server.segment.name, handover.changed(server.config.configured, server.config.values))

    def _feed_standard_input(self) -> None:
        """What was read from it once can be read again."""
        if self.standard_input is not None:
            fd = os.memfd_create("shoal-stdin")
            os.write(fd, self.standard_input.encode("latin-1"))
            os.lseek(fd, 0, os.SEEK_SET)
            os.dup2(fd, 0)
            os.close(fd)

    def _ask(self) -> None:
        ours, theirs = os.pipe()
        text = self._handover(0).write()
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir(self.folder)
                os.dup2(theirs, 1)
                os.dup2(theirs, 2)
                self._feed_standard_input()
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                process.die_with_parent(self.server.pid)
                os.execve(sys.executable, self._command(), handover.environment(0, text))
            except OSError as e:
                os.write(2, f"{e}\n".encode())
            finally:
                os._exit(1)
        os.close(theirs)
        os.close(text)
        os.set_blocking(ours, False)
        self.heard = b""
        self.question, self.question_ends = (pid, ours), time.monotonic() + _QUESTION_SECONDS
        self.server.selector.register(ours, selectors.EVENT_READ, self._hear)

    def _hear(self) -> None:
        assert self.question is not None
        while True:
            try:
                data = os.read(self.question[1], 65536)
            except BlockingIOError:
                return
            if not data:
                break
            self.heard += data
        self.server.selector.unregister(self.question[1])  # its death is told by SIGCHLD

    def died(self, pid: int, code: int) -> None:
        """A process that is no child of a kind."""
        if self.question is None or self.question[0] != pid:
            return
        fd = self.question[1]
        if fd in self.server.selector.get_map():
            self._hear()
        if fd in self.server.selector.get_map():
            self.server.selector.unregister(fd)
        os.close(fd)
        self.question = None
        lines = self.heard.decode(errors="replace").strip().splitlines()
        try:
            self.answer = orjson.loads(lines[-1]) if code == 0 and lines else None
        except orjson.JSONDecodeError:
            self.answer = None
        if not isinstance(self.answer, dict) or "values" not in self.answer:
            self._refuse(f"the new software cannot start: {' / '.join(lines[-4:]) or f'it ended with status {code}'}")
            return
        self.step()

    def _go(self) -> None:
        """The new software can start: give up the old one. Raises Refused or OSError."""
        server = self.server
        assert self.answer is not None
        values, misfit = self.answer["values"], self.answer["misfit"]
        save = False
        if not os.path.samefile(values["dir"].encode("latin-1"), server.config["dir"].encode("latin-1")):
            raise Refused(f"the configuration names another data directory ({values['dir']}); stop and start for that")
        if misfit:
            save = self._through_files(values, misfit)
        try:
            self.sockets = sockets.open_all(values, server.listeners)
        except StartError as e:
            raise Refused(str(e)) from None
        log.warning(f"Upgrading from Shoal {__version__} to {self.answer['shoal']} in place")
        if misfit:
            way = "a final snapshot is saved and loaded" if save else "the append only file is loaded"
            log.warning(f"The memory cannot be taken over ({misfit}): {way}")
        self.wanted = False
        server.shutdown.shutdown("save" if save else "nosave", False, None, upgrade=True)

    def _through_files(self, values: dict[str, Any], misfit: str) -> bool:
        """The new software will load the files: do they, or can they, hold everything? True: they must be saved first."""
        config = self.server.config
        for name in _SAME_FILES[1:]:
            if values[name] != config[name]:
                raise Refused(f"the memory cannot be taken over ({misfit}), the configuration has another {name}: CONFIG SET it first")
        if values["databases"] < config["databases"]:
            raise Refused(f"the memory cannot be taken over ({misfit}), and there would be fewer databases")
        if not config["appendonly"]:
            return True
        if engine.word("log_state") != LOG_ON or engine.word("log_failed"):
            raise Refused(f"the memory cannot be taken over ({misfit}), and the append only file cannot be written now")
        return False

    # --- the end

    def begin(self) -> None:
        """All processes are told to stop."""
        self.going = True
        if self.server.config["supervised"] in ("systemd", "auto"):
            process.notify_service_manager(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\n")

    def leave(self) -> str:
        """All processes have ended. Does not come back if all is well; else says why."""
        server = self.server
        assert server.segment is not None and self.answer is not None
        if self.answer["misfit"] and server.config["appendonly"] and engine.log_position().lsn < engine.word("lsn"):
            return "the append only file could not be written to its end"
        handed = self._handover(server.pid)
        handed.listeners = handover.listed(self.sockets)
        handed.record_fd, handed.segment_fd = server.segment.record.fd, server.segment.fd
        fds = [listener.fd for listener in self.sockets] + [handed.record_fd, handed.segment_fd]
        signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        for number in self.signals:
            os.kill(server.pid, number)
        try:
            text = handed.write()
            for fd in fds:
                os.set_inheritable(fd, True)
            self._feed_standard_input()
            os.chdir(self.folder)
            for listener in server.listeners:
                if listener.unix and listener not in self.sockets:
                    os.unlink(listener.address.encode("latin-1"))
            sys.stdout.flush()
            os.execve(sys.executable, self._command(), handover.environment(server.pid, text))
        except OSError as e:
            for fd in fds:
                os.set_inheritable(fd, False)
            os.close(text)
            os.chdir(server.config["dir"].encode("latin-1"))
            return str(e)

    def failed(self, why: str) -> None:
        """The processes were started again."""
        self.going, self.signals = False, []
        self._refuse(why)
        unblock_signals()
