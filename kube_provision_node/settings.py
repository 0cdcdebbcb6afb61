"""What a node knows about itself: /etc/kube-provision/node.json, and where everything lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Places:
    """Paths on the node. `root` is another folder than `/` in tests only."""

    root: Path = Path("/")

    @property
    def config(self) -> Path:
        return self.root / "etc/kube-provision"

    @property
    def programs(self) -> Path:
        return self.root / "usr/local/lib/kube-provision"

    @property
    def state(self) -> Path:
        """What survives a reboot: markers, and the certificate authorities until the cluster is initialised."""
        return self.root / "var/lib/kube-provision"

    @property
    def volatile(self) -> Path:
        return self.root / "run/kube-provision"

    @property
    def authorities(self) -> Path:
        return self.state / "ca"

    @property
    def kubernetes(self) -> Path:
        return self.root / "etc/kubernetes"

    @property
    def instance_id(self) -> Path:
        """Kept by cloud-init: another one means another machine, whatever its name."""
        return self.root / "var/lib/cloud/data/instance-id"


@dataclass(frozen=True)
class Node:
    """The part of node.json that the programs on the node use."""

    name: str
    role: str
    cluster: str
    cluster_id: str
    may_init: bool = False
    ca_pin: str = ""
    """`sha256:` and the hex digest of the certificate authority's public key."""
    api_port: int = 6443
    proxy_port: int = 8443
    seed_manifests: tuple[str, ...] = ()
    """Files on the node or URLs, applied once by the master that initialised the cluster."""

    @property
    def is_master(self) -> bool:
        return self.role == "master"


def read_document(places: Places) -> dict[str, Any]:
    """node.json as it is. Raises `OSError` or `ValueError`."""
    document = json.loads((places.config / "node.json").read_text())
    if not isinstance(document, dict):
        raise ValueError(f"{places.config / 'node.json'} is no JSON object")
    return document


def read_node(document: dict[str, Any]) -> Node:
    """The typed part of node.json. Raises `KeyError` for a missing name, role, cluster or cluster_id."""
    return Node(
        name=document["name"],
        role=document["role"],
        cluster=document["cluster"],
        cluster_id=document["cluster_id"],
        may_init=bool(document.get("may_init", False)),
        ca_pin=document.get("ca_pin") or "",
        api_port=int(document.get("api_port", Node.api_port)),
        proxy_port=int(document.get("proxy_port", Node.proxy_port)),
        seed_manifests=tuple(document.get("seed_manifests", ())),
    )
