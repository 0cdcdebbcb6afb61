"""What differs between machines of one architecture and another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kube_provision_core import TargetError


@dataclass(frozen=True)
class Board:
    machine: str
    """QEMU's machine type."""
    emulated_processor: str
    """The processor under tcg. Accelerators pass the host's on."""
    console: str
    """The kernel's name of the serial port."""
    firmware: tuple[str, ...] = ()
    """Where the firmware that boots a disk may lie, below the folder that holds QEMU's `bin`, and below /usr/share of other
    packages; empty where QEMU brings its own."""
    accelerated: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Machine types that an accelerator needs instead."""
    old_processor: str = ""
    """The processor under tcg of QEMU below 8, if another one."""

    def machine_type(self, accelerator: str) -> str:
        return self.accelerated.get(accelerator, self.machine)

    def processor(self, accelerator: str, version: tuple[int, int]) -> str:
        if accelerator != "tcg":
            return "host"
        return (version < (8, 0) and self.old_processor) or self.emulated_processor

    def find_firmware(self, binary: Path) -> Path | None:
        """The firmware for booting a disk; None where QEMU brings its own. Raises `TargetError` when none is installed.

        That beside the emulator comes first: it was made for it.
        """
        if not self.firmware:
            return None
        beside = dict.fromkeys(place.parent.parent / "share" for place in (binary, binary.resolve()))
        folders = [*beside, *(Path(folder) for folder in _SHARES if Path(folder) not in beside)]
        places = [folder / name for folder in folders for name in self.firmware]
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            raise TargetError(
                f"no UEFI firmware ({', '.join(self.firmware)}) in {', '.join(map(str, folders))}: install it (Debian: "
                "qemu-efi-aarch64; Fedora: edk2-aarch64), or name it: qemu_firmware"
            )
        return found


_SHARES = ("/usr/share", "/usr/local/share", "/opt/homebrew/share")

BOARDS = {
    "x86_64": Board("q35", "max", "ttyS0", old_processor="Nehalem,-cx16"),
    "aarch64": Board(
        "virt",
        "max,pauth-impdef=on",  # the architected pointer authentication is ten times as slow to emulate
        "ttyAMA0",
        firmware=(
            "qemu/edk2-aarch64-code.fd",
            "qemu-efi-aarch64/QEMU_EFI.fd",
            "AAVMF/AAVMF_CODE.fd",
            "edk2/aarch64/QEMU_EFI.fd",
            "edk2-armvirt/aarch64/QEMU_EFI.fd",
            "qemu/qemu-uefi-aarch64.bin",
        ),
        accelerated={"kvm": "virt,gic-version=host"},  # KVM offers the host's interrupt controller alone
    ),
}
