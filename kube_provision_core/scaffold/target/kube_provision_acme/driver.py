"""The target `acme`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib import resources
from typing import Any

from kube_provision_core import (
    PUBLISHER,
    Boot,
    BootFragment,
    Cluster,
    File,
    Node,
    NodeStatus,
    Power,
    Role,
    Stamp,
    TargetError,
    Vm,
    hookimpl,
)

from .config import AcmeConfig
from .machines import Machines

EMPTY = "#cloud-config\n{}\n"
"""Boot data without secrets, for machines that have booted."""


class Acme:
    """Every hook may be called from several threads at once."""

    Config = AcmeConfig
    api_version = 1
    parallel = 16

    def __init__(self, config: Mapping[Role, AcmeConfig]) -> None:
        """No input or output here: whatever is needed is opened by the first hook that needs it."""
        self._config = config
        self._machines = Machines(config[Role.MASTER].acme_folder)

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        with self._changing(f"creating {node.name}"):
            if self._machines.read(node.name) is None:
                network = self._config[node.role].acme_network
                self._machines.create(node.name, asdict(node.stamp), boot.user_data, network)
            self._require_own(node.name, node.stamp)
            self._machines.update(node.name, power="on")
            return self._look(node.name)

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        vms = [self._look(name) for name in self._machines.names()]
        return [vm for vm in vms if vm.name in cluster.names or (vm.stamp and vm.stamp.cluster == cluster.name)]

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        with self._changing(f"scrubbing {vm.name}"):
            self._machines.replace_user_data(vm.name, EMPTY)
            self._machines.update(vm.name, scrubbed=True)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        with self._changing(f"destroying {vm.name}"):
            if self._machines.read(vm.name) is not None:
                self._require_own(vm.name, vm.stamp)
                self._machines.delete(vm.name)
        return True

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        folder = self._machines.folder
        return [f"acme_folder: {folder} is not a folder"] if folder.exists() and not folder.is_dir() else []

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """The program with which a machine publishes its stage, for `list_vms` to read without entering it."""
        publish = (resources.files(__package__) / "publish").read_text()
        return BootFragment(files=(File(PUBLISHER, publish, mode=0o755),))

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        """Expected trouble becomes one line: what happened, where, and what to do."""
        try:
            with self._machines.lock():
                yield
        except OSError as error:
            raise TargetError(
                f"{what} in {self._machines.folder}: {error.strerror or error}; repair it and run again"
            ) from error

    def _require_own(self, name: str, stamp: Stamp | None) -> None:
        """Nothing without our stamp is ever changed or deleted."""
        found = self._look(name).stamp
        if found is None or stamp is None or found.cluster_id != stamp.cluster_id:
            raise TargetError(f"{name} exists and does not belong to this cluster; it is left as it is: choose another name")

    def _look(self, name: str) -> Vm:
        known = self._machines.read(name) or {}
        return Vm(
            name=name,
            id=known.get("id", name),
            power=Power(known.get("power", "on")),
            stamp=_stamp(known),
            addresses=(known["address"],) if "address" in known else (),
            status=NodeStatus.parse(self._machines.published(name)),
            scrubbed=known.get("scrubbed", False),
            where=str(self._machines.folder / name),
        )


def _stamp(known: Mapping[str, Any]) -> Stamp | None:
    stamp = known.get("stamp")
    return Stamp(**stamp | {"role": Role(stamp["role"])}) if stamp else None
