"""The installed QEMU: its programs, its version, what it can do here."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

from kube_provision_core import TargetError

from . import accelerator
from .boards import BOARDS, Board

OLDEST = (7, 2)
"""The first version with `stream` network devices."""

_VERSION_TIMEOUT = 10.0
_TRYING = Lock()
"""What is tried, and told, once is not tried by several threads."""
_INSTALL = "Debian: apt install qemu-system-x86 qemu-utils; macOS: brew install qemu"


@dataclass(frozen=True)
class Emulator:
    binary: Path
    image_tool: Path
    version: tuple[int, int]
    architecture: str
    """In QEMU's words: `x86_64`, `aarch64`."""
    wanted_accelerator: str
    wanted_firmware: Path | None = None

    @property
    def board(self) -> Board:
        return BOARDS[self.architecture]

    def firmware(self) -> Path | None:
        """What boots a disk; None where QEMU brings it. Raises `TargetError` where it is missing."""
        if self.wanted_firmware is None:
            return self.board.find_firmware(self.binary)
        if not self.wanted_firmware.is_file():
            raise TargetError(f"qemu_firmware: there is no file {self.wanted_firmware}")
        return self.wanted_firmware

    @property
    def accelerator(self) -> str:
        """`kvm`, `hvf` or `tcg`; tried at the first question, which takes seconds where one hangs. Raises `TargetError`."""
        with _TRYING:
            return self._accelerator

    @property
    def emulates(self) -> bool:
        """Processors, too. Raises `TargetError`."""
        return self.accelerator == "tcg"

    @cached_property
    def _accelerator(self) -> str:
        return accelerator.choose(self.binary, self.architecture, self.wanted_accelerator)


def find(binary: str | None, wanted_accelerator: str, wanted_firmware: Path | None = None) -> Emulator:
    """`binary`: name or path; None means the host's architecture. Raises `TargetError` saying what to install or to set."""
    name = binary or f"qemu-system-{accelerator.host_architecture()}"
    path = shutil.which(name)
    if path is None:
        raise TargetError(f"{name} is not installed ({_INSTALL}), or name it: qemu_binary")
    program = Path(path).absolute()
    return Emulator(
        *(program, _find_image_tool(program), _version(path), _architecture(path), wanted_accelerator, wanted_firmware)
    )


def _find_image_tool(binary: Path) -> Path:
    """The qemu-img beside the emulator, else the one on PATH."""
    path = shutil.which("qemu-img", path=str(binary.parent)) or shutil.which("qemu-img")
    if path is None:
        raise TargetError(f"qemu-img is not installed, neither beside {binary} nor on PATH ({_INSTALL})")
    return Path(path).absolute()


def _version(binary: str) -> tuple[int, int]:
    try:
        said = subprocess.run(
            [binary, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_VERSION_TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise TargetError(f"{binary} --version: {problem}; name a working QEMU: qemu_binary") from problem
    found = re.search(r"version (\d+)\.(\d+)", said.stdout)
    if found is None:
        raise TargetError(f"{binary} does not say which version of QEMU it is; name a working one: qemu_binary")
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise TargetError(f"{binary} is QEMU {version[0]}.{version[1]}; {OLDEST[0]}.{OLDEST[1]} or later is needed")
    return version


def _architecture(binary: str) -> str:
    named = re.search(r"qemu-system-(\w+)", Path(binary).name)
    architecture = named[1] if named else accelerator.host_architecture()
    if architecture not in BOARDS:
        raise TargetError(f"{binary}: machines of architecture {architecture} are not supported; {' and '.join(BOARDS)} are")
    return architecture
