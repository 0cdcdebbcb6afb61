"""What an author offers to the checks of a target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager
from threading import Barrier
from typing import Any

import pytest

from ... import Boot, Cluster, Machine, Node, Role, Vm
from ..connected import Connected
from ..fixtures import DriverFixtures, needs_somebody
from ..samples import boot_of, cluster_of, node_of

NAMES = ("m-contract-1", "w-contract-1", "w-contract-2", "w-contract-3")
WORKER = node_of("w-contract-1")

Context = AbstractContextManager[None]


class TargetFixtures(DriverFixtures):
    needed = ("provision_vm", "list_vms", "render_boot")
    patience: float = 60.0
    """Seconds in which every hook must have answered, also where no machine has an address, or a lock is held."""

    @pytest.fixture
    def out_of_reach(self) -> str:
        """Why there is no target here that the driver could ask, such as `it takes a vCenter`: only the driver itself is
        checked then, and each other check says so. Empty: there is one."""
        return ""

    @pytest.fixture(autouse=True)
    def _only_what_can_be_asked(self, request: pytest.FixtureRequest, out_of_reach: str) -> None:
        if out_of_reach and needs_somebody(request.function):
            pytest.skip(out_of_reach)

    @pytest.fixture
    def make_misled_driver(self) -> Callable[[], Any] | None:
        """A function that constructs a driver whose configuration names something that the target does not have."""
        return None

    @pytest.fixture
    def create_foreign(self) -> Callable[[str], None] | None:
        """A function that creates a machine of a given name that is not ours."""
        return None

    @pytest.fixture
    def break_creation(self) -> Callable[[str], Context] | None:
        """A context in which the target fails half-way through creating the machine of that name."""
        return None

    @pytest.fixture
    def kill_during(self) -> Callable[[str], Iterable[Context]] | None:
        """Contexts in each of which a run that creates the machine of that name is killed at another moment: whatever the
        driver was at raises something that is no `Exception`, or is simply not done, and so is nothing after it."""
        return None

    @pytest.fixture
    def silence(self) -> Callable[[], Context] | None:
        """A context in which the target cannot be reached at all."""
        return None

    @pytest.fixture
    def hold_lock(self) -> Callable[[Node], Context] | None:
        """A context in which another run is at work on that machine and holds whatever it locks for that. For targets that
        lock; shorten their limit, or raise `patience`."""
        return None

    @pytest.fixture
    def damage(self) -> Callable[[Vm], None] | None:
        """A function that spoils what the driver has noted on a machine, so that its stamp cannot be read any more."""
        return None

    @pytest.fixture
    def power_off(self) -> Callable[[Vm], None] | None:
        """A function that pulls a machine's plug."""
        return None

    @pytest.fixture
    def attach_disk(self) -> Callable[[Vm], Callable[[], bool]] | None:
        """A function that attaches a disk with data to a machine, as somebody else would; it returns one that tells whether
        the disk is still there."""
        return None

    @pytest.fixture
    def read_boot_data(self) -> Callable[[Vm], str] | None:
        """A function that reads the user-data that the target holds for a machine."""
        return None

    @pytest.fixture
    def read_metadata(self) -> Callable[[Vm], str] | None:
        """A function that reads what tells a machine its host name and its instance id."""
        return None

    @pytest.fixture
    def find_text(self) -> Callable[[str], Sequence[str]] | None:
        """A function that names every place of the target (files, settings, logs) in which a text stands, encoded or not."""
        return None

    @pytest.fixture
    def read_size(self) -> Callable[[Vm], Machine] | None:
        """A function that tells how large a machine is, and its further disks."""
        return None

    @pytest.fixture
    def read_role(self) -> Callable[[Vm], Role] | None:
        """A function that tells by which role's configuration a machine was made; `make_driver` must give them different
        ones."""
        return None

    @pytest.fixture
    def publish(self) -> Callable[[Vm, str], None] | None:
        """A function that publishes a text as the machine's own publisher would."""
        return None

    @pytest.fixture
    def receive(self) -> Callable[[Vm], bytes] | None:
        """A function that reads the task that waits for a machine, as its own receiver would now or after its next start."""
        return None

    @pytest.fixture
    def tell_addresses(self) -> Callable[[Vm, Sequence[str]], None] | None:
        """A function that lets a machine have these addresses, as the target sees it."""
        return None

    # --- what the checks work with ---------------------------------------------------------------------------------

    @pytest.fixture
    def cluster(self) -> Cluster:
        return cluster_of(*NAMES)

    def soon(self, call: Callable[[], Any]) -> Any:
        """What it answers, or raises, within `patience`."""
        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(call).result(self.patience)
        except Late:
            raise AssertionError(f"it has not answered within {self.patience:g} s") from None
        finally:
            pool.shutdown(wait=False)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What they answer, all begun at one moment."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def make(driver: Connected, node: Node = WORKER, boot: Boot | None = None) -> Vm:
    """The machine, made."""
    vm = driver.provision_vm(node=node, boot=boot or boot_of(node))
    assert isinstance(vm, Vm), f"provision_vm returned a {type(vm).__name__}, not a Vm"
    return vm


def listed(driver: Connected, cluster: Cluster) -> list[Vm]:
    """What list_vms tells."""
    vms = driver.list_vms(cluster=cluster)
    assert vms is not None, "list_vms is not answered"
    found = list(vms)
    assert all(isinstance(vm, Vm) for vm in found), "list_vms returned something that is no Vm"
    return found


def ours(driver: Connected, cluster: Cluster) -> dict[str, Vm]:
    """The cluster's own machines among that, by name."""
    return {vm.name: vm for vm in listed(driver, cluster) if vm.stamp and vm.stamp.cluster_id == cluster.id}


def one(driver: Connected, cluster: Cluster, name: str = WORKER.name) -> Vm:
    """What list_vms tells of that machine."""
    found = [vm for vm in listed(driver, cluster) if vm.name == name]
    assert len(found) == 1, f"list_vms tells of {len(found)} machines called {name}"
    return found[0]
