"""What differs between Fusion on macOS and Workstation on Linux."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import TargetError


@dataclass(frozen=True)
class Host:
    """The computer on which VMware runs."""

    product: str
    """In vmrun's words: `fusion` or `ws`."""
    name: str
    """In people's words."""
    architecture: str
    """`arm64` or `x86_64`."""
    programs: tuple[Path, ...]
    """Where vmrun may lie."""
    leases: tuple[str, ...]
    """Patterns of the files in which the DHCP servers of VMware's networks keep their leases."""
    networks_below: str
    """What stands before a network's name in a machine's settings."""
    networks: Path
    """The file in which VMware keeps its networks."""
    bundle: str
    """What a machine's folder ends with."""
    folds_case: bool
    """File names that differ in case only are one."""

    def find_vmrun(self, configured: Path | None) -> Path:
        """Raises `TargetError` where there is none."""
        if configured:
            _check_program(configured)
            return configured
        found = next((program for program in self.programs if program.is_file()), None)
        on_path = shutil.which("vmrun")
        if found is None and on_path:
            found = Path(on_path).absolute()
        if found is None:
            looked = ", ".join(map(str, self.programs))
            raise TargetError(
                f"vmrun: there is no {looked}, and none on PATH. Install {self.name}, or set vmrun to its path"
            )
        _check_program(found)
        return found

    def network_numbers(self) -> frozenset[int]:
        """Of VMware's networks, as far as its file tells."""
        try:
            text = self.networks.read_text(errors="replace")
        except OSError:
            return frozenset()
        return frozenset(map(int, re.findall(r"^answer VNET_(\d+)_", text, re.MULTILINE)))

    def normal(self, path: str | Path) -> str:
        """The form in which two paths of one file are equal."""
        text = unicodedata.normalize("NFC", os.path.realpath(path))
        return text.casefold() if self.folds_case else text


def this_host() -> Host:
    return fusion(_apple_architecture()) if sys.platform == "darwin" else workstation(_architecture(platform.machine()))


def fusion(architecture: str) -> Host:
    library = Path("/Applications/VMware Fusion.app/Contents")
    return Host(
        product="fusion",
        name="VMware Fusion Pro",
        architecture=architecture,
        programs=(library / "Library" / "vmrun", library / "Public" / "vmrun"),
        leases=("/var/db/vmware/vmnet-dhcpd-*.leases", "/var/db/dhcpd_leases"),
        networks_below="",
        networks=Path("/Library/Preferences/VMware Fusion/networking"),
        bundle=".vmwarevm",
        folds_case=True,
    )


def workstation(architecture: str) -> Host:
    return Host(
        product="ws",
        name="VMware Workstation Pro",
        architecture=architecture,
        programs=(Path("/usr/bin/vmrun"),),
        leases=("/etc/vmware/vmnet*/dhcpd/dhcpd.leases", "/etc/vmware/vmnet*/dhcp*/dhcp*.leases"),
        networks_below="/dev/",
        networks=Path("/etc/vmware/networking"),
        bundle="",
        folds_case=False,
    )


def _check_program(path: Path) -> None:
    if not path.is_file():
        raise TargetError(f"vmrun: there is no program {path}")
    if not os.access(path, os.X_OK):
        raise TargetError(f"vmrun: {path} is not executable")


def _apple_architecture() -> str:
    """The kernel's own word: a Python that Rosetta translates takes the computer for an Intel one."""
    return "arm64" if "ARM64" in platform.version().upper() else _architecture(platform.machine())


def _architecture(machine: str) -> str:
    return "arm64" if machine.lower() in ("arm64", "aarch64") else "x86_64"
