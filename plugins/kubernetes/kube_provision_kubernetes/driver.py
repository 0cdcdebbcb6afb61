"""The discovery driver `kubernetes`: the operator's side. What runs on nodes is `node`, and is used here too."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from kube_provision_core import (
    BootFragment,
    BusyError,
    Cluster,
    Discovery,
    DiscoveryDriver,
    DiscoveryError,
    MasterRecord,
    Node,
    Role,
    hookimpl,
)

from . import boot, layout, tokens
from .config import KubernetesConfig
from .node.api import Answer, Api, Credential, Place, UnavailableError, unexpected
from .node.api import BusyError as NodeBusyError
from .node.follow import CONFIG_MAPS, Registry, ready_ones
from .node.lease import LEASES, Lease
from .node.record import Record


class Kubernetes(DiscoveryDriver):
    """Discovery by the cluster's own API. Keeps nothing open between two hooks."""

    Config = KubernetesConfig
    api_version = 1
    machines = 0
    address = None

    def __init__(self, config: Mapping[Role, KubernetesConfig], port: int = layout.PORT) -> None:
        """`port`: of API servers; another one than kubeadm's is for tests."""
        self._config = config
        self.port: int = port

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        return boot.render(node, cluster, self._config[node.role], self.port)

    @hookimpl
    def discover_masters(self, cluster: Cluster) -> Discovery:
        with _told():
            api = self._api(cluster)
            record, masters = Record(api, cluster.name).read(), Registry(api, cluster.name).read()
        reached = {name: cluster.endpoint(address, layout.PORT) for name, address in masters.named.items()}
        ready = ready_ones({name: (at.host, at.port) for name, at in reached.items()})
        content = record.content if record else {}
        return Discovery(
            initialised=content.get("state") == "initialised",
            masters=tuple(MasterRecord(name, masters.named[name]) for name in sorted(ready)),
            initialising=content.get("node") if content.get("state") == "initialising" else None,
            cluster_id=content.get("cluster_id"),
        )

    @hookimpl
    @contextmanager
    def lock_cluster(self, cluster: Cluster) -> Iterator[None]:
        with ExitStack() as held:
            with _told(f"another run works on cluster {cluster.name}"):
                lease = Lease(self._api(cluster), layout.run_lease(cluster.name), _introduction())
                lease.acquire(0.0)
                held.callback(lease.release)
            yield

    @hookimpl
    def keep_history_head(self, cluster: Cluster, head: str) -> bool:
        name = layout.history(cluster.name)
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"head": head}}
        with _told():
            api = self._api(cluster)
            answer = api.ask("PUT", f"{CONFIG_MAPS}/{name}", document)
            if answer.status == 404:
                answer = api.ask("POST", CONFIG_MAPS, document)
            if answer.status not in (200, 201):
                raise unexpected(answer, f"{name} cannot be written")
        return True

    @hookimpl
    def history_head(self, cluster: Cluster) -> str:
        name = layout.history(cluster.name)
        with _told():
            answer = self._api(cluster).ask("GET", f"{CONFIG_MAPS}/{name}")
        return _head(answer) if answer.status == 200 else ""

    @hookimpl
    def forget_initialising(self, cluster: Cluster, node_name: str) -> bool:
        with _told():
            record = Record(self._api(cluster), cluster.name)
            found = record.read()
            if found is None or found.content["state"] != "initialising" or found.content.get("node") != node_name:
                return True
            return record.delete(found.version)

    @hookimpl
    def forget_cluster(self, cluster: Cluster) -> bool:
        names = (f"record-{cluster.name}", layout.masters(cluster.name), layout.history(cluster.name))
        with _told():
            api = self._api(cluster)
            for path in (*(f"{CONFIG_MAPS}/{name}" for name in names), f"{LEASES}/{layout.join_lease(cluster.name)}"):
                answer = api.ask("DELETE", path)
                if answer.status not in (200, 404):
                    raise unexpected(answer, f"{path} cannot be deleted")
        return True

    def _api(self, cluster: Cluster) -> Api:
        """Raises `DiscoveryError` where the folder has no seed."""
        seed = self._config[Role.MASTER].kubernetes_seed
        if seed is None:
            raise DiscoveryError(boot.NO_SEED)
        token = tokens.token(seed.get_secret_value(), tokens.Asker.OPERATORS)
        at = {address: cluster.endpoint(address, self.port) for address in cluster.discovery_addresses}
        places = [Place(address, it.host, it.port) for address, it in at.items()]
        return Api(lambda: places, Credential(cluster.ca, token))


def _head(answer: Answer) -> str:
    return str((answer.document.get("data") or {}).get("head", ""))


def _introduction() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def _told(busy: str = "") -> Iterator[None]:
    """Expected trouble becomes one line."""
    try:
        yield
    except NodeBusyError as problem:
        raise BusyError(f"{busy}: {problem}") from problem
    except UnavailableError as problem:
        raise DiscoveryError(str(problem)) from problem
