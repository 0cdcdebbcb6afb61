"""The operating system `centos`: CentOS Stream, with SELinux enforcing and firewalld on if the template has it so."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

from kube_provision_core import (
    NODE_CONFIG_DIR,
    BootError,
    BootFragment,
    Cluster,
    File,
    Node,
    Packages,
    Repository,
    Role,
    Stage,
    Step,
    hookimpl,
    shell_arrays,
)

from . import firewall
from .components import Component, choose, package_names
from .config import CentosConfig
from .repositories import Source, sources

RELEASES = ("9", "10")
ZRAM = "/etc/systemd/zram-generator.conf"
NETWORK_MANAGER = "/etc/NetworkManager/conf.d/kube-provision.conf"
POLICY_NAME = "kube_provision.cil"
POLICY = f"{NODE_CONFIG_DIR}/selinux/{POLICY_NAME}"

_PACKAGE = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9+._:~^*-]*")


class CentOS:
    """One content serves both releases: what differs is looked up on the machine."""

    Config = CentosConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, CentosConfig]) -> None:
        self._config = config

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        more = self._config[node.role].firewall_ports
        return BootFragment(
            files=(*firewall.files(node.role, cluster, more), *_node_files(node.role)),
            steps=(
                Step("release", Stage.PREPARE, _script("scripts/release.sh", releases=RELEASES), timeout=30, attempts=1),
                Step("firewall", Stage.INSTALL, _text("scripts/firewall.sh"), timeout=120),
                *_node_steps(node.role),
            ),
        )

    @hookimpl
    def os_packages(
        self,
        components: frozenset[str],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = choose(components)
        repos = sources(chosen, versions, repositories)
        more = tuple(_extra_names(extra))
        names = (*package_names(chosen, versions), *more)
        files = [file for repo in repos for file in repo.files()]
        files += [firewall.service(f"kube-provision-{name}", it.ports) for name, it in chosen.items() if it.ports]
        files += [File(POLICY, _text(f"selinux/{POLICY_NAME}"))] if "tcp-proxy" in chosen else []
        steps = _steps(chosen, repos, names, mirrored="os" in repositories)
        return Packages(names, tuple(files), tuple(steps), _list_versions((*package_names(chosen, {}), *more)))

    @hookimpl
    def seal_image(self) -> Sequence[Step]:
        return (Step("dnf", Stage.FINISH, _text("scripts/seal.sh"), timeout=120),)


def _node_files(role: Role) -> Iterator[File]:
    """An empty file in place of the one with defaults: no compressed memory as swap, which the kubelet refuses.

    And the network plugin's devices for it alone.
    """
    if role is not Role.DISCOVERY:
        yield File(ZRAM, "# No zram: swap is off on the nodes of a cluster.\n")
        yield File(NETWORK_MANAGER, _text("NetworkManager/kube-provision.conf"))


def _node_steps(role: Role) -> Iterator[Step]:
    if role is not Role.DISCOVERY:
        yield Step("network-manager", Stage.INSTALL, _text("scripts/network-manager.sh"), timeout=60)
    if role is Role.MASTER:
        yield Step("calico", Stage.FINISH, _text("scripts/calico.sh"), timeout=120)


def _steps(
    chosen: Mapping[str, Component], repos: Iterable[Source], names: Iterable[str], *, mirrored: bool
) -> Iterator[Step]:
    if mirrored:
        yield Step("repositories", Stage.PREPARE, _text("scripts/repositories.sh"), timeout=60)
    if "kubeadm" in chosen:
        yield Step("kernel-modules", Stage.PREPARE, _text("scripts/kernel-modules.sh"), timeout=900)
    yield Step("packages", Stage.INSTALL, _packages_script(chosen, repos, names), timeout=1800)
    if "tcp-proxy" in chosen:
        yield Step("selinux", Stage.INSTALL, _text("scripts/selinux.sh"), timeout=300)
    if "kubeadm" in chosen:
        yield Step("kube-proxy", Stage.INSTALL, _text("scripts/kube-proxy.sh"), timeout=30)


def _packages_script(chosen: Mapping[str, Component], repos: Iterable[Source], names: Iterable[str]) -> str:
    components = chosen.values()
    started = [unit for component in components for unit in component.started]
    return _script(
        "scripts/packages.sh",
        wanted=names,
        unlocked=[repo.id for repo in repos if repo.excluded] or ["main"],
        masked=[unit for component in components for unit in component.masked],
        kept=[path for component in components for path in component.kept],
        enabled=[*(unit for component in components for unit in component.enabled), *started],
        started=started,
    )


def _list_versions(names: Iterable[str]) -> str:
    """By name: rpm compares patterns with names alone. What one of them merely provides has another, and is left out."""
    quoted = " ".join(map(shlex.quote, names))
    return f"rpm --query --all --queryformat '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {quoted}" if quoted else ""


def _extra_names(extra: Iterable[str]) -> Iterator[str]:
    for name in sorted(extra):
        if not _PACKAGE.fullmatch(name):
            raise BootError(f"packages: {name}: is no name of a package")
        yield name


def _script(name: str, **lists: Iterable[str]) -> str:
    """One of the scripts, with shell arrays set for it."""
    return f"{shell_arrays(**lists)}\n{_text(name)}"


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text()
