"""What kubeadm looks at before it touches anything."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from pathlib import Path

from machines.standins.faults import StandInError
from machines.standins.places import API_PORT, ETCD_DATA, KUBELET, MANIFESTS, PKI

RUNTIME = "/run/containerd/containerd.sock"


def check(verb: str, *, master: bool) -> None:
    """Raises `StandInError` with all problems, as kubeadm lists them."""
    problems = [*_files(master), *_system(), *_ports(master)]
    if problems:
        lines = "\n".join(f"\t[ERROR {problem}" for problem in problems)
        raise StandInError(f"[preflight] Some fatal errors occurred:\n{lines}\nerror: preflight of {verb} failed")


def _files(master: bool) -> list[str]:
    taken = [KUBELET, *MANIFESTS.glob("*.yaml")]
    taken += [] if master else [PKI / "ca.crt"]
    found = [f"FileAvailable]: {path} already exists" for path in taken if path.exists()]
    if master and ETCD_DATA.exists() and any(ETCD_DATA.iterdir()):
        found.append(f"DirAvailable]: {ETCD_DATA} is not empty")
    return found


def _system() -> list[str]:
    found = [
        f"FileContent]: /proc/sys/{name} contents are not set to 1"
        for name in ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")
        if Path("/proc/sys", name).read_text().strip() != "1"
    ]
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        found.append("Swap]: swap is supported for cgroup v2 only when NodeSwap is enabled")
    if not re.search(r"^cgroup\S* /sys/fs/cgroup cgroup2 ", Path("/proc/mounts").read_text(), re.MULTILINE):
        found.append("SystemVerification]: cgroups v1 support is gone")
    with socket.socket(socket.AF_UNIX) as runtime:
        if runtime.connect_ex(RUNTIME) != 0:
            found.append(f"CRI]: container runtime is not running: {RUNTIME}")
    return found


def _ports(master: bool) -> list[str]:
    found = []
    for port in (API_PORT, 2379, 2380) if master else ():
        with socket.socket() as probe, suppress(OSError):
            probe.settimeout(1)
            probe.connect(("127.0.0.1", port))
            found.append(f"Port-{port}]: Port {port} is in use")
    return found
