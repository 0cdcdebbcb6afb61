"""What a machine may be asked to have, in words that no operating system has of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class Component(StrEnum):
    """What core and plugins ask of the operating system's driver: software with all that it needs to do its part.

    `BootFragment.components` asks, `os_packages` answers in the system's own words. There are these and no others: what is
    wanted besides is named in the system's own words, in `BootFragment.packages`.
    """

    KUBEADM = "kubeadm"
    """`kubeadm`, `kubelet` and `kubectl`, all at the version that is asked for, held there while the system is updated; what
    kubeadm's checks and kube-proxy call, such as `conntrack`, `ethtool`, `socat`, `iptables` or `nft`; `openssl`, which
    opens what a member of the cluster is given to do; modules of the kernel that the system has in packages of their own.
    The kubelet starts at every boot."""
    KUBEADM_ALONE = "kubeadm-alone"
    """The package `kubeadm` and nothing else, at the version that is asked for as `KUBEADM`'s, from the same repository,
    held as that is: what comes onto a node first when its cluster is upgraded. It fetches `kubectl` and `kubelet` of the
    version besides, or fails, so that `KUBEADM` needs no repository then. No boot asks for it."""
    CONTAINER_RUNTIME = "container-runtime"
    """containerd with `ctr` and a runtime below it. The core delivers /etc/containerd/config.toml, which stays as it is, and
    starts the service."""
    TCP_PROXY = "tcp-proxy"
    """`nginx` with its module `stream`, and the right to connect to the masters. The core runs it in a unit of its own:
    the package's service is masked."""
    TIME_SYNC = "time-sync"
    """A client that cloud-init's `ntp` configures. Nothing where cloud-init itself brings one."""
    CONSUL = "consul"
    """The program `consul`; discovery's plugin runs it in a unit of its own. Other machines reach its ports."""
    VMWARE_TOOLS = "vmware-tools"
    """VMware's agent in a guest, running: `vmtoolsd` and `vmware-rpctool`."""
    QEMU_GUEST_AGENT = "qemu-guest-agent"
    """QEMU's agent in a guest, running."""


PackageSource = Literal["kubernetes", "container-runtime", "consul", "os"]
"""What a site may mirror: repositories of components, and the system's own."""
