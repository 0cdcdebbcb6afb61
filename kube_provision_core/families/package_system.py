"""What drivers of all families have in common: they know their releases, and components in their own words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from ..contract.boot import Stage, Step
from ..contract.components import Component
from ..contract.errors import BootError
from ..contract.hookspecs import API_VERSION, hookimpl
from .package_set import PackageSet
from .scripts import script, text


class PackageSystem:
    """A system that installs packages. One content serves all its releases: what differs is looked up on the machine."""

    api_version: ClassVar[int] = API_VERSION

    system: ClassVar[str]
    """What users write after `os:`, and `ID` of /etc/os-release."""
    releases: ClassVar[tuple[str, ...]]
    """`VERSION_ID`s that are supported; `9` means 9.4 and its like, too."""
    components: ClassVar[Mapping[Component, PackageSet]]
    """The packages of every `Component`, in the system's own words."""

    family: ClassVar[str]
    """The folder of the family's scripts."""
    package_name: ClassVar[re.Pattern[str]]
    """What users may name under `packages`; nothing that the package manager takes for an option."""

    @hookimpl
    def trust_authorities(self, folder: str) -> Step:
        trust = f"folder={shlex.quote(folder)}\n{text(f'{self.family}/scripts/trust.sh')}"
        return Step("authorities", Stage.PREPARE, trust, timeout=120)

    @hookimpl
    def seal_image(self) -> tuple[Step, ...]:
        return (Step(self.family, Stage.FINISH, text(f"{self.family}/scripts/seal.sh"), timeout=120),)

    def release_step(self) -> Step:
        """Refuses a template that runs something else, before anything is changed."""
        release = script("scripts/release.sh", system=[self.system], releases=self.releases)
        return Step("release", Stage.PREPARE, release, timeout=30, attempts=1)

    def known(self, components: frozenset[Component]) -> Sequence[Component]:
        """In an order that never changes. Raises `BootError` for a component that the system has no packages for."""
        for name in sorted(components - self.components.keys()):
            known = ", ".join(sorted(self.components))
            raise BootError(f"os {self.system} does not know the component {name}; it knows {known}")
        return sorted(components)

    def extra_names(self, extra: Iterable[str]) -> Iterator[str]:
        """Raises `BootError` for what is no name of a package."""
        for name in sorted(extra):
            if not self.package_name.fullmatch(name):
                raise BootError(f"packages: {name}: is no name of a package")
            yield name
