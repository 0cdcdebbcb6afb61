"""What kubeadm looks at before it touches anything."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from machines.standins.faults import StandInError
from machines.standins.places import API_PORT, BOOTSTRAP, ETCD_DATA, KUBELET, MANIFESTS, PKI, SWAPS
from machines.standins.release import Release, own

RUNTIME = "/run/containerd/containerd.sock"
OLDEST_KUBELET = 3
"""Minors by which it may be older than kubeadm."""
ADVICE = "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`"

SWAP = (
    "swap is supported for cgroup v2 only. The kubelet must be properly configured to use swap, or disable swap on the node"
)
"""A warning since Kubernetes 1.23: it is the kubelet that refuses."""


def check(version: str = "", *, master: bool, networking: Mapping[str, str] = {}, ignored: Collection[str] = ()) -> None:
    """Before anything is made; `version` and `networking` of the control plane to be. `ignored`: checks that may fail.

    Raises `StandInError`.
    """
    found = [*_files(master), *_system(), *_ipv6(networking), *_ports(master), *(_kubelet(version) if version else ())]
    lenient = {name.lower() for name in ignored}
    refuse([problem for problem in found if problem.partition("]")[0].lower() not in lenient])


def check_kubelet(version: str) -> None:
    """Of a node that joins a control plane of that version. Raises `StandInError`."""
    refuse(_kubelet(version))


def check_runtime() -> None:
    """All of its machine that an upgrade looks at. Raises `StandInError`."""
    refuse(_runtime())


def refuse(problems: Sequence[str]) -> None:
    """Says all problems as kubeadm lists them, and raises `StandInError` if there are any."""
    if problems:
        for line in ("[preflight] Some fatal errors occurred:", *(f"\t[ERROR {problem}" for problem in problems), ADVICE):
            print(line, file=sys.stderr)
        raise StandInError("error execution phase preflight: preflight checks failed")


def _files(master: bool) -> list[str]:
    taken = [KUBELET, BOOTSTRAP, *MANIFESTS.glob("*.yaml")]
    taken += [] if master else [PKI / "ca.crt"]
    found = [f"FileAvailable-{_dashed(path)}]: {path} already exists" for path in taken if path.exists()]
    if master and ETCD_DATA.exists() and any(ETCD_DATA.iterdir()):
        found.append(f"DirAvailable-{_dashed(ETCD_DATA)}]: {ETCD_DATA} is not empty")
    return found


def _system() -> list[str]:
    found = _unset("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")
    if swaps():
        print(f"\t[WARNING Swap]: {SWAP}", file=sys.stderr)
    if not re.search(r"^cgroup\S* /sys/fs/cgroup cgroup2 ", Path("/proc/mounts").read_text(), re.MULTILINE):
        found.append("SystemVerification]: cgroups v1 support is gone")
    return [*found, *_runtime()]


def swaps() -> list[str]:
    """What the kernel swaps to."""
    return SWAPS.read_text().splitlines()[1:]


def _ipv6(networking: Mapping[str, str]) -> list[str]:
    """Of a cluster whose pods or services have a network of IPv6."""
    return _unset("net/ipv6/conf/default/forwarding") if any(":" in network for network in networking.values()) else []


def _unset(*names: str) -> list[str]:
    """Parameters of the kernel that are to be 1."""
    return [
        f"FileContent-{_dashed(Path('/proc/sys', name))}]: /proc/sys/{name} contents are not set to 1"
        for name in names
        if Path("/proc/sys", name).read_text().strip() != "1"
    ]


def _runtime() -> list[str]:
    with socket.socket(socket.AF_UNIX) as runtime:
        if runtime.connect_ex(RUNTIME) != 0:
            return [f"CRI]: could not connect to the container runtime: no connection to {RUNTIME}"]
    return []


def _kubelet(version: str) -> list[str]:
    """Of no newer minor than the control plane, and at most three minors older than kubeadm."""
    said = subprocess.run(["kubelet", "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    kubelet = Release(said.rpartition(" ")[2].strip())
    if kubelet.minor < own().minor - OLDEST_KUBELET:
        return [
            f'KubeletVersion]: Kubelet version "{kubelet.bare}" is lower than kubeadm can support. Please upgrade kubelet'
        ]
    if kubelet.minor > (control_plane := Release(version)).minor:
        return [
            "KubeletVersion]: the kubelet version is higher than the control plane version. This is not a supported version "
            "skew and may lead to a malfunctional cluster. "
            f'Kubelet version: "{kubelet.bare}" Control plane version: "{control_plane.bare}"'
        ]
    return []


def _ports(master: bool) -> list[str]:
    found = []
    for port in (API_PORT, 2379, 2380) if master else ():
        with socket.socket() as probe, suppress(OSError):
            probe.settimeout(1)
            probe.connect(("127.0.0.1", port))
            found.append(f"Port-{port}]: Port {port} is in use")
    return found


def _dashed(path: Path) -> str:
    return str(path).replace("/", "-")
