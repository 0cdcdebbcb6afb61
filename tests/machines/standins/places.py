"""Where the stand-ins, like what they stand in for, keep things on a host."""

from __future__ import annotations

from pathlib import Path

KUBERNETES = Path("/etc/kubernetes")
PKI = KUBERNETES / "pki"
MANIFESTS = KUBERNETES / "manifests"
SCRATCH = KUBERNETES / "tmp"
"""Where kubeadm keeps what it is about to write, and what it has written over."""
ADMIN = KUBERNETES / "admin.conf"
KUBELET = KUBERNETES / "kubelet.conf"
BOOTSTRAP = KUBERNETES / "bootstrap-kubelet.conf"
CONTROLLERS = {"controller-manager": 10257, "scheduler": 10259}
"""Beside the API server: the ports of their own pages, which only the machine itself reaches."""
KUBELET_DATA = Path("/var/lib/kubelet")
KUBELET_CERTIFICATE = KUBELET_DATA / "pki/kubelet-client-current.pem"
"""With its key; the kubelet's own to renew."""
KUBELET_CONFIG = KUBELET_DATA / "config.yaml"
"""What the cluster tells all kubelets; none runs without."""
KUBELET_FLAGS = KUBELET_DATA / "kubeadm-flags.env"
"""What this one alone is told: who it is, and where."""
SWAPS = Path("/proc/swaps")
ETCD_DATA = Path("/var/lib/etcd")
CALLS = Path("/var/log/kubeadm-calls")
"""When each call of kubeadm began and ended."""
FAULTS = Path("/var/lib/kubeadm-faults")
"""A file `<verb>-<phase>` here that says `fail`, `hang` or `pause` lets that phase do so, once."""

API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
