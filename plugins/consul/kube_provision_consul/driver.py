"""The discovery driver `consul`."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from kube_provision_core import (
    Boot,
    BootFragment,
    Cluster,
    Discovery,
    DiscoveryDriver,
    DiscoveryError,
    Endpoint,
    MasterRecord,
    Node,
    Role,
    Step,
    hookimpl,
)

from . import access, boot, layout, openness
from .config import ConsulConfig
from .endpoint import ConsulEndpoint, Tls
from .failures import unresolved
from .node.closed import pem
from .node.rights import grant

if TYPE_CHECKING:
    from .access import Right
    from .client import Client

log = logging.getLogger(__name__)


class Consul(DiscoveryDriver):
    """Discovery by Consul: an existing server, or one that is provisioned for the cluster."""

    Config = ConsulConfig
    api_version = 1
    port: int

    def __init__(self, config: Mapping[Role, ConsulConfig], port: int | None = None) -> None:
        """`port`: of the server's HTTP interface; another one than Consul's own is for tests."""
        self._config = config
        self.port = port or (layout.HTTPS_PORT if self._own.seed else layout.HTTP_PORT)
        self.machines = 0 if self._own.consul_on_masters else self._own.consul_servers
        self.by_majority = self._own.consul_on_masters
        self._answered: Endpoint | None = None
        """The server that did last: others may be waited for in vain."""

    @property
    def address(self) -> str | None:
        """The existing Consul's first; None: one is to be provisioned."""
        return next(iter(self._own.hosts), None)

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        return boot.render(node, cluster, self._config[node.role])

    @hookimpl
    def seal_image(self) -> Sequence[Step]:
        return (boot.seal(),)

    @hookimpl
    def discover_masters(self, cluster: Cluster) -> Discovery:
        from .client import decode_record

        with self._connected(cluster) as client:
            entry = client.read(layout.record_key(cluster.name))
            healthy = client.healthy(layout.service_name(cluster.name))
        record = decode_record(entry.text, cluster.name) if entry else {}
        return Discovery(
            initialised=record.get("state") == "initialised",
            masters=tuple(
                MasterRecord(service.node, service.address) for service in sorted(healthy, key=lambda one: one.node)
            ),
            initialising=record.get("node") if record.get("state") == "initialising" else None,
            cluster_id=record.get("cluster_id"),
        )

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        """Of an existing Consul: its own names that do not resolve, names of machines that are taken there, and rights that
        the nodes' tokens lack. Of one that is being closed: that there is none to close."""
        if self._own.consul_closing and machines:
            return self._not_to_close([node for node, _ in machines])
        if self._own.consul_ip is None or not machines:
            return ()
        return (*self._unresolved(), *self._taken_names([node for node, _ in machines]), *self._missing_rights(machines))

    def _not_to_close(self, nodes: Sequence[Node]) -> Sequence[str]:
        """Where nobody answers, nothing tells a Consul that was closed from one that is being closed."""
        servers = [node.name for node in nodes if node.role is Role.DISCOVERY]
        if servers and any(node.stamp.carries_ca for node in nodes):
            return (openness.FOUNDED,)
        with suppress(DiscoveryError), self._as_nobody() as client:
            if openness.is_closed(client, nodes[0].stamp.cluster):
                return (openness.CLOSED,)
        if servers:
            log.warning(openness.HALF_OPEN, ", ".join(servers))
        return ()

    def _unresolved(self) -> Iterator[str]:
        """Where others answer, Consul is asked all the same; but machines are told all names for good."""
        for server in self._own.servers(self.port):
            try:
                socket.getaddrinfo(server.host, server.port, socket.AF_INET)
            except socket.gaierror as error:
                yield f"consul_ip: {server.host}: {unresolved(error)}"

    def _taken_names(self, nodes: Sequence[Node]) -> Iterator[str]:
        """Names that somebody else's agents bear already: two of one name break both silently."""
        rights, endpoint = access.of_operator(nodes[0].stamp.cluster, (node.name for node in nodes)), self._existing()
        with closing(self._connect(endpoint, rights)) as client:
            known, living = client.nodes(), client.living_nodes()
        for node in sorted(nodes, key=lambda node: node.name):
            if node.name in living and known.get(node.name, {}).get(layout.CLUSTER_ID_META) != node.stamp.cluster_id:
                yield (
                    f"{node.name}: {endpoint} knows another living machine of this name. Choose another --name or"
                    " --host-prefix"
                )

    def _missing_rights(self, machines: Sequence[tuple[Node, Boot]]) -> Iterator[str]:
        """Of those that the machines are told."""
        for role, it in {node.role: it for node, it in machines}.items():
            endpoint = self._existing(role)
            with closing(self._connect(endpoint)) as client:
                missing = client.missing(boot.rights_in(it))
            if missing:
                yield f"{endpoint}: {access.lacking(missing, f'consul_token of {role.value}s')}"

    @hookimpl
    def render_grants(self, nodes: Sequence[Node]) -> str | None:
        """Nothing for a server that is provisioned: rights there are given by itself and by runs, see `admit_nodes`."""
        return access.script(nodes) if self._own.consul_ip else None

    @hookimpl
    def lock_cluster(self, cluster: Cluster) -> AbstractContextManager[None] | None:
        from .run_lock import run_lock

        endpoint = self._endpoint(cluster)
        if endpoint is None:
            return None
        rights = access.of_operator(cluster.name, cluster.names)
        return run_lock(lambda: self._connect(endpoint, rights), cluster.name)

    @hookimpl
    def admit_nodes(self, cluster: Cluster) -> bool | None:
        """Of a Consul that was made for the cluster. An existing one's rights are its administrator's to give."""
        seed = self._own.seed
        if seed is None:
            return None
        with self._connected(cluster) as client:
            grants = access.grants(seed, cluster)
            grant(client.ask, grants)
            access.revoke(client.ask, grants)
            if self._own.consul_on_masters:
                _dismiss_servers(client, cluster)
        return True

    @hookimpl
    def keep_history_head(self, cluster: Cluster, head: str) -> bool:
        with self._connected(cluster) as client:
            client.write(layout.history_key(cluster.name), head)
        return True

    @hookimpl
    def history_head(self, cluster: Cluster) -> str:
        with self._connected(cluster) as client:
            entry = client.read(layout.history_key(cluster.name))
        return entry.text if entry else ""

    @hookimpl
    def forget_initialising(self, cluster: Cluster, node_name: str) -> bool:
        """True when no record says that this machine is initialising; False when one has just been written."""
        from .client import decode_record

        key = layout.record_key(cluster.name)
        with self._connected(cluster) as client:
            entry = client.read(key)
            record = decode_record(entry.text, cluster.name) if entry else {}
            if entry is None or record["state"] != "initialising" or record.get("node") != node_name:
                return True
            return client.delete(key, entry.version)

    @hookimpl
    def forget_cluster(self, cluster: Cluster) -> bool | None:
        """Delete the cluster's keys, and its nodes with their services. Nothing to do where no server is known."""
        if self._endpoint(cluster) is None:
            return None
        with self._connected(cluster) as client:
            for name, meta in client.nodes({layout.CLUSTER_META: cluster.name}).items():
                if meta.get(layout.ROLE_META) != Role.DISCOVERY:  # it is being asked, and goes with its machine
                    client.remove_node(name)
            client.delete_below(layout.prefix(cluster.name))
        return True

    @hookimpl
    def discovery_notice(self, cluster: Cluster) -> str:
        """That Consul is open. The server that has answered is asked what it tells to who has no token."""
        if self._own.consul_ip:
            return ""
        if self._own.seed is None:
            return openness.OPEN
        with suppress(DiscoveryError), self._as_nobody() as client:
            if not openness.is_closed(client, cluster.name):
                return openness.remaining(client.nodes(), cluster, self._own.seed)
            return openness.CLOSED if self._own.consul_closing else ""
        return openness.UNANSWERED if self._own.consul_closing else ""

    @property
    def _own(self) -> ConsulConfig:
        """The operator's own configuration: the discovery machine's, whose role has no keys that differ from the document's
        unless the user says so."""
        return self._config[Role.DISCOVERY]

    def _endpoint(self, cluster: Cluster) -> ConsulEndpoint | None:
        """The existing Consul's, or that of the servers that were provisioned; None where there is none yet."""
        if self._own.consul_ip:
            return self._existing()
        servers = tuple(cluster.endpoint(address, self.port) for address in cluster.discovery_addresses)
        return self._provisioned(servers) if servers else None

    def _provisioned(self, servers: tuple[Endpoint, ...]) -> ConsulEndpoint:
        """One that an earlier version has made is open."""
        datacenter, seed = self._own.consul_datacenter, self._own.seed
        if seed is None:
            return self._to(servers)
        tls = Tls(pem("CERTIFICATE", seed.authority), server_name=layout.server_name(datacenter))
        return ConsulEndpoint(servers, datacenter, seed.management, tls)

    def _existing(self, role: Role = Role.DISCOVERY) -> ConsulEndpoint:
        """With the token of the role."""
        return self._to(self._own.servers(self.port), role)

    def _to(self, servers: tuple[Endpoint, ...], role: Role = Role.DISCOVERY) -> ConsulEndpoint:
        token = self._config[role].consul_token
        return ConsulEndpoint(
            servers, self._own.consul_datacenter, token.get_secret_value() if token else None, self._own.tls
        )

    @contextmanager
    def _connected(self, cluster: Cluster) -> Iterator[Client]:
        endpoint = self._endpoint(cluster)
        if endpoint is None:
            raise DiscoveryError(
                f"cluster {cluster.name} has no Consul server with a known address yet: provision it, or name one with"
                " --consul-ip"
            )
        with closing(self._connect(endpoint, access.of_operator(cluster.name, cluster.names))) as client:
            yield client

    @contextmanager
    def _as_nobody(self) -> Iterator[Client]:
        """The server that has answered, asked without a token."""
        if self._answered is None:
            raise DiscoveryError("no server was asked yet")
        with closing(self._connect(replace(self._provisioned((self._answered,)), token=None))) as client:
            yield client

    def _connect(self, endpoint: ConsulEndpoint, rights: Sequence[Right] = ()) -> Client:
        """Loads the client library only where Consul is really asked: rendering needs none of it."""
        from .connecting import connect

        client = connect(endpoint.first(self._answered), rights)
        self._answered = client.server
        return client


def _dismiss_servers(client: Client, cluster: Cluster) -> None:
    """Masters that are gone for good leave Consul: those that are left would count their votes as missing."""
    for name, meta in client.nodes({layout.CLUSTER_META: cluster.name}).items():
        if meta.get(layout.ROLE_META) == Role.MASTER and name not in cluster.nodes:
            client.remove_node(name)
