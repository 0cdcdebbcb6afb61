"""`deliver_task`: a mailbox of each machine's own, which holds one whole task until that is taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from ... import Cluster, Power, TargetError, Vm, task_digest
from ..connected import Connected
from ..guards import io_seen, logged, telling, witnessed
from ..offers import answered, answering, offered
from ..samples import OTHER_ID, node_of
from .fixtures import WORKER, TargetFixtures, make, one

Read = Callable[[Vm], bytes]

MARK = "contract-suite-task-5c1d"
"""Looked for in places where a task must not be, or not be any more."""
TASK = MARK.encode() + b"\r\n" + bytes(range(256)) * 4 + b"\n\n"
"""What somebody's quoting, encoding or reading by lines would not survive."""
SHORT = b"another"

OTHERS = {
    "another cluster's": node_of(WORKER.name, cluster_id=OTHER_ID),
    "one that was made anew": replace(WORKER, stamp=replace(WORKER.stamp, spec="ba9876543210")),
}
"""Whose a machine may have become since it was looked at."""


class TaskChecks(TargetFixtures):
    def test_a_task_waits_as_it_was_delivered(
        self, driver: Connected, connect: Callable[[], Connected], receive: Read | None
    ) -> None:
        read, deliver, vm = offered(receive, "receive"), answered(driver, "deliver_task"), make(driver)
        assert read(vm) == b"", "something waits before anything was delivered"
        assert deliver(vm=vm, task=TASK) is True
        assert read(vm) == TASK, "it has changed on its way"
        connect().deliver_task(vm=vm, task=SHORT)
        assert read(vm) == SHORT, "another task does not take the place of the first"

    def test_list_vms_tells_which_task_waits(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        """To every run, also to one that has not delivered it."""
        deliver, vm = answered(connect(), "deliver_task"), make(connect())
        for task in (None, TASK, SHORT, None):
            assert deliver(vm=vm, task=task) is True
            assert one(connect(), cluster).task == task_digest(task or b"")

    def test_a_task_outlives_a_power_cut(
        self, driver: Connected, cluster: Cluster, receive: Read | None, power_off: Callable[[Vm], None] | None
    ) -> None:
        read, stop = offered(receive, "receive"), offered(power_off, "power_off")
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        deliver(vm=vm, task=TASK)
        stop(vm)
        make(driver)
        assert read(vm) == TASK, "what had not been read yet is lost"
        assert one(driver, cluster).task == task_digest(TASK)

    def test_a_task_waits_for_a_machine_that_is_off(
        self, driver: Connected, cluster: Cluster, receive: Read | None, power_off: Callable[[Vm], None] | None
    ) -> None:
        read, stop = offered(receive, "receive"), offered(power_off, "power_off")
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        stop(vm)
        deliver(vm=one(driver, cluster), task=TASK)
        assert one(driver, cluster).power is Power.OFF, "it was started for that"
        make(driver)
        assert read(vm) == TASK

    def test_deliver_task_may_be_repeated(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        answering(connect(), "deliver_task")
        vm = make(connect())
        for task in (None, TASK, TASK, None, None):
            assert connect().deliver_task(vm=vm, task=task) is True
            assert one(connect(), cluster).task == task_digest(task or b"")

    def test_nothing_is_left_of_a_task_that_was_taken_away(
        self, driver: Connected, receive: Read | None, find_text: Callable[[str], Sequence[str]] | None
    ) -> None:
        read, find = offered(receive, "receive"), offered(find_text, "find_text")
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        deliver(vm=vm, task=TASK)
        assert find(MARK), "find_text does not find what was delivered"
        deliver(vm=vm, task=None)
        assert read(vm) == b"", "the machine finds it still"
        assert not find(MARK), f"it is still at {find(MARK)}"

    def test_a_task_is_carried_up_to_the_limit_and_refused_beyond(
        self, driver: Connected, cluster: Cluster, receive: Read | None
    ) -> None:
        read, deliver, vm = offered(receive, "receive"), answered(driver, "deliver_task"), make(driver)
        largest = (TASK * (driver.task_limit() // len(TASK) + 1))[: driver.task_limit()]
        deliver(vm=vm, task=largest)
        assert read(vm) == largest, "it was cut off, or has changed"
        with pytest.raises(TargetError, match=r"^\S[^\n]*$"):
            deliver(vm=vm, task=largest + b"x")
        assert read(vm) == largest, "what waited is gone for one that was refused"
        assert one(driver, cluster).task == task_digest(largest)

    def test_how_much_a_task_may_have_is_known_without_io(self, driver: Connected) -> None:
        answering(driver, "deliver_task")
        with io_seen() as seen:
            limit = answered(driver, "task_limit")()
        assert type(limit) is int
        assert limit > 0
        assert not seen, f"it reached out into the world: {seen}"

    def test_delivering_a_task_changes_nothing_else(
        self,
        driver: Connected,
        cluster: Cluster,
        read_boot_data: Callable[[Vm], str] | None,
        read_metadata: Callable[[Vm], str] | None,
    ) -> None:
        readers = offered(read_boot_data, "read_boot_data"), offered(read_metadata, "read_metadata")
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        before, boots_with = one(driver, cluster), [read(vm) for read in readers]
        for task in (TASK, None):
            deliver(vm=before, task=task)
            after = one(driver, cluster)
            same = replace(before, addresses=after.addresses, reach=after.reach, notice=after.notice, task=after.task)
            assert after == same, "something else has changed"
        assert one(driver, cluster).stamp == before.stamp
        assert [read(vm) for read in readers] == boots_with, "it would boot otherwise"

    def test_a_task_waits_for_one_machine(self, driver: Connected, cluster: Cluster, receive: Read | None) -> None:
        """Also where another's name begins as this one's does."""
        read, deliver = offered(receive, "receive"), answered(driver, "deliver_task")
        vm, other = make(driver), make(driver, node_of("w-contract-10"))
        deliver(vm=vm, task=TASK)
        assert (read(other), one(driver, cluster, other.name).task) == (b"", "")
        deliver(vm=other, task=SHORT)
        assert (read(vm), read(other)) == (TASK, SHORT)

    def test_a_foreign_machine_is_given_no_task(
        self, driver: Connected, cluster: Cluster, create_foreign: Callable[[str], None] | None
    ) -> None:
        deliver = answered(driver, "deliver_task")
        offered(create_foreign, "create_foreign")(WORKER.name)
        foreign = one(driver, cluster)
        with pytest.raises(TargetError):
            deliver(vm=replace(foreign, stamp=WORKER.stamp), task=TASK)
        assert one(driver, cluster) == foreign

    @pytest.mark.parametrize("other", OTHERS)
    def test_another_machine_than_the_one_observed_is_given_no_task(
        self, driver: Connected, cluster: Cluster, other: str
    ) -> None:
        """A task is for one machine, and not for whoever bears its name: neither to be had nor to be lost."""
        deliver, its = answered(driver, "deliver_task"), make(driver, OTHERS[other])
        deliver(vm=its, task=SHORT)
        for task in (TASK, None):
            with pytest.raises(TargetError):
                deliver(vm=replace(its, stamp=WORKER.stamp), task=task)
            assert one(driver, cluster).task == task_digest(SHORT)

    def test_no_task_waits_for_a_machine_that_was_made_anew(
        self, driver: Connected, cluster: Cluster, receive: Read | None
    ) -> None:
        read, deliver, vm = offered(receive, "receive"), answered(driver, "deliver_task"), make(driver)
        deliver(vm=vm, task=TASK)
        driver.destroy_vm(vm=vm)
        assert read(make(driver)) == b"", "its predecessor's waits for it"
        assert one(driver, cluster).task == ""

    def test_a_task_for_a_machine_that_is_gone_is_no_bug(self, driver: Connected) -> None:
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        driver.destroy_vm(vm=vm)
        for task in (TASK, None):
            with suppress(TargetError):
                deliver(vm=vm, task=task)

    def test_a_task_is_told_to_nobody(self, driver: Connected, cluster: Cluster) -> None:
        """It is sealed, and who gets at it could still deliver it again: files are private, nothing is logged."""
        deliver, vm = answered(driver, "deliver_task"), make(driver)
        with logged() as lines, witnessed() as witness:
            deliver(vm=vm, task=TASK)
        assert not telling([*lines, repr(one(driver, cluster))], [MARK]), "it was told"
        assert not witness.readable([MARK]), f"everybody on this computer can read {witness.readable([MARK])}"
