"""Where things lie below `vm_dir`.

    machines/<name>/        one machine: its record, disks, seed, sockets and logs
    networks/<cluster>/     a cluster's switch and router, and its ports on this host
    networks/<cluster>.<network>/   the switch of a further network, and its router where it is one of this host
    baking/                 the same for machines that bake
    kept/<name>.<time>/     what lay in the folder of a machine that is gone, and was not the machine's
    locks/                  locks between runs; they stay when what they guard has gone

A folder whose name begins with a dot is being made or removed by a run, or was by one that was killed.
"""

from __future__ import annotations

import logging
import secrets
import shutil
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from kube_provision_core import UNFINISHED, xdg_folder

from . import files

RECORD, BOOT_DISK, SEED = "machine.json", "boot.qcow2", "seed.iso"
SCRUBBED = "scrubbed"
"""Present when the seed no longer holds secrets."""
PID_FILE, QMP_SOCKET, AGENT_SOCKET = "pid", "qmp.sock", "agent.sock"
STATUS, CONSOLE, LOG = "status", "console.log", "qemu.log"
PORTS = "ports.json"

_OURS = frozenset(
    {
        *(RECORD, BOOT_DISK, SEED, SCRUBBED, PID_FILE, QMP_SOCKET, AGENT_SOCKET, STATUS, CONSOLE, LOG),
        *(str(Path(BOOT_DISK).with_suffix(ending)) for ending in (".json", ".vmlinuz", ".initrd")),
    }
)
"""What is in a machine's folder besides its further disks; the last ones where it bakes. Anything else there is
somebody's."""

log = logging.getLogger(__name__)


def data_disks(count: int) -> tuple[str, ...]:
    """Names of a machine's further disks."""
    return tuple(f"data{f'-{number}' if number > 1 else ''}.qcow2" for number in range(1, count + 1))


class Places:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.machines = root / "machines"

    @property
    def baking(self) -> Places:
        """Those of the machines that bake."""
        return Places(self.root / "baking")

    def machine(self, name: str) -> Path:
        return self.machines / name

    def network(self, cluster: str) -> Path:
        return self.root / "networks" / cluster

    def lock_machine(self, name: str) -> AbstractContextManager[None]:
        """Raises `TargetError` when another run is at work on the machine for too long."""
        return files.locked(self.root / "locks" / f"machine-{name}", f"machine {name}")

    def lock_network(self, cluster: str) -> AbstractContextManager[None]:
        """Never taken before the lock of a machine that is taken with it. Raises `TargetError` as `lock_machine` does."""
        return files.locked(self.root / "locks" / f"network-{cluster}", f"the network of cluster {cluster}")

    def names(self) -> list[str]:
        """Names of everything that stands where machines do."""
        try:
            return sorted(path.name for path in self.machines.iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return []

    def draft(self, name: str) -> Path:
        """A new folder beside the machine's own, in which it is made. Its lock is held."""
        files.make_private(self.machines)
        self.clear(name)
        folder = self.machines / f".{name}.{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        return folder

    def remove(self, name: str, further_disks: Collection[str] = ()) -> None:
        """Delete the machine's folder, at one stroke for whoever looks. Its lock is held, and it is powered off.

        `further_disks`: names of those that it was made with. What else lies in it, such as a disk that was attached later,
        is moved to `kept/`.
        """
        self._keep(name, _OURS.union(further_disks))
        self.machine(name).rename(self.machines / f".{name}.{secrets.token_hex(4)}")
        self.clear(name)

    def _keep(self, name: str, ours: Collection[str]) -> None:
        others = [
            path
            for path in sorted(self.machine(name).iterdir())
            if path.name not in ours and not path.name.startswith(UNFINISHED) and not path.is_symlink()
        ]
        if others:
            kept = self.root / "kept" / f"{name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
            files.make_private(kept)
            for path in others:
                path.rename(kept / path.name)
            names = ", ".join(path.name for path in others)
            log.warning("%s: %s was not made with this machine; it is kept in %s", name, names, kept)

    def clear(self, name: str) -> None:
        """Delete what killed runs left behind of the machine. Its lock is held."""
        for path in self.machines.glob(f".{name}.????????"):
            shutil.rmtree(path)


def default_root(environ: Mapping[str, str]) -> Path:
    """By the XDG rules. Raises `ConfigError` for who has no home folder."""
    return xdg_folder(environ, "XDG_DATA_HOME", ".local/share") / "qemu"
