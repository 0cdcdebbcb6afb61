"""The executor: order, bounds, isolation of failures, interrupts. Real threads, and no clock that a busy machine upsets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

import pytest

from kube_provision_core import NodeStatus, Stage
from kube_provision_core.contract.driver import tell
from kube_provision_core.contract.errors import ConfigError, TargetError
from kube_provision_core.contract.machines import Machine, Node, Role, Stamp
from kube_provision_core.engine.executor import Event, Interrupt, Outcome, Sight, State, apply
from kube_provision_core.engine.plan import Action, AwaitNode, CreateVm, keys

pytestmark = pytest.mark.usefixtures("look_often")


def node(name: str) -> Node:
    return Node(name, Role.WORKER, 1, Machine(1, 1), Stamp("prod", "id", Role.WORKER, "spec"))


def create(name: str, *after: Action) -> CreateVm:
    return CreateVm(node=node(name), after=keys(after))


def await_(name: str, *after: Action) -> AwaitNode:
    return AwaitNode(node=node(name), after=keys(after))


def run(
    *actions: Action,
    perform: Callable[[Action], str] = lambda action: action.subject,
    watch: Callable[[Collection[Action]], Mapping[str, Sight]] = lambda awaited: {a.key: Sight(State.DONE) for a in awaited},
    parallel: int = 4,
    interrupt: Interrupt | None = None,
    events: list[Event] | None = None,
) -> dict[str, Outcome]:
    listen = events.append if events is not None else lambda event: None
    outcomes = apply(actions, perform, watch, parallel=parallel, listen=listen, interrupt=interrupt or Interrupt())
    assert [outcome.action for outcome in outcomes] == list(actions)
    return {outcome.action.subject: outcome for outcome in outcomes}


def test_what_an_action_waits_for_is_done_before_it() -> None:
    done: list[str] = []
    first = create("first")
    run(create("second", first), first, perform=lambda action: done.append(action.subject) or "")
    assert done == ["first", "second"]


def test_no_more_actions_run_at_once_than_allowed() -> None:
    lock, running, most, together = threading.Lock(), set[str](), 0, threading.Barrier(3)

    def perform(action: Action) -> str:
        nonlocal most
        with lock:
            running.add(action.subject)
            most = max(most, len(running))
        together.wait(60)
        threading.Event().wait(0.02)
        with lock:
            running.discard(action.subject)
        return ""

    run(*(create(f"n{i}") for i in range(12)), perform=perform, parallel=3)
    assert most == 3


def test_a_failure_skips_only_what_waits_for_it() -> None:
    def perform(action: Action) -> str:
        if action.subject == "bad":
            raise TargetError("no space on datastore ds1")
        return "made"

    bad = create("bad")
    outcomes = run(bad, create("child", bad), create("good"), perform=perform)
    assert (outcomes["bad"].state, outcomes["bad"].text) == (State.FAILED, "no space on datastore ds1")
    assert (outcomes["child"].state, outcomes["child"].text) == (State.SKIPPED, "because of: create bad")
    assert (outcomes["good"].state, outcomes["good"].text) == (State.DONE, "made")


def test_what_failed_may_succeed_another_time_as_its_error_says() -> None:
    def perform(action: Action) -> str:
        raise {"gone": TargetError("no answer"), "wrong": ConfigError("no such datastore")}[action.subject]

    outcomes = run(
        create("gone"),
        create("wrong"),
        await_("late"),
        await_("lost"),
        perform=perform,
        watch=lambda awaited: {a.key: Sight(State.FAILED, retryable=a.subject == "late") for a in awaited},
    )
    assert {name: outcome.retryable for name, outcome in outcomes.items()} == {
        "gone": True,
        "wrong": False,
        "late": True,
        "lost": False,
    }


def test_all_awaited_actions_are_looked_at_together_until_each_is_settled() -> None:
    looks: list[int] = []

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        looks.append(len(awaited))
        first = sorted(action.key for action in awaited)[0]
        return {first: Sight(State.FAILED if first.endswith("b") else State.DONE, "seen")}

    outcomes = run(await_("a"), await_("b"), await_("c"), watch=watch)
    assert looks == [3, 2, 1]
    assert [outcomes[name].state for name in "abc"] == [State.DONE, State.FAILED, State.DONE]


def test_awaiting_takes_no_thread_from_those_that_perform() -> None:
    created = threading.Event()

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        return {action.key: Sight(State.DONE) for action in awaited} if created.is_set() else {}

    def perform(action: Action) -> str:
        created.set()
        return ""

    outcomes = run(await_("a"), await_("b"), create("late"), watch=watch, perform=perform, parallel=1)
    assert {outcome.state for outcome in outcomes.values()} == {State.DONE}


def test_progress_of_an_awaited_action_is_told_once_per_change() -> None:
    texts = iter(["booting", "booting", "joining"])
    events: list[Event] = []

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        text = next(texts, None)
        return {action.key: Sight(State.RUNNING, text) if text else Sight(State.DONE) for action in awaited}

    run(await_("a"), watch=watch, events=events)
    assert [event.text for event in events] == ["", "booting", "joining", ""]


def test_what_a_machine_says_of_itself_is_told_with_the_words_for_it() -> None:
    status = NodeStatus(Stage.JOIN, "running")
    sights = iter([Sight(State.RUNNING, "joining", status), Sight(State.DONE)])
    events: list[Event] = []
    run(await_("a"), watch=lambda awaited: {action.key: next(sights) for action in awaited}, events=events)
    assert [event.status for event in events] == [None, status, None]


def test_the_first_interrupt_starts_nothing_new_and_awaits_what_runs() -> None:
    interrupt = Interrupt()

    def perform(action: Action) -> str:
        interrupt.request()
        return "finished all the same"

    first = create("first")
    outcomes = run(first, create("second", first), await_("third", first), perform=perform, parallel=1, interrupt=interrupt)
    assert (outcomes["first"].state, outcomes["first"].text) == (State.DONE, "finished all the same")
    assert outcomes["second"].state is State.SKIPPED
    assert outcomes["third"].state is State.SKIPPED


def test_actions_queued_behind_a_full_pool_do_not_begin_after_an_interrupt() -> None:
    interrupt, performed = Interrupt(), list[str]()

    def perform(action: Action) -> str:
        performed.append(action.subject)
        threading.Event().wait(0.2)  # until the others are queued
        interrupt.request()
        return ""

    outcomes = run(*(create(f"n{i}") for i in range(5)), perform=perform, parallel=1, interrupt=interrupt)
    assert len(performed) == 1
    assert sorted(outcome.state for outcome in outcomes.values()) == [State.DONE, *[State.SKIPPED] * 4]


def test_what_a_driver_tells_while_it_works_is_an_event_of_its_action() -> None:
    heard: list[Event] = []

    def perform(action: Action) -> str:
        tell(f"copies {action.subject}")
        return ""

    run(create("a"), create("b"), perform=perform, events=heard)
    told = {event.action.subject: event.text for event in heard if event.text}
    assert told == {"a": "copies a", "b": "copies b"}


def test_an_interrupt_stops_awaiting() -> None:
    interrupt = Interrupt()

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        interrupt.request()
        return {action.key: Sight(State.RUNNING, "stage install") for action in awaited}

    outcome = run(await_("a"), watch=watch, interrupt=interrupt)["a"]
    assert (outcome.state, outcome.text) == (State.ABANDONED, "stage install")


def test_the_second_interrupt_leaves_what_runs_and_says_so() -> None:
    interrupt, release = Interrupt(), threading.Event()

    def perform(action: Action) -> str:
        interrupt.request()
        interrupt.request()
        release.wait(60)
        return ""

    try:
        outcomes = run(create("hanging"), create("waiting"), perform=perform, parallel=1, interrupt=interrupt)
    finally:
        release.set()
    assert outcomes["hanging"].state is State.ABANDONED
    assert "next run" in outcomes["hanging"].text
    assert outcomes["waiting"].state is State.SKIPPED


def test_a_bug_awaits_what_runs_and_is_raised() -> None:
    finished = threading.Event()

    def perform(action: Action) -> str:
        if action.subject == "buggy":
            raise ZeroDivisionError("a bug")
        threading.Event().wait(0.1)
        finished.set()
        return ""

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(create("slow"), create("buggy"), perform=perform)
    assert finished.is_set()


def test_a_plan_of_many_actions_ends_with_an_outcome_for_each() -> None:
    roots = [create(f"n{i}") for i in range(300)]
    outcomes = run(*roots, *(await_(f"w{i}", root) for i, root in enumerate(roots)), parallel=16)
    assert len(outcomes) == 600


def test_a_bug_of_the_watcher_is_raised_once_what_runs_has_ended() -> None:
    looked, finished = threading.Event(), threading.Event()

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        looked.set()
        raise ZeroDivisionError("a bug")

    def perform(action: Action) -> str:
        looked.wait(60)
        finished.set()
        return ""

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run(create("slow"), await_("seen"), perform=perform, watch=watch)
    assert finished.is_set()


def test_what_a_look_tells_after_the_user_has_interrupted_counts_no_more() -> None:
    interrupt, looked, events = Interrupt(), threading.Event(), list[Event]()

    def watch(awaited: Collection[Action]) -> Mapping[str, Sight]:
        interrupt.request()
        limit = time.monotonic() + 30
        while not any(event.state is State.ABANDONED for event in events) and time.monotonic() < limit:
            threading.Event().wait(0.01)
        looked.set()
        return {action.key: Sight(State.DONE, "too late") for action in awaited}

    def perform(action: Action) -> str:
        looked.wait(60)
        threading.Event().wait(0.1)
        return ""

    outcomes = run(create("slow"), await_("seen"), perform=perform, watch=watch, interrupt=interrupt, events=events)
    assert (outcomes["seen"].state, outcomes["seen"].text) == (State.ABANDONED, "no longer awaited")
    assert outcomes["slow"].state is State.DONE
