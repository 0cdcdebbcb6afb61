"""What is said of a Consul that is provisioned and open, as an earlier version has made it, or while it is closed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kube_provision_core import Cluster

from . import layout
from .access import Right
from .seed import Seed

if TYPE_CHECKING:
    from .client import Client

OPEN = (
    "this cluster's Consul is open, as an earlier version has made it: whoever reaches its port 8500, pods too, may change"
    " the record, the lock and the list of masters. The Consul plugin's README says how it is closed, and what helps until"
    " then"
)
UNANSWERED = (
    "consul_closing: where this cluster's Consul is still the open one, it does not answer HTTPS. Remove its machine and run"
    " again, which makes a server that gives machines their tokens"
)
CLOSED = "consul_closing: this cluster's Consul is closed. Take the key out of the configuration"
FOUNDED = (
    "consul_closing: is for a cluster that lives with an open Consul, and this one is yet to be made: take the key out of"
    " the configuration"
)
HALF_OPEN = (
    "consul_closing: %s is made as a server that takes whoever reaches it. Where this cluster's Consul was closed before,"
    " make nothing: take the key out of the configuration first"
)


def is_closed(nobody: Client, cluster: str) -> bool:
    """By what Consul lets those do who have no token. What it lists is no sign of that: who may write may empty it."""
    return bool(nobody.missing([Right("key_prefix", layout.prefix(cluster), "write", "")]))


def remaining(listed: Mapping[str, Mapping[str, str]], cluster: Cluster, seed: Seed) -> str:
    """What is left to do about one that still takes whoever reaches it.

    `listed`: the metadata of all nodes that it knows, by name. Anybody may have written these: names are taken from the
    cluster alone, and of its machines those have a token that show their mark.
    """
    still = "this cluster's Consul is being closed, and still takes whoever reaches it"
    without = [name for name in cluster.nodes if listed.get(name, {}).get(layout.CLOSED_META) != seed.mark(name)]
    if not without:
        servers = sorted(cluster.names - cluster.nodes.keys())
        return (
            f"{still}. Every machine has a token: take consul_closing out of the configuration, then"
            f" {_destroy(cluster, servers)}, and run again"
        )
    wanted = [name for name in without if name in cluster.names]
    others = [name for name in without if name not in cluster.names]
    anew = [f"Make them anew: {_command('replace', *wanted, '--name', cluster.name)}"] if wanted else []
    away = [f"Remove what is not asked for any more: {_destroy(cluster, others)}"] if others else []
    return ". ".join([f"{still}: {', '.join(without)} have no token yet, or are off", *anew, *away])


def _destroy(cluster: Cluster, names: list[str]) -> str:
    return _command("destroy", "--name", cluster.name, *(word for name in names for word in ("--node", name)))


def _command(*words: str) -> str:
    return shlex.join(["kube-provision", *words])
