"""What is the matter with hardware virtualisation on this Linux host, and what helps."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

DEVICE = "dev/kvm"
_CONTAINERS = (".dockerenv", "run/.containerenv", "run/systemd/container")
_MODULES = {"vmx": "kvm_intel", "svm": "kvm_amd"}
"""By the processor's own word for its virtualisation."""


@dataclass(frozen=True)
class Facts:
    there: bool
    """The device."""
    allowed: bool = False
    """This user may open it."""
    group: str = ""
    """Whose members may; empty where root alone may."""
    member: bool = False
    """The user is in that group since the last log-in."""
    container: bool = False
    guest: bool = False
    """This host is a virtual machine itself."""
    extension: str = ""
    """`vmx` or `svm`; empty where the processor shows none."""


def look(root: Path = Path("/")) -> Facts:
    device = root / DEVICE
    flags = _flags(root / "proc/cpuinfo")
    common = Facts(
        there=device.exists(),
        container=any((root / mark).exists() for mark in _CONTAINERS),
        guest="hypervisor" in flags,
        extension=next(iter(flags & _MODULES.keys()), ""),
    )
    return common if not common.there else _with_access(common, device)


def advice(facts: Facts) -> str:
    """One sentence, for a host on which KVM has just failed."""
    if not facts.there:
        return _get_device(facts)
    if not facts.allowed:
        return _get_access(facts)
    if facts.guest:
        return (
            "This host is a virtual machine itself, whose hypervisor does not pass virtualisation on as it should (nested)"
        )
    return "Another hypervisor may hold the processor (VirtualBox?): end it"


def _get_device(facts: Facts) -> str:
    if facts.container:
        return "This container has no /dev/kvm: start it with that device (docker run --device /dev/kvm)"
    if facts.extension:
        return f"There is no /dev/kvm: sudo modprobe {_MODULES[facts.extension]}"
    if facts.guest:
        return "This host is a virtual machine itself: have its hypervisor pass virtualisation on (nested)"
    return "Switch virtualisation on in this host's firmware (VT-x, AMD-V)"


def _get_access(facts: Facts) -> str:
    if not facts.group:
        return "/dev/kvm is root's alone: sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm"
    if facts.member:
        return f"Log in again: you are in the group {facts.group} since your last log-in"
    return f"Let your user use /dev/kvm (sudo usermod -aG {facts.group} $USER) and log in again"


def _with_access(facts: Facts, device: Path) -> Facts:
    status = device.stat()
    both = stat.S_IRGRP | stat.S_IWGRP
    group = _group(status.st_gid) if status.st_mode & both == both and status.st_gid else ""
    allowed = os.access(device, os.R_OK | os.W_OK, effective_ids=True)
    return replace(facts, allowed=allowed, group=group, member=bool(group) and _is_member(group))


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _is_member(group: str) -> bool:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name in grp.getgrnam(group).gr_mem
    return False


def _flags(cpuinfo: Path) -> set[str]:
    """Of the first processor."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())
