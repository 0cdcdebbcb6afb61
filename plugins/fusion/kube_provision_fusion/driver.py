"""The driver: each hook in a few lines. vmrun is looked for at the first hook that needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import ClassVar

from kube_provision_core import (
    API_VERSION,
    Boot,
    BootError,
    BootFragment,
    Cluster,
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

from . import preflight
from .baking.templates import Templates, Vmware
from .cloning import Cloner
from .config import FusionConfig
from .fleet import Fleet
from .host import Host, this_host
from .machines import Machines
from .observer import Observer
from .power import PowerSwitch
from .vmrun import LIMITS, Limits, Vmrun

PARALLEL = 6
"""One machine is cloned while a few start; the rest would wait for the same disk."""


@cache
def _node_part(interface: str) -> BootFragment:
    """`interface`: the one in the nodes' network, of several."""
    publisher = files(__package__).joinpath("files", "publish").read_text()
    return GuestInfo.node_part("fusion", publisher.replace("@INTERFACE@", interface))


class Fusion(TargetDriver):
    """VMware Fusion on macOS, VMware Workstation on Linux: machines are clones of a template on this computer."""

    Config = FusionConfig
    api_version = API_VERSION
    parallel = PARALLEL
    suggested_sizes: ClassVar[Mapping[Role, Mapping[str, int]]] = {
        Role.MASTER: {"count": 1, "cpu": 2, "mem": 4},
        Role.WORKER: {"count": 1, "cpu": 2, "mem": 3},
        Role.DISCOVERY: {"cpu": 1, "mem": 1},
    }
    answer_limit = 30 * 1024  # of guestinfo's 64 KiB: every look at the machines reads it again

    def __init__(self, config: Mapping[Role, FusionConfig], host: Host | None = None, limits: Limits = LIMITS) -> None:
        self._config, self._limits = config, limits
        self._host = host or this_host()
        machines = Machines(config[Role.MASTER].vm_dir, self._host)
        self._observer = Observer(self._host, machines, self._find_vmrun)
        cloner, power = Cloner(self._host), PowerSwitch(self._host, self._find_vmrun)
        self._fleet = Fleet(config, self._host, machines, self._find_vmrun, cloner, power)
        self._templates = Templates(Vmware(self._host, limits, self._find_vmrun, machines, cloner, power), config)

    @property
    def node_interfaces(self) -> Mapping[Role, str]:
        return {role: interface_name(node_card(it.networks)) for role, it in self._config.items() if it.networks}

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        for shortage in address_shortages([node], self._config[node.role].networks or (), cluster=cluster):
            raise BootError(shortage)
        return _node_part(node.interface)

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        return preflight.problems(self._host, self._config, self._find_vmrun, machines)

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return self._observer.look(cluster)

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        return self._fleet.provision(node, boot)

    @hookimpl
    def start_vm(self, vm: Vm) -> bool:
        self._fleet.start(vm)
        return True

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        self._fleet.scrub(vm)
        return True

    @hookimpl
    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool:
        self._fleet.restamp(vm, stamp)
        return True

    @hookimpl
    def task_limit(self) -> int:
        return GuestInfo.TASK_LIMIT

    @hookimpl
    def deliver_task(self, vm: Vm, task: bytes | None) -> bool:
        self._fleet.deliver(vm, task)
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        self._fleet.destroy(vm)
        return True

    @hookimpl
    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template]:
        return self._templates.look(roles)

    @hookimpl
    def bake_image(self, template: Template, image: Image) -> bool:
        self._templates.begin(template, image)
        return True

    @hookimpl
    def finish_image(self, template: Template) -> bool:
        self._templates.finish(template)
        return True

    def _find_vmrun(self) -> Vmrun:
        return self._vmrun

    @cached_property
    def _vmrun(self) -> Vmrun:
        return Vmrun(self._host.find_vmrun(self._config[Role.MASTER].vmrun), self._host, self._limits)
