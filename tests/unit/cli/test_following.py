"""A machine that is followed: what comes is printed as it comes, other runs find the lock free, and Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from doubles.memory import World

from kube_provision_core.cli import following
from kube_provision_core.contract.errors import BusyError, TargetError
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs import asking
from kube_provision_core.verbs.asking import Told

FOLLOW = ("logs", "w-prod-1", "kubelet", "--follow", "--lines", "9", "-c", "config.yml")
STATE = Path("state/kube-provision")


@pytest.fixture
def looks(world: World, run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[object]]:
    """Answers come in this order; since when each was asked for is told."""
    run("--config", "config.yml", "--masters", "1", "--workers", "1", "--no-wait")
    monkeypatch.setattr(following, "PAUSE", 0.01)

    def answer(*answers: Callable[[], tuple[Told, str | int]]) -> list[object]:
        left, asked = iter(answers), []

        def look(session, node, unit, since, user) -> tuple[Told, str | int]:
            asked.append((node, unit, since))
            return next(left)()

        monkeypatch.setattr(asking, "follow_journal", look)
        return asked

    return answer


def end() -> tuple[Told, str | int]:
    """As Ctrl-C does while the machine is asked."""
    os.kill(os.getpid(), signal.SIGINT)
    raise TargetError("w-prod-1: it was not asked: interrupted")


def test_what_comes_is_printed_until_it_is_ended(run, looks) -> None:
    asked = looks(
        lambda: (Told(b"one\n", 3, 0), "s=1"), lambda: (Told(b"", 0, 0), "s=1"), lambda: (Told(b"two\n", 0, 0), "s=2"), end
    )
    ran = run(*FOLLOW)
    assert (ran.code, ran.out) == (130, "one\ntwo\n")
    assert asked == [("w-prod-1", "kubelet", since) for since in (9, "s=1", "s=1", "s=2")]
    assert ran.line.endswith("note: w-prod-1 has said 3 bytes more before this, which its target's road has no room for")


def test_other_runs_find_the_lock_free_and_are_waited_for_with_one_line(run, looks, monkeypatch) -> None:
    held, honest = ExitStack(), following._told_once
    waits: Iterator[int] = iter(range(3))

    def told(*words: str) -> str:
        if next(waits, None) is None:
            held.close()
        return honest(*words)

    asked = looks(lambda: (Told(b"one\n", 0, 0), "s=1"), end)
    monkeypatch.setattr(following, "_told_once", told)
    held.enter_context(Folder.lock(STATE, "prod"))
    ran = run(*FOLLOW)
    assert (ran.code, ran.out, len(asked)) == (130, "one\n", 2)
    assert "another run is at work on cluster prod (process" in ran.line


def test_a_second_run_gets_the_lock_as_soon_as_a_question_has_its_answer(run, looks, monkeypatch) -> None:
    def another_run() -> None:
        with Folder.lock(STATE, "prod"):
            pass

    def begin_another() -> tuple[Told, str | int]:
        another.append(pool.submit(another_run))
        return Told(b"one\n", 0, 0), "s=1"

    def go_on() -> tuple[Told, str | int]:
        return end() if another[0].done() else (Told(b"", 0, 0), "s=1")

    another: list[Future[None]] = []
    looks(begin_another, *[go_on] * 200)
    monkeypatch.setattr(following, "PAUSE", 0.5)
    with ThreadPoolExecutor(1) as pool:
        assert run(*FOLLOW).code == 130
    another[0].result()


def test_runs_of_other_hosts_which_discovery_knows_of_are_waited_for_too(run, looks) -> None:
    def busy() -> tuple[Told, str | int]:
        raise BusyError("another run works on cluster prod: me@elsewhere")

    asked = looks(busy, busy, lambda: (Told(b"one\n", 0, 0), "s=1"), end)
    ran = run(*FOLLOW)
    assert (ran.code, ran.out, len(asked)) == (130, "one\n", 4)
    assert ran.line == "kube-provision: note: another run works on cluster prod: me@elsewhere"


def test_a_lock_that_nobody_can_hold_ends_it(run, looks) -> None:
    asked = looks()
    (STATE / "prod.lock").unlink(missing_ok=True)
    (STATE / "prod.lock").symlink_to("elsewhere")
    ran = run(*FOLLOW)
    assert (ran.code, asked) == (2, [])
    assert ran.line.endswith("prod.lock: is a symbolic link, which is never followed here")


def test_a_machine_that_does_not_answer_ends_it(run, looks) -> None:
    def fail() -> tuple[Told, str | int]:
        raise TargetError("w-prod-1: not taken after 120 s (on)")

    looks(fail)
    ran = run(*FOLLOW)
    assert (ran.code, ran.out, ran.line) == (3, "", "kube-provision: w-prod-1: not taken after 120 s (on)")


@pytest.mark.parametrize("option", [("--progress", "plain"), ("--report", "it.html")])
def test_it_is_no_run_that_has_progress(run, looks, option) -> None:
    asked = looks()
    ran = run(*FOLLOW, *option)
    assert (ran.code, asked) == (2, [])
    assert f"{option[0]} goes without --follow" in ran.err
