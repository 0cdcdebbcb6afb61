"""Where the stand-ins, like what they stand in for, keep things on a host."""

from __future__ import annotations

from pathlib import Path

KUBERNETES = Path("/etc/kubernetes")
PKI = KUBERNETES / "pki"
MANIFESTS = KUBERNETES / "manifests"
ADMIN = KUBERNETES / "admin.conf"
KUBELET = KUBERNETES / "kubelet.conf"
KUBELET_DATA = Path("/var/lib/kubelet")
IDENTITY = KUBELET_DATA / "config.yaml"
"""What the kubelet is told; it does not run without."""
ETCD_DATA = Path("/var/lib/etcd")
CALLS = Path("/var/log/kubeadm-calls")
"""When each call of kubeadm began and ended."""
FAULTS = Path("/var/lib/kubernetes-stand-in")
"""A file `<verb>-<phase>` here that says `fail`, `hang` or `pause` lets that phase do so, once."""
UNREADY = FAULTS / "unready"
"""While it exists, the API server says that it is not ready."""

API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
