"""Templates: a qcow2 disk, and beside it a small manifest that says what it is.

    debian-13.qcow2     the disk; machines' disks are overlays on it, so it never changes once there are any
    debian-13.json      the manifest; without one the disk boots by firmware, on this host's architecture
    debian-13.vmlinuz, debian-13.initrd     where the manifest names them: the kernel is then booted directly

A newer template is a new disk beside the old one, and a name for both may be a symbolic link: a machine keeps the disk that
the link named when the machine was made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kube_provision_core import TargetError, replace_file, telling_os_errors

from . import chain
from .chain import Layer

FORMAT = 1
"""Version of the manifest; a later one is refused."""

COMMAND_LINE = "root=/dev/vda rw net.ifnames=0 quiet"
"""The kernel's, where the manifest has none: the file system is the whole first disk."""


@dataclass(frozen=True)
class Fingerprint:
    """Tells a disk that was rewritten, or any that it builds on, from the one that overlays were made on."""

    size: int
    changed_ns: int
    below: Fingerprint | None = None
    """Of what it builds on; None also where that was not noted."""

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> Fingerprint:
        first, *rest = layers
        return cls(first.size, first.changed_ns, cls.of(rest) if rest else None)

    def fits(self, now: Fingerprint) -> bool:
        """Whether nothing that was noted has changed. A disk that builds on something else now has changed itself."""
        if (self.size, self.changed_ns) != (now.size, now.changed_ns):
            return False
        return self.below is None or (now.below is not None and self.below.fits(now.below))


@dataclass(frozen=True)
class Template:
    disk: Path
    """Absolute, links resolved."""
    virtual_size: int
    """Bytes that a machine sees."""
    fingerprint: Fingerprint
    architecture: str | None = None
    """None: nobody has said."""
    kernel: Path | None = None
    """None: the disk is booted by firmware."""
    initrd: Path | None = None
    command_line: str = COMMAND_LINE
    contents: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What bake has put into it."""


def read(path: Path) -> Template:
    """The template whose disk is `path`. Raises `TargetError` where it is none, or incomplete."""
    with telling_os_errors(f"template {path} cannot be read"):
        disk = path.resolve(strict=True)
    layers = chain.read(disk, f"template {path}")
    virtual_size, fingerprint = _virtual_size(path, layers[0]), Fingerprint.of(layers)
    manifest = _read_manifest(disk.with_suffix(".json"))
    if manifest is None:
        return Template(disk, virtual_size, fingerprint)
    return Template(
        disk,
        virtual_size,
        fingerprint,
        architecture=manifest.get("architecture"),
        kernel=_beside(disk, manifest, "kernel"),
        initrd=_beside(disk, manifest, "initrd"),
        command_line=manifest.get("command_line") or COMMAND_LINE,
        contents=manifest.get("contents") or {},
    )


def write_manifest(template: Template) -> None:
    """Write the manifest beside the template's disk; kernel and initrd lie in the same folder."""
    manifest = {
        "format": FORMAT,
        "architecture": template.architecture,
        "disk": template.disk.name,
        "kernel": template.kernel.name if template.kernel else None,
        "initrd": template.initrd.name if template.initrd else None,
        "command_line": template.command_line,
        "contents": dict(template.contents),
    }
    replace_file(template.disk.with_suffix(".json"), json.dumps(manifest, indent=1).encode() + b"\n")


def _virtual_size(path: Path, disk: Layer) -> int:
    if not disk.virtual_size:
        raise TargetError(f"template {path} is no qcow2 image; make one: qemu-img convert -O qcow2 {path} {path.stem}.qcow2")
    return disk.virtual_size


def _read_manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise TargetError(
            f"{path}: the template's manifest cannot be read ({problem}); bake the template again"
        ) from problem
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise TargetError(f"{path} is no manifest of a template; bake the template again")
    if manifest["format"] > FORMAT:
        raise TargetError(f"{path} was written by a later version of kube-provision-qemu: upgrade it")
    return manifest


def _beside(disk: Path, manifest: Mapping[str, Any], key: str) -> Path | None:
    name = manifest.get(key)
    if not name:
        return None
    path = disk.parent / Path(str(name)).name
    if not path.is_file():
        raise TargetError(f"template {disk}: its {key} {path} is missing; bake the template again")
    return path
