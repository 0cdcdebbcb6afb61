"""What goes wrong on the way is told, costs nobody a machine, and stands in no later run's way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from ... import Cluster, Node, Power, TargetError, Vm
from ..connected import Connected
from ..guards import telling
from ..offers import answering, offered
from ..samples import SECRET, boot_of
from .fixtures import WORKER, Context, TargetFixtures, listed, make, one

Connect = Callable[[], Connected]
Break = Callable[[str], Context]

_ASKING: dict[str, Callable[[Connected, Vm, Cluster], Any]] = {
    "provision_vm": lambda driver, vm, cluster: driver.provision_vm(node=WORKER, boot=boot_of(WORKER)),
    "list_vms": lambda driver, vm, cluster: list(driver.list_vms(cluster=cluster)),
    "start_vm": lambda driver, vm, cluster: driver.start_vm(vm=vm),
    "scrub_boot": lambda driver, vm, cluster: driver.scrub_boot(vm=vm),
    "deliver_task": lambda driver, vm, cluster: driver.deliver_task(vm=vm, task=b"a task"),
    "destroy_vm": lambda driver, vm, cluster: driver.destroy_vm(vm=vm),
    "preflight": lambda driver, vm, cluster: _preflight(driver),
}


def _preflight(driver: Connected) -> None:
    """A line will do as well as an error."""
    lines = driver.preflight(machines=[(WORKER, boot_of(WORKER))])
    if lines:
        raise TargetError(lines[0])


class FailureChecks(TargetFixtures):
    def test_a_creation_that_fails_is_told(self, driver: Connected, break_creation: Break | None) -> None:
        with offered(break_creation, "break_creation")(WORKER.name), pytest.raises(TargetError):
            make(driver)

    def test_an_error_is_one_line_without_secrets(
        self, driver: Connected, secrets: Iterable[str], break_creation: Break | None
    ) -> None:
        text = self._broken(driver, break_creation)
        assert text, "the error says nothing"
        assert "\n" not in text, f"more than a line: {text}"
        assert not telling([text], [SECRET, *secrets]), "the error tells a secret"

    def test_an_error_names_the_machine(self, driver: Connected, break_creation: Break | None) -> None:
        assert WORKER.name in self._broken(driver, break_creation)

    def test_a_creation_that_fails_leaves_nothing_unfindable(
        self, connect: Connect, cluster: Cluster, break_creation: Break | None
    ) -> None:
        self._broken(connect(), break_creation)
        left = [vm for vm in listed(connect(), cluster) if vm.name == WORKER.name]
        assert all(vm.stamp == WORKER.stamp for vm in left), "what is left of the machine is not stamped, so nobody finds it"
        assert make(connect()).power is Power.ON, "what was left stands in the way of the next run"

    def test_what_a_failed_creation_left_is_made_whole(
        self, connect: Connect, break_creation: Break | None, read_boot_data: Callable[[Vm], str] | None
    ) -> None:
        read = offered(read_boot_data, "read_boot_data")
        self._broken(connect(), break_creation)
        assert SECRET in read(make(connect())), "it runs without boot data"

    def test_a_run_that_is_killed_may_be_repeated(
        self,
        connect: Connect,
        cluster: Cluster,
        kill_during: Callable[[str], Iterable[Context]] | None,
        read_boot_data: Callable[[Vm], str] | None,
    ) -> None:
        read = offered(read_boot_data, "read_boot_data")
        for _ in self._killed(connect, cluster, kill_during):
            vm = make(connect())
            assert SECRET in read(vm), "what was left half made runs without boot data"
            assert one(connect(), cluster).complete, "it is whole, and list_vms says that it is not"
            connect().destroy_vm(vm=vm)

    def test_what_a_killed_run_left_can_be_destroyed(
        self,
        connect: Connect,
        cluster: Cluster,
        kill_during: Callable[[str], Iterable[Context]] | None,
        find_text: Callable[[str], Iterable[str]] | None,
    ) -> None:
        find = offered(find_text, "find_text")
        for vms in self._killed(connect, cluster, kill_during):
            for vm in vms:
                assert connect().destroy_vm(vm=vm) is True
            assert not list(find(SECRET)), "its boot data is still there, and no list_vms finds it"

    @pytest.mark.parametrize("hook", _ASKING)
    def test_a_target_that_cannot_be_reached_is_an_error(
        self, connect: Connect, cluster: Cluster, silence: Callable[[], Context] | None, hook: str
    ) -> None:
        """Nobody knows then what there is: an empty list would have a cluster made twice."""
        silent = offered(silence, "silence")()
        vm = make(connect())
        answering(connect(), hook)
        with silent, pytest.raises(TargetError, match=r"^\S[^\n]*$"):
            _ASKING[hook](connect(), vm, cluster)
        assert one(connect(), cluster).id == vm.id

    def test_a_lock_that_somebody_holds_is_not_waited_for_for_ever(
        self, driver: Connected, hold_lock: Callable[[Node], Context] | None
    ) -> None:
        hold = offered(hold_lock, "hold_lock")
        make(driver)
        with hold(WORKER), pytest.raises(TargetError):
            self.soon(lambda: make(driver))
        make(driver)

    def test_a_machine_with_damaged_notes_hides_no_other(
        self, driver: Connected, cluster: Cluster, damage: Callable[[Vm], None] | None
    ) -> None:
        spoil, other = offered(damage, "damage"), make(driver, Node("w-contract-2", *_rest(WORKER)))
        spoil(make(driver))
        assert one(driver, cluster, other.name).stamp == WORKER.stamp

    def test_a_machine_with_damaged_notes_is_left_alone(
        self, driver: Connected, cluster: Cluster, damage: Callable[[Vm], None] | None
    ) -> None:
        vm = make(driver)
        offered(damage, "damage")(vm)
        assert one(driver, cluster).stamp is None, "its stamp cannot be read, and is told"
        for ask in (driver.destroy_vm, driver.scrub_boot):
            with pytest.raises(TargetError):
                ask(vm=vm)
        assert one(driver, cluster).id == vm.id

    def _broken(self, driver: Connected, break_creation: Break | None) -> str:
        """What is said of a creation that fails half-way."""
        with offered(break_creation, "break_creation")(WORKER.name), pytest.raises(TargetError) as caught:
            make(driver)
        return str(caught.value)

    @staticmethod
    def _killed(
        connect: Connect, cluster: Cluster, kill_during: Callable[[str], Iterable[Context]] | None
    ) -> Iterable[list[Vm]]:
        """What list_vms tells after each kill."""
        for moment in offered(kill_during, "kill_during")(WORKER.name):
            with suppress(BaseException), moment:
                make(connect())
            left = [vm for vm in listed(connect(), cluster) if vm.name == WORKER.name]
            assert all(vm.stamp == WORKER.stamp for vm in left), "it bears our name and no stamp: no run will touch it again"
            yield left


def _rest(node: Node) -> tuple[Any, ...]:
    return node.role, node.index, node.machine, node.stamp
