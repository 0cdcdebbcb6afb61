"""A host's network that machines of QEMU's are in: how it is configured, and what its administrator lets users do."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machines.network import Network

HELPER = "/usr/lib/qemu/qemu-bridge-helper"


def lan(name: str = "bridge:br0", address: str = "10.77.0.11", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "role": "node",
        "static_ip": {"addresses": [f"{address}/24"], "gateway": Network.gateway},
        **more,
    }


def qemu_that_may(folder: Path, rules: str | None, *, under: Sequence[str] = (), setuid: bool = False) -> Path:
    """QEMU of a host whose administrator has written this bridge.conf; None: he has written none.

    `under`: what QEMU is run by. `setuid`: whether its helper is.
    """
    etc, helper, tun, binary = folder / "etc", folder / "helper", folder / "tun", folder / "qemu-system-x86_64"
    (etc / "qemu").mkdir(parents=True)
    if rules is not None:
        (etc / "qemu/bridge.conf").write_text(rules)
    helper.write_bytes(Path(HELPER).read_bytes())
    helper.chmod(0o4755 if setuid else 0o755)
    os.mknod(tun, 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    tun.chmod(0o666 if under else 0o600)
    mounts = [f"mount -t overlay -o lowerdir={etc}:/etc overlay /etc"]
    mounts += [f"mount --bind {ours} {theirs}" for ours, theirs in ((helper, HELPER), (tun, "/dev/net/tun"))]
    lines = "\n".join(mounts)
    inside = folder / "inside"
    inside.write_text(f'#!/bin/sh -e\n{lines}\nexec {" ".join(under)} /usr/bin/qemu-system-x86_64 "$@"\n')
    binary.write_text(f'#!/bin/sh\nexec unshare --mount {inside} "$@"\n')
    inside.chmod(0o755)
    binary.chmod(0o755)
    return binary
