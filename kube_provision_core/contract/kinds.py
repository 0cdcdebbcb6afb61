"""What a driver class is, kind by kind, for a type checker: a class that inherits one of these is held to the contract.

    class MyTarget(TargetDriver):
        Config = MyTargetConfig
        parallel = 16

        def __init__(self, config: Mapping[Role, MyTargetConfig]) -> None: ...   # no I/O here

        @hookimpl
        def list_vms(self, cluster: Cluster) -> Sequence[Vm]: ...

Named in an entry point of the group `kube_provision.target`, `.os`, `.discovery` or `.extension`, and found by that name.
Inheriting is no duty, since only marked methods are ever called. Who inherits takes all arguments of a hook, and gives a
wrapper a name of its own: `@hookimpl(wrapper=True, specname="render_boot")`. What the hooks promise stands in `hookspecs`;
those that answer None here may be left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from .boot import Boot, BootFragment, Step
from .components import Component
from .driver import DriverConfig
from .machines import Cluster, Discovery, FailureDomain, Node, Role, Stamp, Vm
from .packages import Packages, Repository
from .templates import Image, Template

ADDRESS_TIMEOUT = 300.0
BOOT_TIMEOUT = 1800.0
ANSWER_LIMIT = 4096


class Extension(Protocol):
    """Every plugin may answer what an extension may. `Config` is `DriverConfig` where there is nothing to configure."""

    Config: ClassVar[type[DriverConfig]]
    api_version: ClassVar[int] = 1
    """The version of the contract that it was written for."""

    def __init__(self, config: Mapping[Role, Any]) -> None:
        """`config` has an entry for every role, pools' included. No I/O: connect at the first hook that needs it."""
        return

    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment | None:
        return None

    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str] | None:
        return None

    def seal_image(self) -> Sequence[Step] | None:
        return None

    def render_grants(self, nodes: Sequence[Node]) -> str | None:
        return None

    def close(self) -> None:
        return None


class TargetDriver(Extension, Protocol):
    """Where machines come from."""

    parallel: ClassVar[int]
    """Machines created at once unless the user says otherwise."""
    node_network: ClassVar[IPv4Network | None] = None
    """That of all its machines, where the target itself decides on one."""
    shares_kernel: ClassVar[bool] = False
    """Its machines run on the kernel of their host, as containers do: what belongs to that kernel is left to the host."""
    suggested_sizes: ClassVar[Mapping[Role, Mapping[str, int]]] = {}
    """What `init` suggests in place of the core's defaults, by role: `count`, `cpu` and `mem`."""
    answer_limit: ClassVar[int] = ANSWER_LIMIT
    """Bytes of one document that a machine publishes, at most: who asks a machine for more is told what was cut."""

    if TYPE_CHECKING:

        @property
        def address_timeout(self) -> float:
            """Seconds in which a machine gets its address."""
            return ADDRESS_TIMEOUT

        @property
        def boot_timeout(self) -> float:
            """Seconds in which a machine finishes its boot; may be looked for on its host."""
            return BOOT_TIMEOUT

        @property
        def failure_domains(self) -> Mapping[Role, Sequence[FailureDomain]]:
            """Those that machines of a role spread over, the preferred one first; none of a role that is not named."""
            return {}

        @property
        def node_interfaces(self) -> Mapping[Role, str]:
            """What the interface in the nodes' network is called inside of a role's machines, where these have several."""
            return {}

        @property
        def fixed_addresses(self) -> Mapping[Role, Sequence[str]]:
            """Those that machines of a role are made with, in the order of their indices; of a role that is not named
            nobody knows them before machines are made."""
            return {}

    else:  # what an instance may have of its own, too
        address_timeout, boot_timeout = ADDRESS_TIMEOUT, BOOT_TIMEOUT
        failure_domains, node_interfaces, fixed_addresses = {}, {}, {}

    def provision_vm(self, node: Node, boot: Boot) -> Vm | None: ...

    def list_vms(self, cluster: Cluster) -> Sequence[Vm] | None: ...

    def scrub_boot(self, vm: Vm) -> bool | None: ...

    def destroy_vm(self, vm: Vm) -> bool | None: ...

    def start_vm(self, vm: Vm) -> bool | None:
        return None

    def deliver_task(self, vm: Vm, task: bytes | None) -> bool | None:
        return None

    def task_limit(self) -> int | None:
        return None

    def restamp_vm(self, vm: Vm, stamp: Stamp) -> bool | None:
        return None

    def arrange_vms(self, cluster: Cluster, vms: Sequence[Vm]) -> bool | None:
        return None

    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template] | None:
        return None

    def bake_image(self, template: Template, image: Image) -> bool | None:
        return None

    def finish_image(self, template: Template) -> bool | None:
        return None


class OsDriver(Extension, Protocol):
    """What machines run on."""

    def os_packages(
        self,
        components: frozenset[Component],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages | None: ...

    def trust_authorities(self, folder: str) -> Step | None:
        return None

    def upgrade_packages(self) -> Sequence[Step] | None:
        return None


class DiscoveryDriver(Extension, Protocol):
    """Where the masters are known."""

    port: int | None = None
    """The service's TCP port: `status` tells where an operator's host reaches it."""
    machines: int = 1
    """How many machines the core provisions for the service, where there is no existing one. 0: the masters are it."""
    by_majority: bool = False
    """Masters that are the service decide by majority: `destroy --node` and `replace` leave more than half at work."""

    if TYPE_CHECKING:

        @property
        def address(self) -> str | None:
            """Address of an existing service, from the configuration. None: the core provisions `machines` for it first."""

    def discover_masters(self, cluster: Cluster) -> Discovery | None: ...

    def lock_cluster(self, cluster: Cluster) -> AbstractContextManager[None] | None:
        return None

    def admit_nodes(self, cluster: Cluster) -> bool | None:
        return None

    def keep_history_head(self, cluster: Cluster, head: str) -> bool | None:
        return None

    def history_head(self, cluster: Cluster) -> str | None:
        return None

    def forget_initialising(self, cluster: Cluster, node_name: str) -> bool | None:
        return None

    def forget_cluster(self, cluster: Cluster) -> bool | None:
        return None

    def discovery_notice(self, cluster: Cluster) -> str | None:
        return None
