"""The operating system `acme`: a system that installs packages with dnf, until you say otherwise."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources

from kube_provision_core import (
    BootError,
    BootFragment,
    Cluster,
    Component,
    DriverConfig,
    Node,
    Packages,
    Repository,
    Role,
    Stage,
    Step,
    hookimpl,
    shell_arrays,
)

from .components import RELEASES, SYSTEM, choose, package_names
from .repositories import sources

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~-]*")


class Acme:
    Config = DriverConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, DriverConfig]) -> None:
        """Nothing is configured. Declare a Config as in a target if something must be."""

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """Refuses a template that runs another system, before anything is installed."""
        script = shell_arrays(system=[SYSTEM], releases=RELEASES) + _text("release.sh")
        return BootFragment(steps=(Step("release", Stage.PREPARE, script, timeout=30, attempts=1),))

    @hookimpl
    def os_packages(
        self,
        components: frozenset[Component],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        chosen = choose(components)
        names = (*package_names(chosen, versions), *_extra_names(extra))
        script = shell_arrays(
            wanted=names,
            # A mirror of the system takes the place of all that the template brought.
            options=["--disablerepo=*", "--enablerepo=kube-provision-*"] if "os" in repositories else [],
            services=[service for component in chosen.values() for service in component.services],
            masked=[service for component in chosen.values() for service in component.masked],
        )
        files = tuple(file for source in sources(chosen, versions, repositories) for file in source.files())
        steps = (Step("packages", Stage.INSTALL, script + _text("install.sh"), timeout=1800),)
        return Packages(names, files, steps, _list_versions((*package_names(chosen, {}), *_extra_names(extra))))

    @hookimpl
    def trust_authorities(self, folder: str) -> Step:
        """The site's own authorities, in this system's store."""
        return Step("authorities", Stage.PREPARE, f"folder={shlex.quote(folder)}\n{_text('trust.sh')}", timeout=120)

    @hookimpl
    def upgrade_packages(self) -> Sequence[Step]:
        """All that is installed at its newest; what `excludepkgs` names stays."""
        return (Step("packages", Stage.INSTALL, _text("upgrade.sh"), timeout=3600),)

    @hookimpl
    def seal_image(self) -> Sequence[Step]:
        """What machines of a baked template need not carry along."""
        return (Step("dnf", Stage.FINISH, _text("seal.sh"), timeout=120),)


def _extra_names(extra: Iterable[str]) -> Iterator[str]:
    """What users wish for besides; nothing that dnf would take for an option."""
    for name in sorted(extra):
        if not _PACKAGE.fullmatch(name):
            raise BootError(f"packages: {name!r} is no name of a package")
        yield name


def _list_versions(names: Iterable[str]) -> str:
    """What a baked template says that it holds; rpm wants names without versions here."""
    quoted = " ".join(map(shlex.quote, names))
    return f"rpm --query --all --queryformat '%{{NAME}} %{{VERSION}}-%{{RELEASE}}\\n' {quoted}" if quoted else ""


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text()
