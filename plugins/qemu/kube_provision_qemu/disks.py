"""A machine's disks: overlays that only ever grow, and checking one before it is used again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from kube_provision_core import TargetError, telling_os_errors

from . import chain, template
from .places import BOOT_DISK
from .record import Record

TIMEOUT = 120.0
"""Seconds for one call of qemu-img: none of ours reads or writes more than an overlay's tables."""

COPY_TIMEOUT = 1800.0
"""Seconds for copying a whole disk."""

GIB = 1024**3

_LEAKED = 3
"""qemu-img check's exit code for space that is lost, and nothing worse."""


def create_overlay(image_tool: Path, base: template.Template, folder: Path, size_gib: int | None) -> None:
    """The boot disk: the template's content, and at least its size; nothing is copied."""
    size = max(base.virtual_size, (size_gib or 0) * GIB)
    _run(image_tool, "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base.disk), str(folder / BOOT_DISK), str(size))


def create_blank(image_tool: Path, disk: Path, size_gib: int) -> None:
    _run(image_tool, "create", "-q", "-f", "qcow2", str(disk), f"{size_gib}G")


def convert(image_tool: Path, source: Path, target: Path, kind: str = "") -> None:
    """Copy a disk of any format, or of the `kind` that is known, into a qcow2 file that stands alone and has no holes."""
    known = ("-f", kind) if kind else ()
    _run(image_tool, "convert", "-q", *known, "-O", "qcow2", str(source), str(target), timeout=COPY_TIMEOUT)


def kind(image_tool: Path, disk: Path) -> str:
    """The format of a disk, as it looks: `qcow2`, `raw`, …"""
    said = _run(image_tool, "info", "-U", "--output=json", str(disk))
    return str(json.loads(said)["format"])


def grow(image_tool: Path, disk: Path, size: int) -> None:
    """To `size` bytes."""
    _run(image_tool, "resize", "-q", "-f", "qcow2", str(disk), str(size))


def check(image_tool: Path, record: Record, folder: Path) -> None:
    """Raise `TargetError` unless the machine, which is powered off, can use its disks."""
    with telling_os_errors(f"{record.name}: its template is gone, and with it what its disk builds on"):
        record.template.stat()
    layers = chain.read(record.template, f"{record.name}: its template {record.template}")
    if not record.fingerprint.fits(template.Fingerprint.of(layers)):
        below = ", or what that builds on," if len(layers) > 1 else ""
        raise TargetError(
            f"{record.name}: its template {record.template}{below} was changed after the machine was made from it, so that "
            "its disk is void. Bring the old template back, or destroy the machine and provision it again"
        )
    for disk in (BOOT_DISK, *record.data_disks):
        check_image(image_tool, folder / disk, record.name, "Destroy the machine and provision it again, or repair it")


def builds_on(disk: Path, folder: Path) -> bool:
    """Whether the disk, or any that it builds on, lies in that folder."""
    try:
        layers = [layer.path for layer in chain.read(disk.resolve(), str(disk))]
    except TargetError:  # what cannot be read is told where it is used
        layers = [disk.resolve()]
    return any(path.is_relative_to(folder.resolve()) for path in layers)


def check_image(image_tool: Path, disk: Path, what: str, advice: str) -> None:
    """Raise `TargetError` for a disk that is corrupt."""
    ended = _start(image_tool, "check", "-q", "-f", "qcow2", str(disk))
    if ended.returncode in (0, _LEAKED):
        return
    said = _last_line(ended)
    if "Could not open" in said:
        raise TargetError(f"{what}: its disk {disk} cannot be used: {said}")
    raise TargetError(f"{what}: its disk {disk} is corrupt ({said}). {advice}: qemu-img check -r all")


def _run(image_tool: Path, *arguments: str, timeout: float = TIMEOUT) -> str:
    ended = _start(image_tool, *arguments, timeout=timeout)
    if ended.returncode:
        raise TargetError(f"{image_tool.name} {arguments[0]} failed: {_last_line(ended)}")
    return ended.stdout


def _start(image_tool: Path, *arguments: str, timeout: float = TIMEOUT) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [image_tool, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            umask=0o077,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as problem:
        raise TargetError(
            f"{image_tool.name} {arguments[0]} takes longer than {timeout:.0f} s: is the disk all right?"
        ) from problem


def _last_line(ended: subprocess.CompletedProcess[str]) -> str:
    lines = (ended.stderr or ended.stdout).strip().splitlines()
    return lines[-1].strip() if lines else f"exit code {ended.returncode}"
