"""`shoal status`: processes, deaths, clients, operations, memory, and how far a save, rewrite, load or backup is."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Any

from shoal.admin.connection import Connection, Failure, keys_of

_BAR = 40
_CLEAR, _CLEAR_LINE, _CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"


def status(connection: Connection, as_json: bool) -> int:
    """Exit status 1 when a worker is not serving."""
    info = connection.info()
    report = facts(info)
    print(json.dumps(report, indent=2) if as_json else "\n".join(page(report)))
    return int(report["workers_ready"] < report["workers_wanted"])


def watch(connect: Any, seconds: float, as_json: bool) -> int:
    """Again and again, until interrupted; waits for a server that is gone."""
    connection: Connection | None = None
    while True:
        try:
            connection = connection or connect()
            report = facts(connection.info())
            lines = [json.dumps(report)] if as_json else page(report)
        except (Failure, OSError) as e:
            connection, lines = None, [f"shoal: {e}"]
        _show(lines)
        time.sleep(seconds)


def _show(lines: list[str]) -> None:
    if not sys.stdout.isatty():
        print("\n".join(lines), flush=True)
        return
    width, height = shutil.get_terminal_size()
    fitting = [line[:width] + _CLEAR_LINE for line in lines[: height - 1]]
    sys.stdout.write(_CLEAR + "\n".join(fitting) + "\n" + _CLEAR_REST)
    sys.stdout.flush()


# --- what INFO says ---------------------------------------------------------------------------------------------------


def _workers(info: dict[str, str]) -> list[dict[str, Any]]:
    found = []
    for name, text in info.items():
        if name.startswith("worker") and name[6:].isdigit():
            fields = dict(part.split("=", 1) for part in text.split(","))
            found.append({"slot": int(name[6:]), **{k: int(v) for k, v in fields.items()}})
    return sorted(found, key=lambda w: int(w["slot"]))


def _running(info: dict[str, str]) -> list[dict[str, Any]]:
    """Works that take time: what, done, of how much, in what unit, for how many seconds."""
    found: list[dict[str, Any]] = []

    def add(what: str, done: str, total: str, unit: str, seconds: float) -> None:
        found.append({"what": what, "done": int(info.get(done, 0)), "total": int(info.get(total, 0)), "unit": unit, "seconds": seconds})

    if info.get("loading") == "1" and "loading_total_bytes" in info:
        began = int(info["server_time_usec"]) / 1e6 - int(info["loading_start_time"])
        add("load", "loading_loaded_bytes", "loading_total_bytes", "bytes", max(began, 0))
    if info["rdb_bgsave_in_progress"] == "1":
        add("save", "current_save_keys_processed", "current_save_keys_total", "keys", int(info["rdb_current_bgsave_time_sec"]))
    if info["aof_rewrite_in_progress"] == "1":
        add("rewrite", "current_save_keys_processed", "current_save_keys_total", "keys", int(info["aof_current_rewrite_time_sec"]))
    if info["memory_check_status"] == "running":
        add("check", "memory_check_stripes_done", "memory_check_stripes_total", "stripes", 0)
    if info["backup_in_progress"] == "1":
        add("backup", "", "", "", int(info["backup_current_time_sec"]))
    return found


def facts(info: dict[str, str]) -> dict[str, Any]:
    if "shoal_version" not in info:
        raise Failure("this server is not Shoal")
    deaths = {name.removeprefix("deaths_"): int(v) for name, v in info.items() if name.startswith("deaths_")}
    return {
        "version": info["shoal_version"],
        "pid": int(info["process_id"]),
        "port": int(info["tcp_port"]),
        "uptime_seconds": int(info["uptime_in_seconds"]),
        "workers": _workers(info),
        "workers_ready": int(info["workers_ready"]),
        "workers_wanted": int(info["workers"]),
        "worker_deaths": int(info["worker_deaths"]),
        "deaths": deaths,
        "clients": int(info["connected_clients"]),
        "operations_per_second": int(info["instantaneous_ops_per_sec"]),
        "commands": int(info["total_commands_processed"]),
        "keys": keys_of(info),
        "memory_used": int(info["used_memory"]),
        "memory_committed": int(info["segment_committed"]),
        "memory_private": int(info["processes_private_memory"]),
        "maxmemory": int(info["maxmemory"]),
        "memory_check": {name.removeprefix("memory_check_"): v for name, v in info.items() if name.startswith("memory_check_")},
        "running": _running(info),
        "last_save": {"time": int(info["rdb_last_save_time"]), "ok": info["rdb_last_bgsave_status"] == "ok",
                      "changes_since": int(info["rdb_changes_since_last_save"])},
        "log": _log(info),
        "backup": {name.removeprefix("backup_"): value for name, value in info.items() if name.startswith("backup_")},
    }  # fmt: skip


def _log(info: dict[str, str]) -> dict[str, Any] | None:
    """The append-only file; None: it is off."""
    if info["aof_enabled"] != "1":
        return None
    lsn, written, durable = (int(info[f"aof_{what}_lsn"]) for what in ("last", "written", "synced"))
    ok = info["aof_last_write_status"] == "ok" and info["aof_last_bgrewrite_status"] == "ok"
    return {"bytes": int(info["aof_current_size"]), "lsn": lsn, "unwritten": lsn - written, "unsynced": lsn - durable, "ok": ok}


# --- the page, at most 80 columns -------------------------------------------------------------------------------------


def _size(n: float) -> str:
    for unit in ("B", "K", "M", "G"):
        if n < 1024:
            return f"{n:.0f}{unit}" if unit in "BK" else f"{n:.1f}{unit}"
        n /= 1024
    return f"{n:.1f}T"


def duration(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{days}d " if days else "") + f"{hours:02d}:{minutes:02d}:{rest:02d}"


def bar(done: int, total: int) -> str:
    part = min(done / total, 1.0) if total else 0.0
    full = int(part * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {100 * part:3.0f} %"


def _progress(work: dict[str, Any]) -> str:
    if not work["total"]:
        return f"{work['what']:<9} running for {duration(work['seconds'])}"
    done, total = work["done"], work["total"]
    amount = f"{_size(done)} of {_size(total)}" if work["unit"] == "bytes" else f"{done} of {total} {work['unit']}"
    return f"{work['what']:<9} {bar(done, total)}  {amount}"[:80]


def _ago(moment: int) -> str:
    return f"{duration(max(time.time() - moment, 0))} ago"


def page(r: dict[str, Any]) -> list[str]:
    others = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in r["deaths"].items() if n)
    more = f" (others: {others})" if others else ""
    lines = [
        f"Shoal {r['version']}, pid {r['pid']}, port {r['port']}, up {duration(r['uptime_seconds'])}",
        f"workers   {r['workers_ready']} of {r['workers_wanted']} serving, {r['worker_deaths']} deaths{more}",
    ]
    lines += [f"          {w['slot']}: pid {w['pid']}, {w['clients']} clients, {w['births']} births" for w in r["workers"]]
    limit = _size(r["maxmemory"]) if r["maxmemory"] else "none"
    save, (used, shared, private) = r["last_save"], (_size(r[f"memory_{what}"]) for what in ("used", "committed", "private"))
    lines += [
        f"clients   {r['clients']}",
        f"commands  {r['commands']}, {r['operations_per_second']} per second now",
        f"keys      {r['keys']}",
        f"memory    {used} used, {shared} shared, {private} private, limit {limit}",
        f"snapshot  {_ago(save['time'])}, {save['changes_since']} changes since" + ("" if save["ok"] else ", THE LAST SAVE FAILED"),
    ]
    if (log := r["log"]) is not None:
        state = "" if log["ok"] else ", WRITING FAILED"
        lines.append(f"log       {_size(log['bytes'])}, LSN {log['lsn']}, {log['unsynced']} records not yet on the disk{state}")
    lines += _check_lines(r["memory_check"])
    lines += _backup_lines(r["backup"])
    return lines + [_progress(work) for work in r["running"]]


def _check_lines(c: dict[str, str]) -> list[str]:
    """Of memory that was taken over."""
    if c.get("status") == "sound":
        return [f"check     the memory that was taken over is sound ({c['keys']} keys)"]
    if int(c.get("damaged", 0)):
        return [f"check     THE MEMORY THAT WAS TAKEN OVER IS DAMAGED in {c['damaged']} places", f"          {c['first_damage']}"[:80]]
    return []


def _backup_lines(b: dict[str, str]) -> list[str]:
    if int(b.get("next_time", 0)) == 0 and int(b.get("last_time", 0)) == 0 and b.get("last_status") == "ok":
        return []
    last = f"last {_ago(int(b['last_time']))}" if int(b["last_time"]) else "none yet"
    following = f", next in {duration(max(int(b['next_time']) - time.time(), 0))}" if int(b["next_time"]) else ""
    failed = "" if b["last_status"] == "ok" else ", THE LAST ONE FAILED"
    return [f"backup    {last}{following}{failed}"]
