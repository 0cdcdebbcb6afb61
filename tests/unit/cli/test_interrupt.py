"""Ctrl-C twice, as the program's user presses it: the second one ends what the first one has only asked to end."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIMIT = 120.0
"""Seconds for whatever the program says or does next: what hangs in it, hangs for ever."""

Start = Callable[..., "subprocess.Popen[bytes]"]

PROGRAM = """
import ctypes, os, sys, termios, threading
sys.path[:0] = [{site!r}, {doubles!r}]
import kp_cli_doubles
from kube_provision_core import hookimpl
from kube_provision_core.cli import interrupt, main

def say(text):
    os.write(2, (text + chr(10)).encode())

def hang(text):
    say(text)
    threading.Event().wait()

class Stuck(kp_cli_doubles.Memory):
    @hookimpl
    def list_vms(self, cluster):
        if {hangs!r} == "looking":
            try:
                hang("asked")
            finally:
                hang("tidying")
        return super().list_vms(cluster)

    @hookimpl
    def provision_vm(self, node, boot):
        hang("asked")

    @hookimpl
    def deliver_task(self, vm, task):
        hang("asked")

    @hookimpl
    def close(self):
        if {hangs!r} == "leaving":
            hang("tidying")

kp_cli_doubles.Memory = Stuck
interrupt._LAST_WORDS = {limit}  # these are read, however slow the machine
{before}
sys.exit(main())
"""

MADE = """
Stuck.provision_vm = hookimpl(lambda self, node, boot: super(Stuck, self).provision_vm(node, boot))
assert main("provision --config config.yml -m 1 -w 0 --no-wait --output json --progress json".split()) == 0
"""
"""A cluster, of which a machine can be asked something."""

WAITING = """
def deliver(self, vm, task):
    say("asked" if task else "taken away")
    return True
Stuck.deliver_task = hookimpl(deliver)
"""
"""The target answers, and the machine does not."""

DEAF = """
def look(self, cluster):
    mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    threading.Timer(0.5, say, ("asked",)).start()
    lock(mutex)
Stuck.list_vms = hookimpl(look)
"""
"""A library that does not return, as that which asks for a name that no server of DNS resolves."""

THREAD = """
def look(self, cluster):
    threading.Thread(target=threading.Event().wait).start()
    hang("asked")
Stuck.list_vms = hookimpl(look)
"""
"""Somebody waits for a server that never answers."""

SILENT = """
def look(self, cluster):
    changed = termios.tcgetattr(2)
    changed[3] &= ~termios.ECHO
    termios.tcsetattr(2, termios.TCSANOW, changed)
    try:
        hang("asked")
    finally:
        hang("tidying")
Stuck.list_vms = hookimpl(look)
"""
"""As while a passphrase is typed."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """The program, on a target that never answers, where it is said that this `hangs`."""
    (tmp_path / "config.yml").write_text("target: memory\nos: plain\ndiscovery: table\nname: prod\n")
    begun: list[subprocess.Popen[bytes]] = []

    def start(hangs: str, *words: str, before: str = "", **more: Any) -> subprocess.Popen[bytes]:
        script = PROGRAM.format(
            site=str(HERE / "site"), doubles=str(HERE.parents[1]), hangs=hangs, limit=LIMIT, before=before
        )
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed}
        process = subprocess.Popen(
            [sys.executable, "-c", script, words[0], "--config", "config.yml", *words[1:]],
            cwd=tmp_path,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"},
            bufsize=0,
            **{**pipes, **more},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def heed() -> None:
    """Whoever runs the tests may have started them to outlive their terminal (`nohup`)."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def press(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGINT) -> None:
    process.send_signal(number)


def await_output(descriptor: int) -> None:
    if not select.select([descriptor], [], [], LIMIT)[0]:
        pytest.fail(f"it has said nothing for {LIMIT:.0f} s")


def hear(process: subprocess.Popen[bytes], text: str) -> None:
    assert process.stderr
    told = []
    while line := (await_output(process.stderr.fileno()), process.stderr.readline().decode())[1]:
        told.append(line)
        if text in line:
            return
    pytest.fail(f"it has ended, and never said {text!r}: {''.join(told)}")


def last_line(process: subprocess.Popen[bytes]) -> str:
    """Of a program that has just been ended."""
    errors = process.communicate(timeout=LIMIT)[1].decode()
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "ignored" not in errors
    return errors.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ("provision",),
        ("plan",),
        ("plan", "destroy"),
        ("status",),
        ("why", "m-prod-1"),
        ("logs", "m-prod-1"),
        ("exec", "m-prod-1", "--", "true"),
        ("ssh", "m-prod-1"),
        ("support-bundle", "it.tar.zst"),
        ("certificates",),
        ("upgrade", "--no-backup"),
        ("replace", "m-prod-1", "--yes"),
        ("destroy", "--yes"),
    ],
    ids=" ".join,
)
def test_the_second_one_ends_every_command_that_tidies(start: Start, words: tuple[str, ...]) -> None:
    process = start("looking", *words)
    hear(process, "asked")
    press(process)
    hear(process, "tidying")
    press(process)
    assert last_line(process).startswith("kube-provision: interrupted, and ended at once")


class TestOfARun:
    WORDS = ("provision", "--progress", "plain", "--no-wait", "--output", "json")

    def test_the_second_one_leaves_what_runs_and_the_report_has_its_time(self, start: Start) -> None:
        """And no more: here the target does not let go of the session."""
        process = start("leaving", *self.WORDS, before="interrupt.REPORT_TIME = 10")
        hear(process, "asked")
        press(process)
        hear(process, "stopping")
        press(process)
        hear(process, "leaving what still runs")
        hear(process, "tidying")
        assert last_line(process) == (
            "kube-provision: interrupted, and ended at once. May be left: this run's lock in discovery, which ends by "
            "itself within a minute; what was begun on the target, which the next run finds"
        )

    def test_the_third_one_does_not_wait_for_that(self, start: Start) -> None:
        process = start("leaving", *self.WORDS, before="interrupt.REPORT_TIME = 600")
        hear(process, "asked")
        press(process)
        hear(process, "stopping")
        press(process)
        hear(process, "tidying")
        press(process)
        assert "what was begun on the target" not in last_line(process), "the run is over"

    def test_a_report_is_printed(self, start: Start) -> None:
        process = start("nowhere", *self.WORDS, before=f"interrupt.REPORT_TIME = {LIMIT}")
        hear(process, "asked")
        press(process)
        hear(process, "stopping")
        press(process)
        output, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 130
        assert json.loads(output)["interrupted"] is True


@pytest.mark.parametrize(
    "words",
    [
        ("logs", "m-prod-1"),
        ("logs", "m-prod-1", "--follow"),
        ("exec", "m-prod-1", "--", "true"),
        ("support-bundle", "it.tar.zst"),
    ],
    ids=" ".join,
)
def test_whoever_asks_a_machine_is_told_what_that_may_do_still(start: Start, words: tuple[str, ...]) -> None:
    process = start("nowhere", *words, before=MADE)
    hear(process, "asked")
    press(process)
    time.sleep(0.5)  # it waits for the target
    press(process)
    assert "May be left: " in (line := last_line(process))
    assert "what a machine was given to do, which the next run takes away that gives it something" in line


@pytest.mark.parametrize("words", [("logs", "m-prod-1"), ("exec", "m-prod-1", "--", "true")], ids=" ".join)
def test_the_first_one_takes_away_what_a_machine_was_given(start: Start, words: tuple[str, ...]) -> None:
    process = start("nowhere", *words, before=MADE + WAITING)
    hear(process, "asked")
    press(process)
    hear(process, "taken away")
    assert last_line(process) == "kube-provision: interrupted"


@pytest.mark.parametrize("hangs", [DEAF, THREAD], ids=["a library hangs", "threads hang that are waited for at the end"])
def test_it_is_heard_where_no_handler_is_called(start: Start, hangs: str) -> None:
    process = start("nowhere", "status", before=hangs)
    hear(process, "asked")
    press(process)
    time.sleep(0.5)
    press(process)
    last_line(process)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_nothing_but_ctrl_c_is_a_second_one(start: Start, number: signal.Signals) -> None:
    """A shell whose terminal goes away sends what the system has sent already."""
    process = start("looking", "status")
    hear(process, "asked")
    press(process, number)
    hear(process, "tidying")
    press(process, number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    press(process)
    last_line(process)


def test_the_terminal_is_given_back_as_it_was(start: Start) -> None:
    def sit_at_it() -> None:
        heed()
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    ours, theirs = os.openpty()
    try:
        before = termios.tcgetattr(theirs)
        terminal = {"stderr": theirs, "start_new_session": True, "preexec_fn": sit_at_it}
        process = start("looking", "status", before=SILENT, **terminal)
        see(ours, b"asked")
        os.write(ours, b"\x03")
        see(ours, b"tidying")
        assert termios.tcgetattr(theirs) != before
        os.write(ours, b"\x03")
        see(ours, b"kube-provision: interrupted, and ended at once")
        assert process.wait(LIMIT) == 130
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def see(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        await_output(terminal)
        seen += os.read(terminal, 1000)
