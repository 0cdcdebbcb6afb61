"""Templates as `bake` sees them: what is in one, what it is made from, the machine that makes it. Frozen values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from .boot import NODE_CONFIG_DIR, Boot
from .machines import Machine, Role
from .packages import Repository
from .status import NodeStatus

BAKED = f"{NODE_CONFIG_DIR}/baked.json"
"""What a template knows about itself: the document of its `Baked`."""

_MOST = 500
"""Packages, or images, that are believed: a machine may say anything."""
_LONGEST = 256


@dataclass(frozen=True, slots=True)
class Baked:
    """What a bake has recorded in a template."""

    spec: str
    """`Image.spec` of what was asked for."""
    date: str
    """ISO 8601, UTC."""
    system: str = ""
    """The operating system, in its own words."""
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Of the packages that were asked for, by name."""
    images: tuple[str, ...] = ()
    """Kubernetes' own, with their tags."""

    @classmethod
    def parse(cls, document: object) -> Baked | None:
        """From a document as `document` makes it; None for anything else."""
        if not isinstance(document, dict) or not (isinstance(document.get("spec"), str) and document["spec"]):
            return None
        versions, images = document.get("versions"), document.get("images")
        return cls(
            spec=_text(document["spec"]),
            date=_text(document.get("date")),
            system=_text(document.get("system")),
            versions={_text(name): _text(version) for name, version in list(versions.items())[:_MOST]}
            if isinstance(versions, dict)
            else {},
            images=tuple(map(_text, images[:_MOST])) if isinstance(images, list) else (),
        )

    @classmethod
    def published(cls, text: str | None) -> Baked | None:
        """From what a machine publishes when it has baked itself: the status of a finished boot, with the record inside."""
        try:
            said = json.loads(text or "")
        except (ValueError, RecursionError):
            return None
        return cls.parse(said.get("baked")) if isinstance(said, dict) else None

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self) | {"versions": dict(self.versions), "images": list(self.images)}

    @property
    def summary(self) -> str:
        """A line for people: `2026-11-27: kubeadm 1.37.1-1.1, containerd 1.7.24 and 12 more`."""
        names = [name for name in _TOLD_FIRST if name in self.versions] or sorted(self.versions)[:1]
        told = ", ".join(f"{name} {self.versions[name]}" for name in names)
        more = f" and {len(self.versions) - len(names)} more" if len(self.versions) > len(names) else ""
        return f"{self.date[:10]}{f': {told}{more}' if told else ''}"


_TOLD_FIRST = ("kubeadm", "containerd", "containerd.io")


def _text(value: object) -> str:
    return value[:_LONGEST] if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Baking:
    """The machine that becomes a template, as observed."""

    spec: str
    """`Image.spec` of what it was given."""
    running: bool
    status: NodeStatus | None = None
    """What it published last."""
    baked: Baked | None = None
    """What it says that it holds; told with the end of its work."""

    @property
    def done(self) -> bool:
        """It has baked itself as it was told, and waits for being made the template."""
        finished = self.status is not None and self.status.finished
        return finished and self.baked is not None and self.baked.spec == self.spec


@dataclass(frozen=True, slots=True)
class Template:
    """What machines of some roles are made from, as the configuration names it and as the target has it."""

    name: str
    roles: frozenset[Role]
    source: str = ""
    """What it is baked from; empty where the configuration does not say."""
    exists: bool = False
    baked: Baked | None = None
    """What is in it. None where it does not exist, and where it is somebody else's: such a one is never touched."""
    baking: Baking | None = None
    where: str = ""
    """For people: its place on the target."""
    hindrances: tuple[str, ...] = ()
    """What keeps it from being baked now, a line each with what to do: a program or room that lacks, say."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a template is to hold, as a machine is told to make it of itself."""

    spec: str
    """Hash of all that goes into it; another one means another content."""
    boot: Boot
    """A machine that boots it bakes and seals itself, publishes the end of its boot with its `Baked`, and then waits."""
    script: str = field(repr=False)
    """The same by hand: `bash SCRIPT` bakes and seals the machine that it runs on, `bash SCRIPT packages` only installs,
    which it also does in a chroot. No secrets in it."""
    machine: Machine
    """The size of a machine that bakes."""
    repositories: Mapping[str, Repository] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Mirrors, as the script uses them already: for a target that installs more by itself."""
