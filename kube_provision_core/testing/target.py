"""What every target driver promises, as checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from inspect import signature
from typing import Any

import pytest

from kube_provision_core import PUBLISHER, BootFragment, Cluster, Node, Power, Role, Stamp, TargetError, Vm

from .guards import io_seen, logged, telling, unfilled
from .samples import SECRET, boot_of, cluster_of, node_of

NAMES = ("m-contract-1", "w-contract-1", "w-contract-2", "w-contract-3")


class TargetContract:
    """Subclass it and override `make_driver`; override the other fixtures to have more checked.

    Every test gets an empty target: `make_driver` must lead to one that holds none of the suite's machines, and several
    drivers made in one test must see the same target.
    """

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        """A function that constructs the driver. Override it."""
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Secrets in the driver's configuration (passwords, tokens) that nobody may ever read."""
        return ()

    @pytest.fixture
    def create_foreign(self) -> Callable[[str], None] | None:
        """A function that creates a machine of a given name that is not ours. None: not checked."""
        return None

    @pytest.fixture
    def break_creation(self) -> Callable[[str], AbstractContextManager[None]] | None:
        """A context in which the target fails half-way through creating the machine of that name. None: not checked."""
        return None

    @pytest.fixture
    def read_boot_data(self) -> Callable[[Vm], str] | None:
        """A function that reads the boot data that the target holds for a machine. None: not checked."""
        return None

    @pytest.fixture
    def cluster(self) -> Cluster:
        return cluster_of(*NAMES)

    @pytest.fixture
    def driver(self, make_driver: Callable[[], Any]) -> Iterator[Any]:
        driver = make_driver()
        yield driver
        if hasattr(driver, "close"):
            driver.close()

    # --- what it is ------------------------------------------------------------------------------------------------

    def test_constructor_does_no_io(self, make_driver: Callable[[], Any]) -> None:
        with io_seen() as seen:
            make_driver()
        assert not seen, f"the constructor reached out into the world: {seen}"

    def test_declares_how_many_machines_it_makes_at_once(self, driver: Any) -> None:
        assert isinstance(driver.parallel, int)
        assert driver.parallel >= 1

    # --- provision_vm ----------------------------------------------------------------------------------------------

    def test_provision_vm_returns_the_machine_powered_on_and_stamped(self, driver: Any) -> None:
        node = node_of("w-contract-1")
        vm = driver.provision_vm(node=node, boot=boot_of(node))
        assert isinstance(vm, Vm), f"provision_vm returned a {type(vm).__name__}, not a Vm"
        assert (vm.name, vm.power, vm.stamp) == (node.name, Power.ON, node.stamp)

    def test_provision_vm_is_idempotent_by_name(self, make_driver: Callable[[], Any], cluster: Cluster) -> None:
        node = node_of("w-contract-1")
        first, second = (make_driver().provision_vm(node=node, boot=boot_of(node)) for _ in range(2))
        assert first.id == second.id, "a second call made another machine, or lost the first one"
        assert len(_ours(make_driver(), cluster)) == 1

    def test_provision_vm_never_replaces_boot_data(self, driver: Any, read_boot_data: Callable[[Vm], str] | None) -> None:
        _needs(read_boot_data, "read_boot_data")
        assert read_boot_data
        node = node_of("w-contract-1")
        vm = driver.provision_vm(node=node, boot=boot_of(node))
        before = read_boot_data(vm)
        driver.provision_vm(node=node, boot=boot_of(node))
        assert read_boot_data(vm) == before

    def test_many_machines_can_be_made_at_once(self, driver: Any, cluster: Cluster) -> None:
        nodes = [node_of(name) for name in NAMES]
        with ThreadPoolExecutor(len(nodes)) as pool:
            vms = list(pool.map(lambda node: driver.provision_vm(node=node, boot=boot_of(node)), nodes))
        assert len({vm.id for vm in vms}) == len(nodes), "two machines share an identity"
        assert set(_ours(driver, cluster)) == set(NAMES)

    def test_one_machine_asked_for_twice_at_once_is_made_once(self, driver: Any, cluster: Cluster) -> None:
        node = node_of("w-contract-1")
        with ThreadPoolExecutor(4) as pool:
            vms = list(pool.map(lambda _: driver.provision_vm(node=node, boot=boot_of(node)), range(4)))
        assert len({vm.id for vm in vms}) == 1
        assert len(_ours(driver, cluster)) == 1

    def test_a_creation_that_fails_leaves_nothing_unfindable(
        self,
        driver: Any,
        make_driver: Callable[[], Any],
        cluster: Cluster,
        break_creation: Callable[[str], AbstractContextManager[None]] | None,
    ) -> None:
        _needs(break_creation, "break_creation")
        assert break_creation
        node = node_of("w-contract-1")
        with break_creation(node.name), pytest.raises(TargetError):
            driver.provision_vm(node=node, boot=boot_of(node))
        left = [vm for vm in make_driver().list_vms(cluster=cluster) if vm.name == node.name]
        assert all(vm.stamp == node.stamp for vm in left), "what is left of the machine is not stamped, so nobody finds it"
        vm = make_driver().provision_vm(node=node, boot=boot_of(node))
        assert vm.power is Power.ON, "what was left stands in the way of the next run"

    def test_an_error_is_one_line_without_secrets(
        self, driver: Any, secrets: Sequence[str], break_creation: Callable[[str], AbstractContextManager[None]] | None
    ) -> None:
        _needs(break_creation, "break_creation")
        assert break_creation
        node = node_of("w-contract-1")
        with break_creation(node.name), pytest.raises(TargetError) as caught:
            driver.provision_vm(node=node, boot=boot_of(node))
        assert str(caught.value), "the error says nothing"
        assert "\n" not in str(caught.value), f"more than a line: {caught.value}"
        assert not telling([str(caught.value)], [SECRET, *secrets]), "the error tells a secret"

    # --- foreign machines ------------------------------------------------------------------------------------------

    def test_a_foreign_machine_is_listed_without_stamp_and_never_taken(
        self, driver: Any, cluster: Cluster, create_foreign: Callable[[str], None] | None
    ) -> None:
        _needs(create_foreign, "create_foreign")
        assert create_foreign
        create_foreign("w-contract-1")
        node = node_of("w-contract-1")
        with pytest.raises(TargetError):
            driver.provision_vm(node=node, boot=boot_of(node))
        (vm,) = [vm for vm in driver.list_vms(cluster=cluster) if vm.name == node.name]
        assert vm.stamp is None

    def test_a_foreign_machine_is_never_destroyed(
        self, driver: Any, cluster: Cluster, create_foreign: Callable[[str], None] | None
    ) -> None:
        _needs(create_foreign, "create_foreign")
        assert create_foreign
        create_foreign("w-contract-1")
        (foreign,) = [vm for vm in driver.list_vms(cluster=cluster) if vm.name == "w-contract-1"]
        pretended = Vm(foreign.name, foreign.id, foreign.power, node_of("w-contract-1").stamp)
        with pytest.raises(TargetError):
            driver.destroy_vm(vm=pretended)
        assert [vm.id for vm in driver.list_vms(cluster=cluster)] == [foreign.id]

    def test_a_machine_of_another_cluster_of_this_name_is_never_destroyed(self, driver: Any, cluster: Cluster) -> None:
        node = node_of("w-contract-1")
        vm = driver.provision_vm(node=node, boot=boot_of(node))
        other = Stamp(node.stamp.cluster, "00000000-0000-4000-8000-00000000000f", node.role, node.stamp.spec)
        with pytest.raises(TargetError):
            driver.destroy_vm(vm=Vm(vm.name, vm.id, vm.power, other))
        assert set(_ours(driver, cluster)) == {node.name}

    # --- list_vms --------------------------------------------------------------------------------------------------

    def test_an_empty_target_lists_nothing(self, driver: Any, cluster: Cluster) -> None:
        assert list(driver.list_vms(cluster=cluster)) == []

    def test_list_vms_tells_what_provision_vm_stamped(self, make_driver: Callable[[], Any], cluster: Cluster) -> None:
        node = node_of("m-contract-1", Role.MASTER)
        made = make_driver().provision_vm(node=node, boot=boot_of(node))
        listed = _ours(make_driver(), cluster)[node.name]
        assert (listed.id, listed.stamp, listed.power) == (made.id, node.stamp, Power.ON)

    def test_list_vms_leaves_out_other_clusters(self, driver: Any, cluster: Cluster) -> None:
        other = node_of("w-elsewhere-1", cluster="elsewhere")
        driver.provision_vm(node=other, boot=boot_of(other))
        assert list(driver.list_vms(cluster=cluster)) == []

    # --- destroy_vm, scrub_boot ------------------------------------------------------------------------------------

    def test_destroy_vm_removes_the_machine_and_may_be_repeated(self, driver: Any, cluster: Cluster) -> None:
        _needs(getattr(driver, "destroy_vm", None), "destroy_vm")
        node = node_of("w-contract-1")
        vm = driver.provision_vm(node=node, boot=boot_of(node))
        assert driver.destroy_vm(vm=vm) is True
        assert driver.destroy_vm(vm=vm) is True, "a machine that is gone already is no failure"
        assert list(driver.list_vms(cluster=cluster)) == []

    def test_scrub_boot_takes_the_secrets_and_says_so(
        self, driver: Any, cluster: Cluster, read_boot_data: Callable[[Vm], str] | None
    ) -> None:
        _needs(getattr(driver, "scrub_boot", None) and read_boot_data, "scrub_boot and read_boot_data")
        assert read_boot_data
        node = node_of("w-contract-1")
        vm = driver.provision_vm(node=node, boot=boot_of(node))
        assert SECRET in read_boot_data(vm), "read_boot_data does not find what provision_vm delivered"
        assert not _ours(driver, cluster)[node.name].scrubbed
        assert driver.scrub_boot(vm=vm) is True
        assert SECRET not in read_boot_data(vm)
        assert _ours(driver, cluster)[node.name].scrubbed

    # --- the rest --------------------------------------------------------------------------------------------------

    def test_preflight_answers_with_lines(self, driver: Any) -> None:
        _needs(getattr(driver, "preflight", None), "preflight")
        node = node_of("w-contract-1")
        lines = driver.preflight(machines=[(node, boot_of(node))])
        assert lines is None or all(isinstance(line, str) and line and "\n" not in line for line in lines)
        assert not lines, f"the suite's machine is refused: {lines}"

    def test_render_boot_is_a_function_of_its_arguments(self, driver: Any, cluster: Cluster) -> None:
        _needs(getattr(driver, "render_boot", None), "render_boot")
        answers = [_call(driver.render_boot, node_of("w-contract-1"), cluster) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0] is None or isinstance(answers[0], BootFragment), (
            f"render_boot returned {type(answers[0]).__name__}"
        )

    def test_every_template_is_filled_in(self, driver: Any, cluster: Cluster) -> None:
        _needs(getattr(driver, "render_boot", None), "render_boot")
        for role in Role:
            left = unfilled(_call(driver.render_boot, node_of("w-contract-1", role), cluster))
            assert not left, f"a template was not filled in: {left}"

    def test_every_node_gets_a_publisher(self, driver: Any, cluster: Cluster) -> None:
        _needs(getattr(driver, "render_boot", None), "render_boot")
        for role in Role:
            fragment = _call(driver.render_boot, node_of("w-contract-1", role), cluster)
            files = {file.path: file.mode for file in fragment.files} if fragment else {}
            assert files.get(PUBLISHER, 0) & 0o111, f"a {role} machine gets no executable {PUBLISHER} to tell its stage with"

    def test_secrets_are_never_told(self, driver: Any, cluster: Cluster, secrets: Sequence[str]) -> None:
        node = node_of("w-contract-1")
        with logged() as lines:
            vm = driver.provision_vm(node=node, boot=boot_of(node))
            driver.list_vms(cluster=cluster)
            for hook in ("scrub_boot", "destroy_vm"):
                if hasattr(driver, hook):
                    getattr(driver, hook)(vm=vm)
        told = telling([*lines, repr(driver), repr(vm), str(vm)], [SECRET, *secrets])
        assert not told, f"a secret was told: {told}"

    def test_close_never_raises(self, make_driver: Callable[[], Any]) -> None:
        driver = make_driver()
        if hasattr(driver, "close"):
            driver.close()
            driver.close()


def _ours(driver: Any, cluster: Cluster) -> dict[str, Vm]:
    vms = driver.list_vms(cluster=cluster)
    assert all(isinstance(vm, Vm) for vm in vms), "list_vms returned something that is no Vm"
    return {vm.name: vm for vm in vms if vm.stamp and vm.stamp.cluster == cluster.name}


def _needs(offered: object, name: str) -> None:
    """A check for something that the driver does not offer says so by name; it is not passed."""
    if offered is None:
        pytest.skip(f"not offered: {name}")


def _call(hook: Callable[..., Any], node: Node, cluster: Cluster) -> Any:
    """Implementations may take fewer arguments than the spec names."""
    offered = {"node": node, "cluster": cluster}
    return hook(**{name: offered[name] for name in signature(hook).parameters})
