"""One machine's process: whether it runs, starting it, powering it off.

A machine runs while a process holds the lock on its pid file, and it is this machine when QMP answers with its uuid.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import Power, TargetError, replace_file

from . import files, processes, wire
from .places import AGENT_SOCKET, CONSOLE, LOG, PID_FILE, QMP_SOCKET, STATUS
from .qmp import Qmp, QmpError, session
from .record import Record
from .sockets import connect

LARGEST_LOG = 1024 * 1024
"""Bytes of a log that a machine takes along when it is powered on again."""

PRESS_AGAIN = 10.0
"""Seconds. Who is shutting down already heeds no second press."""

AGENT_ANSWER = 3.0
"""Seconds for a guest agent to say that it is there."""


@dataclass(frozen=True)
class Bounds:
    """Seconds that each way of powering off may take."""

    powerdown: float = 120.0
    """The power button. systemd gives a service 90 s to end, which a master's API server takes that waits for its etcd, and
    then there are disks to unmount."""
    agent: float = 10.0
    """The guest agent, where there is one."""
    quit: float = 5.0
    """Ending the process, as if the plug were pulled."""


@dataclass(frozen=True)
class Sight:
    """What one look at a machine shows."""

    power: Power
    connected: bool = True
    """Its connections to switches are alive."""


def look(record: Record, folder: Path) -> Sight:
    """Whether the machine runs. One that runs and does not answer counts as powered on.

    Raises `TargetError` where another machine answers in its place.
    """
    if files.holder(folder / PID_FILE) is None:
        return Sight(Power.OFF)
    try:
        with session(folder / QMP_SOCKET) as qmp:
            _check_identity(qmp, record, folder)
            return Sight(_power(qmp), _is_connected(qmp, record))
    except QmpError:
        return Sight(Power.OFF if files.holder(folder / PID_FILE) is None else Power.ON)


def on_since(folder: Path) -> float | None:
    """Since when the machine's process runs: it writes its pid file when it begins."""
    with contextlib.suppress(OSError):
        return (folder / PID_FILE).stat().st_mtime
    return None


def start(record: Record, folder: Path, command: Sequence[str]) -> None:
    """Power the machine on; its lock is held. Raises `TargetError`, with nothing left running, when it does not start."""
    for log in (LOG, CONSOLE):
        _trim(folder / log)
    (folder / STATUS).unlink(missing_ok=True)  # what it told before it was powered off says nothing about this boot
    processes.start(command, folder, log=LOG, pid_file=PID_FILE, serves=lambda: _serves(record, folder))


def resume(record: Record, folder: Path) -> None:
    """Let a machine go on that was paused: by a person, or by QEMU because the disk was full. Its lock is held."""
    try:
        with session(folder / QMP_SOCKET) as qmp:
            _check_identity(qmp, record, folder)
            state = qmp.execute("query-status")["status"]
            qmp.execute("system_wakeup" if state == "suspended" else "cont")
            # A disk that is still full pauses it again at the first write.
            time.sleep(0.2)
            if qmp.execute("query-status")["status"] == "io-error":
                raise TargetError(
                    f"{record.name} is paused because its disk cannot be written: is {folder} full? Run again then"
                )
    except QmpError as problem:
        raise TargetError(f"{record.name} is paused and does not go on ({problem}): see {folder / LOG}") from problem


def stop(record: Record, folder: Path, bounds: Bounds) -> None:
    """Power the machine off: by its power button, by its guest agent, by ending its process. Its lock is held. Idempotent.

    Raises `TargetError` where another machine answers in its place, and when the process cannot be ended.
    """
    pid_file = folder / PID_FILE
    if files.holder(pid_file) is None:
        return
    if _press_button(record, folder, bounds.powerdown):
        return
    if _ask_agent(folder / AGENT_SOCKET, min(bounds.agent, AGENT_ANSWER)) and processes.wait_gone(pid_file, bounds.agent):
        return
    if _ask(record, folder, "quit") and processes.wait_gone(pid_file, bounds.quit):
        return
    processes.kill(pid_file)


def _press_button(record: Record, folder: Path, seconds: float) -> bool:
    """Whether it has powered itself off. Pressed again and again: a system that has only just begun does not feel it yet."""
    deadline = time.monotonic() + seconds
    while _ask(record, folder, "system_powerdown"):
        left = deadline - time.monotonic()
        if processes.wait_gone(folder / PID_FILE, min(left, PRESS_AGAIN)):
            return True
        if left <= PRESS_AGAIN:
            return False
    return False


def _ask(record: Record, folder: Path, command: str) -> bool:
    """Whether the process has taken the command."""
    try:
        with session(folder / QMP_SOCKET) as qmp:
            _check_identity(qmp, record, folder)
            qmp.execute(command)
    except QmpError:
        return False
    return True


def _ask_agent(path: Path, timeout: float) -> bool:
    """Whether a guest agent is there, which is then told to power off; to that command it does not answer."""
    mark = time.monotonic_ns() % 2**31
    try:
        with connect(path, timeout) as agent, agent.makefile("rb") as answers:
            agent.sendall(json.dumps({"execute": "guest-sync", "arguments": {"id": mark}}).encode() + b"\n")
            if json.loads(answers.readline(4096)).get("return") != mark:
                return False
            agent.sendall(json.dumps({"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}).encode() + b"\n")
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _serves(record: Record, folder: Path) -> bool:
    try:
        with session(folder / QMP_SOCKET) as qmp:
            _check_identity(qmp, record, folder)
            return _is_connected(qmp, record)
    except QmpError:
        return False


def _is_connected(qmp: Qmp, record: Record) -> bool:
    return all(wire.is_connected(qmp, hub) for hub, _ in record.cards)


def _check_identity(qmp: Qmp, record: Record, folder: Path) -> None:
    uuid, name = qmp.execute("query-uuid")["UUID"], qmp.execute("query-name").get("name")
    if uuid != record.uuid:
        raise TargetError(
            f"{folder / QMP_SOCKET}: machine {name or uuid} answers there, not {record.name}; it is left alone"
        )


def _power(qmp: Qmp) -> Power:
    state = qmp.execute("query-status")["status"]
    return Power.ON if state in ("running", "prelaunch", "inmigrate", "debug") else Power.SUSPENDED


def _trim(log: Path) -> None:
    """Keep the end of a log that has grown too large. The machine is powered off."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        replace_file(log, files.read_tail(log, LARGEST_LOG // 2).encode())
