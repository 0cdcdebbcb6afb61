"""A driver for systems of RHEL's family, with SELinux enforcing and firewalld on if the template has it so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from ...contract.boot import NODE_CONFIG_DIR, BootFragment, File, Stage, Step
from ...contract.components import Component
from ...contract.hookspecs import hookimpl
from ...contract.machines import Cluster, Node, Role
from ...contract.packages import Packages, Repository
from ..package_set import fetched, names
from ..package_system import PackageSystem
from ..scripts import script, text
from . import firewall
from .config import DnfConfig
from .package_sets import COMPONENTS, DnfPackageSet
from .repositories import UPSTREAMS, Source, mirror_of_system, upstream

ZRAM = "/etc/systemd/zram-generator.conf"
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/kube-provision.conf"
POLICY_NAME = "kube_provision.cil"
POLICY = f"{NODE_CONFIG_DIR}/selinux/{POLICY_NAME}"

WEB_PORTS = frozenset({80, 81, 443, 488, 8008, 8009, 8443, 9000})
"""Where SELinux lets nginx listen: `http_port_t`."""


class DnfSystem(PackageSystem):
    """A driver for one system of RHEL's family; a subclass says how the system differs."""

    Config = DnfConfig
    family = "dnf"
    package_name = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9+._:~^*-]*")
    components: ClassVar[Mapping[Component, DnfPackageSet]] = COMPONENTS

    upstreams: ClassVar[Mapping[str, Repository]] = UPSTREAMS
    """The repositories that components name, where no mirror takes their place."""
    archive_release: ClassVar[str] = "$releasever"
    """The folder of a release on the system's own mirrors; it holds `BaseOS` and `AppStream`."""
    archive_definitions: ClassVar[tuple[str, ...]]
    """Files, as patterns, that define the system's own repositories; a mirror takes their place."""
    archive_keys: ClassVar[tuple[str, ...]]
    """Files, as patterns, with the keys that vouch for a mirror which brings none."""

    def __init__(self, config: Mapping[Role, DnfConfig]) -> None:
        self._config = config

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        more = self._config[node.role].firewall_ports
        return BootFragment(
            files=(*firewall.files(node.role, cluster, more), *_node_files(node)),
            packages=_port_packages(node.role, cluster.proxy_port),
            steps=(
                self.release_step(),
                Step("firewall", Stage.INSTALL, text("dnf/scripts/firewall.sh"), timeout=120),
                *_node_steps(node.role),
                *_port_steps(node.role, cluster.proxy_port),
            ),
        )

    @hookimpl
    def os_packages(
        self,
        components: frozenset[Component],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = {name: self.components[name] for name in self.known(components)}
        more = tuple(self.extra_names(extra))
        wanted = (*names(chosen, versions, "-"), *more)
        sources = tuple(self._sources(chosen, versions, repositories))
        delivered = [file for source in sources for file in source.files()]
        delivered += [firewall.service(f"kube-provision-{name}", it.ports) for name, it in chosen.items() if it.ports]
        delivered += [File(POLICY, text(f"dnf/selinux/{POLICY_NAME}"))] if Component.TCP_PROXY in chosen else []
        steps = (
            *self._mirror_steps(repositories),
            *_steps(chosen, _packages_script(chosen, sources, wanted)),
            *_fetch(fetched(chosen, versions, "-"), sources),
        )
        return Packages(wanted, tuple(delivered), steps, _list_versions((*names(chosen, {}, "-"), *more)))

    @hookimpl
    def upgrade_packages(self) -> Sequence[Step]:
        sets = self.components.values()
        upgrade = script("dnf/scripts/upgrade.sh", held=sorted({name for packages in sets for name in packages.held}))
        return (Step("packages", Stage.INSTALL, f"{_kept(sets)}\n{upgrade}\n{text('newest-kernel.sh')}", timeout=3600),)

    def _sources(
        self, chosen: Mapping[Component, DnfPackageSet], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
    ) -> Iterator[Source]:
        if "os" in mirrors:
            yield from mirror_of_system(mirrors["os"], self.archive_release)
        yield from upstream(chosen, versions, self.upstreams, mirrors)

    def _mirror_steps(self, mirrors: Mapping[str, Repository]) -> Iterator[Step]:
        if "os" in mirrors:
            replace = script("dnf/scripts/repositories.sh", definitions=self.archive_definitions, keys=self.archive_keys)
            yield Step("repositories", Stage.PREPARE, replace, timeout=60)


def _node_files(node: Node) -> Iterator[File]:
    """An empty file in place of the one with defaults: no compressed memory as swap, which the kubelet refuses unless its
    role may swap. And the network plugin's devices for it alone.
    """
    if node.role is not Role.DISCOVERY:
        if not node.swaps:
            yield File(ZRAM, "# No zram: swap is off on the nodes of a cluster.\n")
        yield File(NETWORK_MANAGER, text("dnf/NetworkManager/kube-provision.conf"))


def _node_steps(role: Role) -> Iterator[Step]:
    if role is not Role.DISCOVERY:
        yield Step("network-manager", Stage.INSTALL, text("dnf/scripts/network-manager.sh"), timeout=60)
    if role is Role.MASTER:
        yield Step("calico", Stage.FINISH, text("scripts/calico.sh"), timeout=120)


def _port_packages(role: Role, port: int) -> frozenset[str]:
    return frozenset({"policycoreutils-python-utils"}) if [*_port_steps(role, port)] else frozenset()


def _port_steps(role: Role, port: int) -> Iterator[Step]:
    """Before the proxy starts, and after packages are there."""
    if role is not Role.DISCOVERY and port not in WEB_PORTS:
        yield Step("proxy-port", Stage.DISCOVER, script("dnf/scripts/proxy-port.sh", ports=(str(port),)), timeout=120)


def _steps(chosen: Mapping[Component, DnfPackageSet], install: str) -> Iterator[Step]:
    if Component.KUBEADM in chosen:
        yield Step("kernel-modules", Stage.PREPARE, text("dnf/scripts/kernel-modules.sh"), timeout=900)
    yield Step("packages", Stage.INSTALL, install, timeout=1800)
    if Component.TCP_PROXY in chosen:
        yield Step("selinux", Stage.INSTALL, text("dnf/scripts/selinux.sh"), timeout=300)
    if Component.KUBEADM in chosen:
        yield Step("kube-proxy", Stage.INSTALL, text("dnf/scripts/kube-proxy.sh"), timeout=30)


def _packages_script(chosen: Mapping[Component, DnfPackageSet], sources: Iterable[Source], wanted: Iterable[str]) -> str:
    sets = chosen.values()
    started = [unit for packages in sets for unit in packages.started]
    install = script(
        "dnf/scripts/packages.sh",
        wanted=wanted,
        unlocked=_unlocked(sources),
        masked=[unit for packages in sets for unit in packages.masked],
        enabled=[*(unit for packages in sets for unit in packages.enabled), *started],
        started=started,
    )
    return f"{_kept(sets)}\n{install}"


def _fetch(packages: Iterable[str], sources: Iterable[Source]) -> Iterator[Step]:
    if packages:
        fetch = script("dnf/scripts/fetch.sh", fetched=packages, unlocked=_unlocked(sources))
        yield Step("fetch", Stage.INSTALL, fetch, timeout=1800)


def _unlocked(sources: Iterable[Source]) -> list[str]:
    """Whose exclusions dnf is to pass over; it wants one word at least."""
    return [source.id for source in sources if source.excluded] or ["main"]


def _kept(sets: Iterable[DnfPackageSet]) -> str:
    """Functions that keep what a package would bring in another version, and give it back."""
    return script("dnf/scripts/kept.sh", kept=[path for packages in sets for path in packages.kept])


def _list_versions(wanted: Iterable[str]) -> str:
    """By name: rpm compares patterns with names alone. What one of them merely provides has another, and is left out."""
    quoted = " ".join(map(shlex.quote, wanted))
    return f"rpm --query --all --queryformat '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {quoted}" if quoted else ""
