"""The discovery driver `consul`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
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

from . import access, boot, layout
from .config import ConsulConfig

if TYPE_CHECKING:
    from .access import Right
    from .client import Client


class Consul(DiscoveryDriver):
    """Discovery by Consul: an existing server, or one that is provisioned for the cluster."""

    Config = ConsulConfig
    api_version = 1
    port: int

    def __init__(self, config: Mapping[Role, ConsulConfig], port: int = layout.HTTP_PORT) -> None:
        """`port`: of the server's HTTP interface; another one than Consul's own is for tests."""
        self._config = config
        self.port = port

    @property
    def address(self) -> str | None:
        """The existing server's address; None: one is to be provisioned."""
        own = self._own.consul_ip
        return str(own) if own else None

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
        """Of an existing Consul: names that are taken there, and rights that the nodes' tokens lack."""
        nodes = [node for node, _ in machines]
        if self._own.consul_ip is None or not nodes:
            return ()
        at = Endpoint(str(self._own.consul_ip), self.port)
        return (*self._taken_names(at, nodes), *self._missing_rights(at, nodes))

    def _taken_names(self, at: Endpoint, nodes: Sequence[Node]) -> Iterator[str]:
        """Names that somebody else's agents bear already: two of one name break both silently."""
        rights = access.of_operator(nodes[0].stamp.cluster, (node.name for node in nodes))
        with closing(self._client(at, rights)) as client:
            known, living = client.nodes(), client.living_nodes()
        for node in sorted(nodes, key=lambda node: node.name):
            if node.name in living and known.get(node.name, {}).get(layout.CLUSTER_ID_META) != node.stamp.cluster_id:
                yield (
                    f"{node.name}: Consul at {at.host} knows another living machine of this name. Choose another --name or"
                    " --host-prefix"
                )

    def _missing_rights(self, at: Endpoint, nodes: Sequence[Node]) -> Iterator[str]:
        for role, node in {node.role: node for node in nodes}.items():
            with closing(self._client(at, role=role)) as client:
                missing = client.missing(access.of_node(node))
            if missing:
                yield f"Consul at {at.host}:{at.port}: {access.lacking(missing, f'consul_token of {role.value}s')}"

    @hookimpl
    def render_grants(self, nodes: Sequence[Node]) -> str | None:
        """Nothing for a server that is provisioned: it has no ACLs."""
        return access.script(nodes) if self._own.consul_ip else None

    @hookimpl
    def lock_cluster(self, cluster: Cluster) -> AbstractContextManager[None] | None:
        from .run_lock import run_lock

        address = self._address_for(cluster)
        if not address:
            return None
        at = cluster.endpoint(address, self.port)
        rights = access.of_operator(cluster.name, cluster.names)
        return run_lock(lambda: self._client(at, rights), cluster.name)

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
        if not self._address_for(cluster):
            return None
        with self._connected(cluster) as client:
            for name, meta in client.nodes({layout.CLUSTER_META: cluster.name}).items():
                if meta.get(layout.ROLE_META) != Role.DISCOVERY:  # it is being asked, and goes with its machine
                    client.remove_node(name)
            client.delete_below(layout.prefix(cluster.name))
        return True

    @property
    def _own(self) -> ConsulConfig:
        """The operator's own configuration: the discovery machine's, whose role has no keys that differ from the document's
        unless the user says so."""
        return self._config[Role.DISCOVERY]

    def _address_for(self, cluster: Cluster) -> str:
        return boot.server_address(cluster, self._own)

    @contextmanager
    def _connected(self, cluster: Cluster) -> Iterator[Client]:
        address = self._address_for(cluster)
        if not address:
            raise DiscoveryError(
                f"cluster {cluster.name} has no Consul server with a known address yet: provision it, or name one with"
                " --consul-ip"
            )
        rights = access.of_operator(cluster.name, cluster.names)
        with closing(self._client(cluster.endpoint(address, self.port), rights)) as client:
            yield client

    def _client(self, at: Endpoint, rights: Sequence[Right] = (), role: Role = Role.DISCOVERY) -> Client:
        """With the role's token. Loads the client library only where Consul is really asked: rendering needs none of it."""
        from .client import Client

        token = self._config[role].consul_token
        return Client(at, self._own.consul_datacenter, token.get_secret_value() if token else None, rights)
