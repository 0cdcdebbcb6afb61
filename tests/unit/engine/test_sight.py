"""What a look at an awaited machine means."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.machines import Power, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.contract.templates import Baked, Baking
from kube_provision_core.engine.executor import State
from kube_provision_core.engine.sight import (
    LONGER,
    RETRY_SECONDS,
    USUAL,
    Awaited,
    History,
    judge,
    judge_baking,
    judge_task,
    silent,
)

REMEDIES = Remedies("prod", replaceable=frozenset({"w-prod-1"}))
AWAITED = Awaited(REMEDIES, "w-prod-1", until_finished=True, before=None, address_timeout=300, finish_timeout=1800)
VM = Vm("w-prod-1", "id", Power.ON, None, addresses=("10.0.0.7",))
JOINING = NodeStatus(Stage.JOIN, "running", step="kubeadm/membership", attempt=1, attempts=5)
FAILED = NodeStatus(Stage.JOIN, "failed", "kubeadm: exit code 1")
MORE = ". More: kube-provision why w-prod-1 --name prod"
EXPIRED = NodeStatus(Stage.JOIN, "running", "exit code 1", cause="its join token expired", replace=True)


def sight(status: NodeStatus | None, waited: float = 10, awaited: Awaited = AWAITED, vm: Vm = VM) -> tuple[State, str]:
    """Of a machine that has looked like this for so many seconds."""
    return after((waited, replace(vm, status=status)), awaited=awaited)


def after(*looks: tuple[float, Vm | None], awaited: Awaited = AWAITED) -> tuple[State, str]:
    """What the last of these looks means, each at its second since the machine is awaited."""
    history = History(0)
    for now, vm in (*([(0.0, looks[0][1])] if len(looks) == 1 else []), *looks):
        history.note(vm, now)
        seen = judge(awaited, vm, history, now)
    return seen.state, re.sub(r"\d\d:\d\d:\d\d", "14:03:10", seen.text)


def test_a_boot_that_has_finished_is_done() -> None:
    assert sight(NodeStatus(Stage.FINISH, "done")) == (State.DONE, "10.0.0.7")


def test_an_address_is_enough_where_nobody_waits_for_more() -> None:
    assert sight(JOINING, awaited=replace(AWAITED, until_finished=False)) == (State.DONE, "10.0.0.7")


def test_what_is_seen_of_a_boot_comes_with_what_the_machine_says() -> None:
    history = History(0)
    assert judge(AWAITED, replace(VM, status=JOINING), history, 0).status == JOINING


def test_the_step_is_shown_while_it_runs() -> None:
    assert sight(JOINING) == (State.RUNNING, "10.0.0.7 join kubeadm/membership")


def test_a_machine_that_was_never_heard_of_is_said_so_with_how_long_that_usually_takes() -> None:
    assert sight(None) == (State.RUNNING, f"10.0.0.7: nothing heard since 14:03:10 ({USUAL})")


def test_who_comes_to_look_is_told_since_when_nothing_was_heard() -> None:
    assert silent(VM) == f"nothing heard from it since it was powered on ({USUAL})"
    just_now = time.time() - 60
    clock = time.strftime("%H:%M:%S", time.localtime(just_now))
    assert silent(replace(VM, on_since=just_now)) == f"nothing heard from it since it was powered on, {clock} ({USUAL})"
    long_ago = silent(replace(VM, on_since=86400.0 * 365))
    assert "powered on, 1970-12-31 " in long_ago or "powered on, 1971-01-01 " in long_ago
    assert long_ago.endswith(f"({LONGER})")


@pytest.mark.parametrize("doing", ["initialises the cluster", "joins the cluster"])
def test_what_takes_long_is_told_with_how_long_it_usually_does(doing: str) -> None:
    assert sight(replace(JOINING, doing=doing)) == (State.RUNNING, f"10.0.0.7 join: {doing} ({USUAL})")


def test_what_takes_longer_than_it_usually_does_is_told_so() -> None:
    assert sight(None, 301) == (State.RUNNING, f"10.0.0.7: nothing heard since 14:03:10 ({LONGER})")
    joins = replace(VM, status=replace(JOINING, doing="joins the cluster"))
    late = replace(VM, status=replace(JOINING, doing="joins the cluster", log=("still there",)))
    assert after((0, VM), (600, joins))[1] == f"10.0.0.7 join: joins the cluster ({USUAL})"
    assert after((0, VM), (600, joins), (901, late))[1] == f"10.0.0.7 join: joins the cluster ({LONGER})"


def test_who_waits_for_another_is_told_with_whom_and_with_no_time_of_its_own() -> None:
    waits = replace(JOINING, doing="waits for m-prod-1 to initialise the cluster")
    assert sight(waits) == (State.RUNNING, "10.0.0.7 join: waits for m-prod-1 to initialise the cluster")


def test_a_node_that_tries_again_says_why() -> None:
    again = replace(JOINING, attempt=2, error="exit code 1", cause="the image pause:3 cannot be pulled")
    text = "10.0.0.7 join kubeadm/membership, attempt 2 of 5: the image pause:3 cannot be pulled"
    assert sight(again) == (State.RUNNING, text)


def test_what_a_new_machine_alone_helps_is_not_tried_again() -> None:
    for status in (FAILED, replace(FAILED, replace=True)):
        seen = judge(AWAITED, replace(VM, status=status), History(0.0), 0.0)
        answered = judge_task(REMEDIES, VM, status, waited=1.0, limit=600.0)
        assert (seen.state, answered.state) == (State.FAILED, State.FAILED)
        assert (seen.retryable, answered.retryable) == (not status.replace, not status.replace)


def test_a_failure_is_told_with_what_helps() -> None:
    failed = replace(FAILED, cause="swap is on", advice="take it out of the template")
    assert sight(failed) == (State.FAILED, "stage join: swap is on. What helps: take it out of the template" + MORE)


def test_a_failure_without_a_known_cause_is_told_in_its_own_words() -> None:
    assert sight(FAILED) == (State.FAILED, "stage join: kubeadm: exit code 1" + MORE)


def test_a_node_that_cannot_join_any_more_is_named_with_the_command_that_replaces_it() -> None:
    state, text = sight(EXPIRED)
    assert state is State.FAILED
    assert text == (
        "stage join: its join token expired. What helps: replace it: kube-provision replace w-prod-1 --name prod"
    )


class TestAFailureOfBeforeTheRun:
    """The user has mended the cause and runs again; the node tries again within a minute."""

    BEFORE = replace(AWAITED, before=FAILED)

    def test_is_given_time(self) -> None:
        assert sight(FAILED, awaited=self.BEFORE)[0] is State.RUNNING

    def test_is_one_when_it_stays(self) -> None:
        assert sight(FAILED, RETRY_SECONDS + 1, self.BEFORE)[0] is State.FAILED

    def test_is_not_confused_with_a_new_one(self) -> None:
        assert sight(replace(FAILED, error="another"), awaited=self.BEFORE)[0] is State.FAILED

    def test_is_final_where_no_attempt_helps(self) -> None:
        assert sight(EXPIRED, awaited=replace(AWAITED, before=EXPIRED))[0] is State.FAILED


def test_patience_ends_with_the_stage_the_reason_and_where_to_ask() -> None:
    state, text = sight(replace(JOINING, error="no master answers"), 1801)
    assert state is State.FAILED
    assert "no master answers, told 1801 s ago: not finished after 1801 s; it goes on by itself" in text
    assert text.endswith("kube-provision why w-prod-1 --name prod")


@pytest.mark.parametrize(("power", "text"), [(Power.ON, "no address yet"), (Power.OFF, "powered off")])
def test_a_machine_without_an_address_or_without_power_is_waited_for_a_while(power: Power, text: str) -> None:
    lost = replace(VM, addresses=(), power=power)
    assert after((0, lost), (299, lost)) == (State.RUNNING, text)
    assert after((0, lost), (301, lost))[0] is State.FAILED


def test_a_machine_that_is_gone_is_waited_for_a_while() -> None:
    assert after((0, None), (299, None)) == (State.RUNNING, "it is not there")
    assert after((0, None), (301, None)) == (State.FAILED, "the machine is gone")


def test_what_the_target_saw_instead_of_an_address_is_told_and_no_guess_is_made() -> None:
    blind = replace(VM, addresses=(), notice="only IPv6 so far: 2001:db8::7")
    assert after((0, blind)) == (State.RUNNING, "only IPv6 so far: 2001:db8::7")
    assert after((0, blind), (301, blind)) == (State.FAILED, "no address after 301 s: only IPv6 so far: 2001:db8::7")


def test_a_machine_that_told_how_far_it_is_and_has_no_address_is_quoted() -> None:
    blind = replace(VM, addresses=(), status=JOINING)
    assert after((0, blind), (301, blind)) == (
        State.FAILED,
        "no address after 301 s: it tells join kubeadm/membership",
    )


class TestLimitsCountFromWhatWasSeenLast:
    OFF = replace(VM, power=Power.OFF, addresses=())
    BLIND = replace(VM, addresses=())

    def test_an_address_that_was_there_may_be_gone_for_the_whole_time(self) -> None:
        assert after((1000, VM), (1026, self.BLIND))[0] is State.RUNNING
        assert after((1000, VM), (1301, self.BLIND))[0] is State.FAILED

    def test_a_machine_that_was_off_for_a_while_goes_on(self) -> None:
        assert after((1000, VM), (1010, self.OFF)) == (State.RUNNING, "powered off")
        assert after((1000, VM), (1010, self.OFF), (1040, self.BLIND), (1339, self.BLIND)) == (
            State.RUNNING,
            "no address yet",
        )
        assert after((1000, VM), (1010, self.OFF), (1040, self.BLIND), (1341, self.BLIND))[0] is State.FAILED

    def test_a_machine_that_stays_off_is_told_as_such(self) -> None:
        assert after((1000, VM), (1010, self.OFF), (1311, self.OFF)) == (
            State.FAILED,
            "powered off for 301 s: run again, which powers it on",
        )

    def test_a_boot_that_was_cut_short_has_its_time_again(self) -> None:
        assert after((1700, VM), (1710, self.OFF), (1740, VM), (3500, VM))[0] is State.RUNNING
        assert after((1700, VM), (1710, self.OFF), (1740, VM), (3541, VM))[0] is State.FAILED

    def test_a_machine_that_vanishes_from_the_list_for_a_moment_goes_on(self) -> None:
        assert after((1000, VM), (1290, None), (1300, VM))[0] is State.RUNNING

    def test_a_failure_of_before_a_power_cut_is_given_time_again(self) -> None:
        failed, awaited = replace(VM, status=FAILED), replace(AWAITED, before=FAILED)
        looks = ((100, failed), (110, self.OFF), (200, failed))
        assert after(*looks, awaited=awaited)[0] is State.RUNNING
        assert after(*looks, (321, failed), awaited=awaited)[0] is State.FAILED


class TestWhatIsNotHeard:
    def test_is_told_with_the_time_since_when(self) -> None:
        assert after((0, VM)) == (State.RUNNING, f"10.0.0.7: nothing heard since 14:03:10 ({USUAL})")

    def test_is_told_when_patience_ends(self) -> None:
        assert "10.0.0.7: nothing heard since 14:03:10: not finished after 1801 s" in after((0, VM), (1801, VM))[1]

    def test_is_told_with_the_age_of_what_was_heard_last(self) -> None:
        joining = replace(VM, status=JOINING)
        text = after((0, VM), (601, joining), (1801, joining))[1]
        assert text.startswith("10.0.0.7 join kubeadm/membership, told 1200 s ago: not finished after 1801 s")


# --- templates ------------------------------------------------------------------------------------------------------

INSTALLING = NodeStatus(Stage.INSTALL, "running", step="plain/packages", attempt=1, attempts=5)
BAKED = Baked("spec", "2026-11-27T10:00:00Z", versions={"kubeadm": "1.36.4-1.1"})


@pytest.mark.parametrize(
    ("baking", "state", "text"),
    [
        (None, State.FAILED, "the machine that bakes it is gone; run again"),
        (Baking("another", running=True), State.FAILED, "the machine that bakes it is gone; run again"),
        (Baking("spec", running=False, status=INSTALLING), State.FAILED, "its machine was powered off before it was done"),
        (Baking("spec", running=True), State.RUNNING, "it has not told anything yet"),
        (Baking("spec", running=True, status=INSTALLING), State.RUNNING, INSTALLING.progress),
        (Baking("spec", running=True, status=FAILED), State.FAILED, "stage join: kubeadm: exit code 1"),
        (Baking("spec", running=True, status=NodeStatus(Stage.FINISH, "done"), baked=BAKED), State.DONE, BAKED.summary),
    ],
)
def test_a_machine_that_bakes_a_template_is_judged_by_what_it_tells(baking: Baking | None, state: State, text: str) -> None:
    seen = judge_baking(baking, "spec", waited=10, limit=3600)
    assert (seen.state, text in seen.text) == (state, True)


def test_a_machine_that_bakes_for_too_long_is_told_to_go_on_by_itself() -> None:
    seen = judge_baking(Baking("spec", running=True, status=INSTALLING), "spec", waited=3601, limit=3600)
    assert seen.state is State.FAILED
    assert seen.text == f"{INSTALLING.progress}: not done after 3601 s; it goes on by itself, and so does the next run"


@pytest.mark.parametrize(
    ("waited", "state", "text"),
    [
        (10.0, State.RUNNING, JOINING.progress),
        (1e6, State.FAILED, f"{JOINING.progress}: not done after 1000000 s; it goes on by itself"),
    ],
)
def test_a_machine_that_does_what_it_was_given_is_awaited_for_as_long_as_that_may_take(
    waited: float, state: State, text: str
) -> None:
    seen = judge_task(REMEDIES, VM, JOINING, waited=waited, limit=600.0)
    assert (seen.state, seen.text) == (state, text)
