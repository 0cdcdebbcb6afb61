"""What discovery by the cluster's own API adds to a node's boot: the node's side of it, whom to ask, and as whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources

from kube_provision_core import DISCOVERY_PACKAGE, BootError, BootFragment, Cluster, File, Node

from . import layout, tokens
from .config import KubernetesConfig

NO_SEED = (
    "discovery: the folder of this cluster has no kubernetes_seed, since it was made with another discovery. Name that one: "
    "its machines know no other"
)
_PROGRAMS = ("__init__.py", "api.py", "carrier.py", "follow.py", "lease.py", "note.py", "record.py")


def render(node: Node, cluster: Cluster, config: KubernetesConfig, port: int = layout.PORT) -> BootFragment:
    """`port`: of API servers. Raises `BootError` where the cluster was made with another discovery."""
    if config.kubernetes_seed is None:
        raise BootError(NO_SEED)
    seed = config.kubernetes_seed.get_secret_value()
    return BootFragment(
        files=(
            *(File(f"{DISCOVERY_PACKAGE}/{name}", _program(name)) for name in _PROGRAMS),
            File(layout.CLIENT_DATA, _told(node, cluster, config, port)),
            File(layout.TOKEN_FILE, tokens.token(seed, tokens.asker_of(node.role)) + "\n", mode=0o600, secret=True),
            *_rights(node, seed),
        )
    )


def _told(node: Node, cluster: Cluster, config: KubernetesConfig, port: int) -> str:
    """The machine that comes first has no seeds but static ones."""
    seeds = dict.fromkeys((*cluster.discovery_addresses, *map(str, config.kubernetes_seeds)))
    told = {
        "seeds": list(seeds),
        "port": port,
        "ca": cluster.ca,
        "interface": config.kubernetes_bind_interface or node.interface,
    }
    return json.dumps(told, indent=1) + "\n"


def _rights(node: Node, seed: str) -> Iterator[File]:
    """For the machine that initialises the cluster, and has its authorities as well."""
    if node.stamp.carries_ca:
        listed = {"apiVersion": "v1", "kind": "List", "items": tokens.rights(seed)}  # as kubectl takes it, too
        yield File(layout.RIGHTS_FILE, json.dumps(listed) + "\n", mode=0o600, secret=True)


@cache
def _program(name: str) -> str:
    return (resources.files(__package__) / "node" / name).read_text()
