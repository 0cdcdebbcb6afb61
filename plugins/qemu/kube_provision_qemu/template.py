"""Templates: a qcow2 disk, and beside it a small manifest that says what it is.

    debian-13.qcow2     the disk; machines' disks are overlays on it, so it never changes once there are any
    debian-13.json      the manifest; without one the disk boots by firmware, on this host's architecture
    debian-13.vmlinuz, debian-13.initrd     where the manifest names them: the kernel is then booted directly

A newer template is a new disk beside the old one, and a name for both may be a symbolic link: a machine keeps the disk that
the link named when the machine was made.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kube_provision_core import TargetError, replace_file, telling_os_errors

FORMAT = 1
"""Version of the manifest; a later one is refused."""

COMMAND_LINE = "root=/dev/vda rw net.ifnames=0 quiet"
"""The kernel's, where the manifest has none: the file system is the whole first disk."""

_MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQ")
"""qcow2: magic, version, offset and size of the backing file's name, bits of a cluster, virtual size in bytes."""


@dataclass(frozen=True)
class Fingerprint:
    """Tells a disk that was rewritten from the one that overlays were made on."""

    size: int
    changed_ns: int


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
        status = disk.stat()
        with disk.open("rb") as file:
            virtual_size = _virtual_size(path, file.read(_HEADER.size))
    fingerprint = Fingerprint(status.st_size, status.st_mtime_ns)
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


def _virtual_size(path: Path, header: bytes) -> int:
    if len(header) < _HEADER.size or header[:4] != _MAGIC:
        raise TargetError(f"template {path} is no qcow2 image; make one: qemu-img convert -O qcow2 {path} {path.stem}.qcow2")
    return int(_HEADER.unpack(header)[-1])


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
