"""What Consul adds to a node's boot: an agent, or the server, and the node's side of discovery."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from importlib import resources
from typing import Any

from kube_provision_core import (
    DISCOVERY_PACKAGE,
    Boot,
    BootFragment,
    Cluster,
    Component,
    File,
    Node,
    Role,
    Stage,
    Step,
    Unit,
)

from . import access, layout, on_masters
from .access import Right
from .certificates import certificates, content_of
from .config import ConsulConfig
from .on_masters import is_server
from .seed import Seed

_RETRY_INTERVAL = "5s"
"""Consul's own default of 30 s would be most of a node's boot."""
_NODE_SIDE = ("__init__.py", "agent.py", "api.py", "lock.py", "version.py")
_CLOSED = ("closed.py",)


def render(node: Node, cluster: Cluster, config: ConsulConfig) -> BootFragment:
    """The same for every role: a server is an agent with a few lines more."""
    return BootFragment(
        components=frozenset({Component.CONSUL}),
        versions={"consul": config.consul_version} if config.consul_version else {},
        files=(
            File(layout.AGENT_FILE, _json(agent_configuration(node, cluster, config))),
            File(layout.CLIENT_DATA, _json(client_data(node, cluster, config))),
            *(File(f"{DISCOVERY_PACKAGE}/{name}", _resource("node", name)) for name in _programs(node, cluster, config)),
            *_tls_files(config),
            *_secret_files(node, cluster, config),
        ),
        units=(Unit(layout.UNIT, _resource("templates", layout.UNIT)),),
        steps=tuple(_steps(node, cluster, config)),
    )


def _programs(node: Node, cluster: Cluster, config: ConsulConfig) -> Iterator[str]:
    yield from _NODE_SIDE
    if config.seed:
        yield from _CLOSED
        if is_server(node, config):
            yield "server.py"
        if _grants(node, cluster, config):
            yield "rights.py"


def _steps(node: Node, cluster: Cluster, config: ConsulConfig) -> Iterator[Step]:
    yield Step("agent", Stage.DISCOVER, _resource("templates", "agent.sh"), timeout=300, attempts=10)
    if config.seed and _grants(node, cluster, config):
        yield Step("rights", Stage.DISCOVER, _resource("templates", "rights.sh"), timeout=300, attempts=10)


def _grants(node: Node, cluster: Cluster, config: ConsulConfig) -> bool:
    """Whether it gives others their rights. The master with the cluster's authorities, whose boot data are the largest, has
    no room for that: nobody leads before another server is there, which does it.
    """
    crowded = node.role is Role.MASTER and node.stamp.carries_ca and _servers(cluster, config) > 1
    return is_server(node, config) and not crowded


def seal() -> Step:
    """Another agent's data would give all machines of a template one identity in Consul."""
    folders = " ".join([layout.DATA_DIR, *layout.PACKAGED_DATA_DIRS])
    script = f"systemctl disable --quiet consul.service 2>/dev/null || true\nrm --recursive --force {folders}\n"
    return Step("consul", Stage.FINISH, script, timeout=60)


def agent_configuration(node: Node, cluster: Cluster, config: ConsulConfig) -> dict[str, Any]:
    """The agent's configuration without its secrets. Its address the machine adds itself, at every start."""
    common = {
        "node_name": node.name,
        "datacenter": config.consul_datacenter,
        "data_dir": layout.DATA_DIR,
        "node_meta": {
            layout.CLUSTER_META: cluster.name,
            layout.CLUSTER_ID_META: cluster.id,
            layout.ROLE_META: node.role.value,
            **({layout.CLOSED_META: config.seed.mark(node.name)} if config.seed else {}),
        },
        "retry_join": retry_join(node, cluster, config),
        "retry_interval": _RETRY_INTERVAL,
        "rejoin_after_leave": True,
        "disable_update_check": True,
        "log_level": "INFO",
        "ports": {"dns": -1},
    }
    if is_server(node, config):
        # A server that left at every shutdown would have to be let in again, and take its vote with it. Where a cluster of
        # servers lives already, they join that, whatever they expect.
        return common | {"server": True, "bootstrap_expect": _servers(cluster, config), "leave_on_terminate": False}
    # An agent that leaves takes its master off the others' lists at once, before its API server stops answering.
    return common | {"server": False, "leave_on_terminate": True}


def _servers(cluster: Cluster, config: ConsulConfig) -> int:
    return len(on_masters.addresses(cluster, config)) if config.consul_on_masters else config.consul_servers


def retry_join(node: Node, cluster: Cluster, config: ConsulConfig) -> list[str]:
    """A server joins the machines that are there: created anew, it would otherwise not know them, nor they it."""
    known = list(server_addresses(node, cluster, config))
    return [*known, *cluster.peers] if node.role is Role.DISCOVERY else known


def client_data(node: Node, cluster: Cluster, config: ConsulConfig) -> dict[str, Any]:
    """What the programs in `node` are told."""
    needed = access.of_node(node, cluster.names) if config.consul_ip or (config.consul_token and not config.seed) else ()
    rights = [[right.kind, right.name, right.access] for right in needed]
    return {
        "servers": list(server_addresses(node, cluster, config)),
        "is_server": is_server(node, config),
        "interface": config.consul_bind_interface or node.interface,
        **({"rights": rights} if rights else {}),
        **({"tls": _tls_settings(config)} if config.consul_ca_file else {}),
    }


def rights_in(boot: Boot) -> list[Right]:
    """What a machine with this boot data looks for in Consul."""
    told: dict[str, Any] = next((json.loads(it.content) for it in boot.files if it.path == layout.CLIENT_DATA), {})
    return [Right(kind, name, access, "") for kind, name, access in told.get("rights", ())]


def _tls_settings(config: ConsulConfig) -> dict[str, Any]:
    """In the words of Consul, which the machine puts where the version that it has expects them."""
    own = {"cert_file": layout.CERT_FILE, "key_file": layout.KEY_FILE} if config.consul_client_cert_file else {}
    return {"ca_file": layout.CA_FILE, **own, "verify_outgoing": True}


def _tls_files(config: ConsulConfig) -> Iterator[File]:
    if config.consul_ca_file:
        yield File(layout.CA_FILE, content_of(config.consul_ca_file, certificates))
    if config.consul_client_cert_file and config.consul_client_key_file:
        yield File(layout.CERT_FILE, content_of(config.consul_client_cert_file, certificates))
        yield File(layout.KEY_FILE, content_of(config.consul_client_key_file), mode=0o600, secret=True, own_key=True)


def server_addresses(node: Node, cluster: Cluster, config: ConsulConfig) -> tuple[str, ...]:
    """Of those that the machine joins: the existing Consul's, or those that were provisioned before it, as far as they are
    known. A server never joins itself: then it would have joined somebody, and look for nobody else.
    """
    if config.consul_on_masters:  # as they are to be, and as they are, where these have changed
        given = on_masters.addresses(cluster, config)
        known = dict.fromkeys((*given.values(), *cluster.discovery_addresses))
        return tuple(address for address in known if address != given.get(node.name))
    if node.role is Role.DISCOVERY and config.consul_servers == 1:
        return ()
    return config.hosts or cluster.discovery_addresses


def identity(node: Node, cluster: Cluster, config: ConsulConfig, seed: Seed) -> dict[str, Any]:
    """Who the machine is in a Consul that was made for its cluster; a server also gets what gives others their rights."""
    server = is_server(node, config)
    name = layout.server_name(config.consul_datacenter) if server else node.name
    return {
        **asdict(seed.certificate(name, server=server)),
        "token": seed.management if server else seed.token(node.name),
        **({"grants": access.grants(seed, cluster)} if _grants(node, cluster, config) else {}),
        **({"closing": True} if server and config.consul_closing else {}),
    }


def _secret_files(node: Node, cluster: Cluster, config: ConsulConfig) -> Iterator[File]:
    """0600 until the agent's user exists; then its start makes readable to that user's group what the agent itself reads."""
    if secrets := _agent_secrets(config):
        yield File(layout.SECRETS_FILE, _json(secrets), mode=0o600, secret=True)
    if config.seed:
        document = _json(identity(node, cluster, config, config.seed))
        yield File(layout.IDENTITY_FILE, document, mode=0o600, secret=True)


def _agent_secrets(config: ConsulConfig) -> dict[str, Any]:
    secrets: dict[str, Any] = {}
    if config.consul_encrypt:
        secrets["encrypt"] = config.consul_encrypt.get_secret_value()
    if config.consul_token and not config.seed:
        # An agent judges by a default of its own, too, which is to allow: it would tell of no right that is missing. While
        # no server answers it denies nothing: what it is asked concerns itself.
        tokens = {"default": config.consul_token.get_secret_value()}
        secrets["acl"] = {"enabled": True, "default_policy": "deny", "down_policy": "allow", "tokens": tokens}
    return secrets


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


@cache
def _resource(folder: str, name: str) -> str:
    return (resources.files(__package__) / folder / name).read_text()
