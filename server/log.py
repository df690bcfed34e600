"""The server's log: Redis' line format, to standard output, a file or syslog.

`pid:role dd Mon yyyy hh:mm:ss.mmm level message`, where role is M (primary), S (replica) or C (child, and the start), and level
is . debug - verbose * notice # warning. Used by every process; a file is opened for each line so that it may be rotated.
"""

from __future__ import annotations

import os
import sys
import syslog
import time

DEBUG, VERBOSE, NOTICE, WARNING = range(4)
LEVELS = ("debug", "verbose", "notice", "warning")
_MARKS = ".-*#"
_SYSLOG = (syslog.LOG_DEBUG, syslog.LOG_INFO, syslog.LOG_NOTICE, syslog.LOG_WARNING)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

role = "C"
level = NOTICE
_file = ""
_to_syslog = False


def configure(level_name: str, file: str, to_syslog: bool, ident: str, facility: str) -> None:
    """From now on log like this. Raises OSError when the file cannot be written."""
    global level, _file, _to_syslog
    level = LEVELS.index(level_name)
    if file:
        with open(file.encode("latin-1"), "ab"):
            pass
    _file = file
    _to_syslog = to_syslog
    if to_syslog:
        syslog.openlog(ident, syslog.LOG_PID | syslog.LOG_NDELAY, getattr(syslog, "LOG_" + facility.upper()))


def set_level(level_name: str) -> None:
    global level
    level = LEVELS.index(level_name)


def write(at: int, message: str) -> None:
    """One line, if the level asks for it. Never raises."""
    if at < level:
        return
    now = time.time()
    t = time.localtime(now)
    stamp = f"{t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {time.strftime('%H:%M:%S', t)}.{int(now * 1000) % 1000:03d}"
    line = f"{os.getpid()}:{role} {stamp} {_MARKS[at]} {message}\n"
    _emit(line.encode("utf-8", "surrogateescape"))
    if _to_syslog:
        syslog.syslog(_SYSLOG[at], message)


def _emit(data: bytes) -> None:
    try:
        if _file:
            fd = os.open(_file.encode("latin-1"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)
        else:
            sys.stdout.flush()
            os.write(1, data)
    except (OSError, ValueError):
        pass


def descriptor() -> int:
    """A descriptor for code that writes its lines itself: the file, opened anew, or a copy of standard output."""
    try:
        return os.open(_file.encode("latin-1"), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644) if _file else os.dup(1)
    except OSError:
        return -1


def raw(text: str) -> None:
    """Lines without a head, as the logo."""
    _emit(text.encode())


def to_standard_output() -> bool:
    return not _file


def debug(message: str) -> None:
    write(DEBUG, message)


def verbose(message: str) -> None:
    write(VERBOSE, message)


def notice(message: str) -> None:
    write(NOTICE, message)


def warning(message: str) -> None:
    write(WARNING, message)
