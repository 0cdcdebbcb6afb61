"""The command line of one machine. Its working folder is the machine's, so that all names in it are short."""

from __future__ import annotations

from . import wire
from .emulator import Emulator
from .places import AGENT_SOCKET, BOOT_DISK, CONSOLE, PID_FILE, QMP_SOCKET, SEED, STATUS
from .record import Record
from .template import Template

STATUS_PORT = "kube-provision.status"
"""Name of the virtio-serial port on which a node publishes its stage; `node/publish` writes to it."""

AGENT_PORT = "org.qemu.guest_agent.0"

TRANSLATION_CACHE = 256
"""MiB of translated code under tcg; its default, a quarter of the machine's memory, is not given back."""

SLOTS = 30
"""Places on a machine's bus: 32 but for those that are the board's own. Each disk and each card takes one."""

_OTHER_DEVICES = ("boot disk", "seed", "channels", "entropy")

_PATIENT = (
    *("systemd.default_timeout_start_sec=900", "systemd.default_device_timeout_sec=900"),
    *("systemd.service_watchdogs=0", "udev.event_timeout=900"),
)
"""On a busy host the services of an emulated machine need more than the 90 s that systemd gives them to start. It would end
them and begin anew: the journal, udev, the resolver."""

_UNGUARDED = ("mitigations=off",)
"""Against what real processors do ahead of time, the kernel changes page tables on its way in and out of every system
call: an emulator then forgets all addresses that it has looked up. QEMU's emulation is no boundary of security anyway."""

_EMULATED = (*_PATIENT, *_UNGUARDED)


def machine(record: Record, template: Template, emulator: Emulator, network: list[str]) -> list[str]:
    """`network`: options that put the hubs on their wires. Raises `TargetError` where firmware is missing."""
    return [
        str(emulator.binary),
        *("-name", record.name, "-uuid", record.uuid),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-pidfile", PID_FILE, "-qmp", f"unix:{QMP_SOCKET},server=on,wait=off"),
        *_processor(record, emulator),
        *_boot(template, emulator),
        *_disks(record),
        *network,
        *(word for hub, mac in record.cards for word in _card(hub, mac)),
        *_channels(),
    ]


def room_for_data_disks(cards: int) -> int:
    """How many a machine with so many network cards can have."""
    return SLOTS - len(_OTHER_DEVICES) - cards


def _processor(record: Record, emulator: Emulator) -> list[str]:
    accelerator, board = emulator.accelerator, emulator.board
    return [
        *("-M", board.machine_type(accelerator)),
        *("-accel", f"tcg,tb-size={TRANSLATION_CACHE}" if emulator.emulates else accelerator),
        *("-cpu", board.processor(accelerator, emulator.version)),
        *("-smp", str(record.cpu), "-m", f"{record.memory_gib}G"),
    ]


def _boot(template: Template, emulator: Emulator) -> list[str]:
    """The template's kernel directly, where it has one; otherwise its disk, by firmware."""
    if template.kernel is None:
        firmware = emulator.firmware()
        return ["-bios", str(firmware)] if firmware else []
    initrd = ["-initrd", str(template.initrd)] if template.initrd else []
    words = [template.command_line, f"console={emulator.board.console}", *(_EMULATED if emulator.emulates else ())]
    return ["-kernel", str(template.kernel), *initrd, "-append", " ".join(words)]


def _disks(record: Record) -> list[str]:
    """First the boot disk, then the seed: what a guest calls vda and vdb. Index 0 is a direct kernel's."""
    return [
        *_disk("boot", f"file={BOOT_DISK},format=qcow2,discard=unmap", ",bootindex=1"),
        *_disk("seed", f"file={SEED},format=raw,readonly=on"),
        *(
            word
            for disk in record.data_disks
            for word in _disk(disk.removesuffix(".qcow2"), f"file={disk},format=qcow2,discard=unmap")
        ),
    ]


def _disk(name: str, source: str, device: str = "") -> list[str]:
    return ["-drive", f"if=none,id={name},{source}", "-device", f"virtio-blk-pci,drive={name},serial={name}{device}"]


def _card(hub: int, mac: str) -> list[str]:
    """Without its ROM: no machine boots from the network."""
    name = f"nic{hub or ''}"
    return [*wire.hub_arguments(name, hub=hub), "-device", f"virtio-net-pci,netdev={name},mac={mac},romfile="]


def _channels() -> list[str]:
    """The console's log, the guest agent, the status channel, and entropy."""
    return [
        *("-chardev", f"file,id=console,path={CONSOLE},append=on", "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=agent,path={AGENT_SOCKET},server=on,wait=off"),
        *("-device", f"virtserialport,chardev=agent,name={AGENT_PORT}"),
        *("-chardev", f"file,id=status,path={STATUS},append=on"),
        *("-device", f"virtserialport,chardev=status,name={STATUS_PORT}"),
        *("-device", "virtio-rng-pci"),
    ]
