"""The driver: each hook in a few lines. vCenter is called, and pyVmomi imported, at the first hook that needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from threading import Lock
from typing import TYPE_CHECKING

from kube_provision_core import (
    API_VERSION,
    Boot,
    BootError,
    BootFragment,
    Cluster,
    FailureDomain,
    GuestInfo,
    Image,
    Node,
    Role,
    Stamp,
    TargetDriver,
    Template,
    Vm,
    address_shortages,
    hookimpl,
    interface_name,
    node_card,
)

from .config import VsphereConfig

if TYPE_CHECKING:
    from .target import Target

PARALLEL = 32
"""Threads that only wait cost neither side much, and vCenter queues what its hosts and datastores cannot do at once (about
8 full clones each); more would only make other people's tasks wait behind ours."""

ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
"""Well-known labels of Kubernetes, which its scheduler and storage drivers look at."""


@cache
def _node_part() -> BootFragment:
    return GuestInfo.node_part("vsphere", files(__package__).joinpath("files", "publish").read_text())


def _domain(config: VsphereConfig, name: str) -> FailureDomain:
    region = config.failure_domains[name].region
    return FailureDomain(name, {ZONE: name, **({REGION: region} if region else {})})


class Vsphere(TargetDriver):
    """VMware vSphere: machines are clones of a template in one vCenter."""

    Config = VsphereConfig
    api_version = API_VERSION
    parallel = PARALLEL
    answer_limit = 30 * 1024  # of guestinfo's 64 KiB: every look at the machines reads it again

    def __init__(self, config: Mapping[Role, VsphereConfig]) -> None:
        self._config = config
        self._lock = Lock()
        self._opened: Target | None = None

    @property
    def address_timeout(self) -> int:
        """Seconds that a machine may take until it has an address."""
        return self._config[Role.MASTER].wait_for_ip_address_timeout

    @property
    def failure_domains(self) -> Mapping[Role, Sequence[FailureDomain]]:
        return {role: [_domain(config, name) for name in config.domains] for role, config in self._config.items()}

    @property
    def node_interfaces(self) -> Mapping[Role, str]:
        return {role: interface_name(node_card(it.networks)) for role, it in self._config.items() if it.networks}

    @property
    def fixed_addresses(self) -> Mapping[Role, Sequence[str]]:
        known = {role: config.node_static_ip for role, config in self._config.items()}
        return {role: [str(it.ip) for it in static.addresses] for role, static in known.items() if static}

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        config = self._config[node.role]
        for shortage in address_shortages([node], config.cards, config.called, cluster):
            raise BootError(shortage)
        return _node_part()

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        from .preflight import problems

        return problems(self._target, machines) if machines else []

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return self._target.fleet.look(cluster)

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        return self._target.fleet.provision(node, lambda: self._target.order(node, boot))

    @hookimpl
    def arrange_vms(self, cluster: Cluster, vms: Sequence[Vm]) -> bool:
        from .arrange import arrange

        arrange(self._target, cluster, vms)
        return True

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        self._target.fleet.start(vm)
        return True

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        self._target.fleet.scrub(vm)
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        self._target.fleet.restamp(vm, stamp)
        return True

    @hookimpl
    def task_limit(self) -> int:
        return GuestInfo.TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        self._target.fleet.deliver(vm, task)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        from .arrange import release

        release(self._target, vm)
        self._target.fleet.destroy(vm)
        return True

    @hookimpl
    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template]:
        return self._target.templates.look(roles)

    @hookimpl
    def bake_image(self, template: Template, image: Image) -> bool:
        self._target.templates.begin(template, image)
        return True

    @hookimpl
    def finish_image(self, template: Template) -> bool:
        self._target.templates.finish(template)
        return True

    @hookimpl
    def close(self) -> None:
        with self._lock:
            if self._opened:
                self._opened.vcenter.close()

    @property
    def _target(self) -> Target:
        from .target import Target

        with self._lock:
            if self._opened is None:
                self._opened = Target(self._config, self.parallel)
            return self._opened
