"""Which accelerator truly works here.

Its presence proves nothing: /dev/kvm may be there and a machine still hang or crawl. So a virtual processor runs ten million
turns of a loop from a ROM of ours and then switches its machine off: in a twentieth of a second on hardware, in a tenth when
it is emulated, in half a minute where a hypervisor below only pretends.
"""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import TargetError

from . import kvm
from .boards import BOARDS

TIMEOUT = 5.0
"""Seconds for one probe."""

PROCESSOR = "host"
"""What accelerators run."""

_ROM_SIZE = 65536

_HVF_ADVICE = "See that this Mac is no virtual machine, and that QEMU is Homebrew's, which is signed for virtualisation"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """A machine that ends by itself when its processor has run the ROM."""

    rom: bytes
    exit_code: int
    devices: tuple[str, ...] = ()


def _x86_rom() -> bytes:
    """`probe/x86_64.S` at 0, and the reset vector's far jump to it."""
    code = bytes.fromhex(
        "fa8cc88ed831c08ec0bf0010b90018fcf3ab26c7060010032026c7060020033026c70600308300660f0116980066b820"
        "0000000f22e066b8001000000f22d866b9800000c00f32660d000100000f3066b8110000800f22c066ea60000f000800"
        "b8100000008ed0bc00800000b9809698005159ffc975fab010e6f4f4ebfd66900000000000000000ffff0000009baf00"
        "ffff00000093cf00170080000f00"
    )
    vector = bytes.fromhex("ea000000f0")
    return code.ljust(_ROM_SIZE - 16, b"\0") + vector.ljust(16, b"\0")


def _arm_rom() -> bytes:
    """`probe/aarch64.S`."""
    code = bytes.fromhex("0113a05221040071e1ffff540080b05200018072020000d47f2003d5ffffff17")
    return code.ljust(_ROM_SIZE, b"\0")


PROBES = {
    # Writing 16 to the debug-exit device ends QEMU with twice that value plus one.
    "x86_64": Probe(_x86_rom(), 33, ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")),
    "aarch64": Probe(_arm_rom(), 0),
}


def choose(binary: Path, architecture: str, wanted: str) -> str:
    """The first accelerator that works, of those that `wanted` allows: a name or `auto`, which warns of emulation.

    Raises `TargetError` when the one that was asked for by name does not work.
    """
    if wanted == "tcg":
        return wanted
    if wanted == "auto":
        return _first_that_works(binary, architecture)
    why = problem(binary, architecture, wanted)
    if why:
        advice = f"{_advice(wanted)}, or set" if wanted in _candidates(architecture) else "Set"
        raise TargetError(f"qemu_accelerator: {wanted} does not work here: {why}. {advice} it to auto, or to tcg")
    return wanted


def _advice(name: str) -> str:
    return kvm.advice(kvm.look()) if name == "kvm" else _HVF_ADVICE


def _first_that_works(binary: Path, architecture: str) -> str:
    for name in _candidates(architecture):
        why = problem(binary, architecture, name)
        if not why:
            return name
        log.warning(
            "machines are emulated, and many times slower: %s does not work here: %s. %s; "
            "qemu_accelerator: tcg accepts that",
            *(name, why, _advice(name)),
        )
    return "tcg"


def host_architecture() -> str:
    """This host's architecture in QEMU's words."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def _candidates(architecture: str) -> Iterable[str]:
    """Accelerators run this host's own architecture only."""
    if architecture != host_architecture():
        return ()
    return ("hvf",) if sys.platform == "darwin" else ("kvm",)


def problem(binary: Path, architecture: str, accelerator: str) -> str:
    """Why the accelerator cannot be used; empty if it works."""
    if architecture != host_architecture():
        return f"this host is {host_architecture()}, the machines are {architecture}"
    probe = PROBES.get(architecture)
    if probe is None:
        return f"nobody knows how to try it on {architecture}"
    try:
        ended = _run(binary, BOARDS[architecture].machine_type(accelerator), probe, accelerator)
    except subprocess.TimeoutExpired:
        return f"a processor does not get through ten million turns of a loop in {TIMEOUT:.0f} s"
    except OSError as failure:
        return str(failure)
    if ended.returncode == probe.exit_code:
        return ""
    words = ended.stderr.strip().splitlines()
    return words[-1] if words else f"the probe ended with {ended.returncode}"


def _run(binary: Path, machine: str, probe: Probe, accelerator: str) -> subprocess.CompletedProcess[str]:
    with tempfile.NamedTemporaryFile(prefix="kube-provision-", suffix=".rom") as rom:
        rom.write(probe.rom)
        rom.flush()
        quiet = ("-nodefaults", "-no-user-config", "-display", "none", "-m", "16")
        return subprocess.run(
            [binary, "-M", machine, "-accel", accelerator, "-cpu", PROCESSOR, *quiet, *probe.devices, "-bios", rom.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
