"""The operating system `acme`: a system that installs packages with dnf, until you say otherwise."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from kube_provision_core import (
    BootError,
    BootFragment,
    Cluster,
    DriverConfig,
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

SYSTEM = "acme"
"""`ID` of /etc/os-release on machines of this system."""
KUBERNETES = "https://pkgs.k8s.io/core:/stable:/v{minor}/rpm/"
CONSUL = "https://rpm.releases.hashicorp.com/fedora/$releasever/$basearch/stable"


@dataclass(frozen=True)
class Component:
    """What the core and other plugins ask for, in this system's words."""

    packages: tuple[str, ...]
    """Packages that bear the component's version."""
    others: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    """Enabled for every boot; packages of this system leave that to others."""


COMPONENTS: Mapping[str, Component] = {
    "kubeadm": Component(("kubeadm", "kubectl", "kubelet"), ("conntrack-tools", "socat"), ("kubelet.service",)),
    "container-runtime": Component(("containerd",)),
    "tcp-proxy": Component(("nginx",), ("nginx-mod-stream",)),
    "consul": Component(("consul",)),
    "time-sync": Component((), ("chrony",), ("chronyd.service",)),
}


class Acme:
    Config = DriverConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, DriverConfig]) -> None:
        """Nothing is configured. Declare a Config as in a target if something must be."""

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """Refuses a template that runs another system, before anything is installed."""
        script = f"system={SYSTEM}\n{_text('release.sh')}"
        return BootFragment(steps=(Step("release", Stage.PREPARE, script, timeout=30, attempts=1),))

    @hookimpl
    def os_packages(
        self,
        components: frozenset[str],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = {name: _component(name) for name in sorted(components)}
        names = (*_names(chosen, versions), *sorted(extra))
        services = [service for component in chosen.values() for service in component.services]
        script = shell_arrays(wanted=names, services=services) + _text("install.sh")
        files = tuple(_repository_file(name, it) for name, it in _repositories(chosen, versions, repositories).items())
        return Packages(names, files, (Step("packages", Stage.INSTALL, script, timeout=1800),), _list_versions(chosen))

    @hookimpl
    def seal_image(self) -> Sequence[Step]:
        """What machines of a baked template need not carry along."""
        return (Step("dnf", Stage.FINISH, _text("seal.sh"), timeout=120),)


def _component(name: str) -> Component:
    if name not in COMPONENTS:
        raise BootError(f"os {SYSTEM} does not know the component {name}; it knows {', '.join(sorted(COMPONENTS))}")
    return COMPONENTS[name]


def _names(chosen: Mapping[str, Component], versions: Mapping[str, str]) -> Iterator[str]:
    for name, component in chosen.items():
        yield from (f"{package}{_pin(versions.get(name, ''))}" for package in component.packages)
        yield from component.others


def _list_versions(chosen: Mapping[str, Component]) -> str:
    """What a baked template says that it holds; rpm wants names without versions here."""
    quoted = " ".join(shlex.quote(name) for name in _names(chosen, {}))
    return f"rpm --query --all --queryformat '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {quoted}" if quoted else ""


def _pin(version: str) -> str:
    """Any release of an exact version, the newest patch of a minor, or whatever there is."""
    if not version:
        return ""
    return f"-{version}-*" if version.count(".") >= 2 else f"-{version}.*"


def _repositories(
    chosen: Mapping[str, Component], versions: Mapping[str, str], mirrors: Mapping[str, Repository]
) -> dict[str, Repository]:
    """Repositories besides the system's own, by name; a mirror takes the place of upstream."""
    upstream = {}
    if "kubeadm" in chosen:
        url = KUBERNETES.format(minor=".".join(versions.get("kubeadm", "").split(".")[:2]))
        upstream["kubernetes"] = Repository(url, f"{url}repodata/repomd.xml.key")
    if "consul" in chosen:
        upstream["consul"] = Repository(CONSUL, "https://rpm.releases.hashicorp.com/gpg")
    return {name: mirrors.get(name, repository) for name, repository in upstream.items()}


def _repository_file(name: str, repository: Repository) -> File:
    lines = [f"[{name}]", f"name={name}", f"baseurl={repository.url}", "gpgcheck=1"]
    lines += [f"gpgkey={repository.key}"] if repository.key else []
    return File(f"/etc/yum.repos.d/{name}.repo", "\n".join([*lines, ""]))


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text()
