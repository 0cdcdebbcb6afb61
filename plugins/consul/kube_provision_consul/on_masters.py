"""A Consul whose servers run on the masters: which these are, and where. Every master is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kube_provision_core import Cluster, ConfigError, Node, Role

from .config import SERVERS, ConsulConfig


def is_server(node: Node, config: ConsulConfig) -> bool:
    """Whether a server runs on that machine, be it of its own or a master."""
    return node.role is Role.DISCOVERY or (config.consul_on_masters and node.role is Role.MASTER)


def addresses(cluster: Cluster, config: ConsulConfig) -> Mapping[str, str]:
    """Of all masters by name. Raises `ConfigError` where they cannot be Consul's servers."""
    masters = sorted(name for name, role in cluster.nodes.items() if role is Role.MASTER and name in cluster.names)
    problems = [*_problems(cluster, config, masters)]
    if problems:
        raise ConfigError(*problems)
    return {name: cluster.fixed_addresses[name] for name in masters}


def _problems(cluster: Cluster, config: ConsulConfig, masters: list[str]) -> Iterator[str]:
    count, wanted = len(masters), config.servers_said
    if config.seed is None:
        yield (
            f"consul_on_masters: the machines of cluster {cluster.name} were made for another Consul, or for one that is "
            "open: take the key out again. It is for clusters that are made with it"
        )
    if count not in SERVERS:
        yield (
            f"consul_on_masters: {count} masters cannot be Consul's servers: ask for 1, 3 or 5, since more than half of "
            "them must live"
        )
    elif wanted is not None and wanted != count:
        yield (
            f"consul_servers: {wanted} servers on {count} masters: with consul_on_masters each master is one. Leave it out, "
            f"or ask for {wanted} masters"
        )
    without = [name for name in masters if name not in cluster.fixed_addresses]
    if without:
        yield (
            f"consul_on_masters: nobody knows the addresses of {', '.join(without)} before they are made, and every machine "
            "is told them: give each master one by static_ip (on QEMU in a network of this host), or leave the key out"
        )
