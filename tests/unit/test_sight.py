"""What a look at an awaited machine means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kube_provision_core.apply import State
from kube_provision_core.model import NodeStatus, Power, Stage, Vm
from kube_provision_core.remedies import Remedies
from kube_provision_core.sight import RETRY_SECONDS, Awaited, judge

AWAITED = Awaited(Remedies("prod"), "w-prod-1", until_finished=True, before=None, address_timeout=300, finish_timeout=1800)
VM = Vm("w-prod-1", "id", Power.ON, None, addresses=("10.0.0.7",))
JOINING = NodeStatus(Stage.JOIN, "running", step="kubeadm/membership", attempt=1, attempts=5)
FAILED = NodeStatus(Stage.JOIN, "failed", "kubeadm: exit code 1")
EXPIRED = NodeStatus(Stage.JOIN, "running", "exit code 1", cause="its join token expired", replace=True)


def sight(status: NodeStatus | None, waited: float = 10, awaited: Awaited = AWAITED, vm: Vm = VM) -> tuple[State, str]:
    seen = judge(awaited, replace(vm, status=status), waited)
    return seen.state, seen.text


def test_a_boot_that_has_finished_is_done() -> None:
    assert sight(NodeStatus(Stage.FINISH, "done")) == (State.DONE, "10.0.0.7")


def test_an_address_is_enough_where_nobody_waits_for_more() -> None:
    assert sight(JOINING, awaited=replace(AWAITED, until_finished=False)) == (State.DONE, "10.0.0.7")


def test_the_step_is_shown_while_it_runs() -> None:
    assert sight(JOINING) == (State.RUNNING, "10.0.0.7 join kubeadm/membership")


def test_a_node_that_tries_again_says_why() -> None:
    again = replace(JOINING, attempt=2, error="exit code 1", cause="the image pause:3 cannot be pulled")
    text = "10.0.0.7 join kubeadm/membership, attempt 2 of 5: the image pause:3 cannot be pulled"
    assert sight(again) == (State.RUNNING, text)


def test_a_failure_is_told_with_what_helps() -> None:
    failed = replace(FAILED, cause="swap is on", advice="take it out of the template")
    assert sight(failed) == (State.FAILED, "stage join: swap is on. What helps: take it out of the template")


def test_a_failure_without_a_known_cause_is_told_in_its_own_words() -> None:
    assert sight(FAILED) == (State.FAILED, "stage join: kubeadm: exit code 1")


def test_a_node_that_cannot_join_any_more_is_named_with_the_command_that_replaces_it() -> None:
    state, text = sight(EXPIRED)
    assert state is State.FAILED
    assert text == (
        "stage join: its join token expired. What helps: replace it: kube-provision destroy --name prod --node w-prod-1, "
        "then provision again"
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
    assert "no master answers: not finished after 1801 s; it goes on by itself" in text
    assert text.endswith("kube-provision why w-prod-1 --name prod")


@pytest.mark.parametrize(("power", "text"), [(Power.ON, "no address yet"), (Power.OFF, "powered off")])
def test_a_machine_without_an_address_is_waited_for_a_while(power: Power, text: str) -> None:
    lost = replace(VM, addresses=(), power=power)
    assert sight(None, 299, vm=lost) == (State.RUNNING, text)
    assert sight(None, 301, vm=lost)[0] is State.FAILED


def test_a_machine_that_is_gone_is_waited_for_a_while() -> None:
    assert judge(AWAITED, None, 299).state is State.RUNNING
    assert judge(AWAITED, None, 301).state is State.FAILED
