"""A run of a program that tells what it does, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kube_provision_temporal import program
from kube_provision_temporal.values import Progress

PYTHON = (sys.executable, "-c")


def test_lines_that_only_look_like_events_are_told_and_what_comes_after_them_is_heard(tmp_path: Path) -> None:
    text = """
import sys
say = lambda line: print(line, file=sys.stderr, flush=True)
for line in ('{', '{"error": 1}', '{"action": "create"}', '{"action": "create", "subject": [], "state": "done"}', '[]'):
    say(line)
say("{" + "x" * 17 * 1024 * 1024)
say('{"action": "create", "subject": "m-1", "state": "done"}')
"""
    heard: list[Progress] = []
    ended = asyncio.run(program.run([text], tmp_path, heard.append, PYTHON))
    assert ended.code == 0
    assert heard == [Progress(1, 0, [])]
    assert ended.begun
    assert ended.told[:2] == ("{", '{"error": 1}')
    assert "[]" in ended.told


def test_an_interruption_that_was_asked_for_is_no_action(tmp_path: Path) -> None:
    text = """import sys
print('{"action": "interrupt", "subject": "prod", "state": "requested"}', file=sys.stderr)"""
    assert not asyncio.run(program.run([text], tmp_path, lambda _: None, PYTHON)).begun


def test_what_cannot_be_followed_is_stopped_before_that_is_told(tmp_path: Path) -> None:
    text = """
import os, sys, time
open("pid", "w").write(str(os.getpid()))
print('{"action": "create", "subject": "m-1", "state": "done"}', file=sys.stderr, flush=True)
time.sleep(600)
"""

    def broken(_: Progress) -> None:
        raise LookupError("a bug of ours")

    begun = time.monotonic()
    try:
        with pytest.raises(LookupError):
            asyncio.run(program.run([text], tmp_path, broken, PYTHON))
        assert time.monotonic() - begun < 300
        assert not Path("/proc", (tmp_path / "pid").read_text()).exists()
    finally:
        with suppress(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
