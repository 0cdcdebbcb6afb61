"""The discovery driver `acme`: the operator's side. What runs on the nodes is `node/discovery.py`, and is used here too."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import resources

from kube_provision_core import (
    DISCOVERY_CLIENT,
    NODE_CONFIG_DIR,
    BootFragment,
    BusyError,
    Cluster,
    Discovery,
    DiscoveryDriver,
    DiscoveryError,
    File,
    MasterRecord,
    Node,
    Role,
    hookimpl,
    replace_file,
)

from .config import AcmeConfig
from .node.discovery import BusyError as NodeBusyError
from .node.discovery import Share, UnavailableError, ready_ones

API_PORT = 6443


class Acme(DiscoveryDriver):
    """Every hook may be called from several threads at once."""

    Config = AcmeConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, AcmeConfig]) -> None:
        """No input or output here: whatever is needed is opened by the first hook that needs it."""
        self._config = config[Role.MASTER]

    @property
    def address(self) -> str | None:
        """Of the service. None would have kube-provision make a machine for it first."""
        return str(self._config.acme_server)

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        client = (resources.files(__package__) / "node" / "discovery.py").read_text()
        told = json.dumps({"server": str(self._config.acme_server), "mount": self._config.acme_mount}) + "\n"
        return BootFragment(files=(File(DISCOVERY_CLIENT, client), File(f"{NODE_CONFIG_DIR}/discovery.json", told)))

    @hookimpl
    def discover_masters(self, cluster: Cluster) -> Discovery:
        with _told():
            share = self._share(cluster)
            record = share.read_record()
            known = share.masters()
        reached = {name: cluster.endpoint(address, API_PORT) for name, address in known.items()}
        ready = ready_ones({name: (at.host, at.port) for name, at in reached.items()})
        content = record.content if record else {}
        return Discovery(
            initialised=content.get("state") == "initialised",
            masters=tuple(MasterRecord(name, known[name]) for name in ready),
            initialising=content.get("node") if content.get("state") == "initialising" else None,
            cluster_id=content.get("cluster_id"),
        )

    @hookimpl
    @contextmanager
    def lock_cluster(self, cluster: Cluster) -> Iterator[None]:
        """Another lock than the nodes': a run holds it while it waits for them."""
        with ExitStack() as held:
            with _told():
                held.enter_context(self._share(cluster).held("run", 0.0, f"process {os.getpid()} on {socket.gethostname()}"))
            yield

    @hookimpl
    def keep_history_head(self, cluster: Cluster, head: str) -> bool:
        with _told():
            folder = self._share(cluster).folder
            folder.mkdir(exist_ok=True)
            replace_file(folder / "history", head.encode())
        return True

    @hookimpl
    def history_head(self, cluster: Cluster) -> str:
        with _told():
            path = self._share(cluster).folder / "history"
            return path.read_text() if path.exists() else ""

    @hookimpl
    def forget_initialising(self, cluster: Cluster, node_name: str) -> bool:
        with _told():
            share = self._share(cluster)
            record = share.read_record()
            if record is None or record.content["state"] != "initialising" or record.content.get("node") != node_name:
                return True
            return share.delete_record(record.version)

    @hookimpl
    def forget_cluster(self, cluster: Cluster) -> bool:
        with _told():
            folder = self._share(cluster).folder
            if folder.is_dir():
                shutil.rmtree(folder)
        return True

    def _share(self, cluster: Cluster) -> Share:
        return Share(self._config.acme_folder, cluster.name)


@contextmanager
def _told() -> Iterator[None]:
    """Expected trouble becomes one line: what happened, where, and what to do."""
    try:
        yield
    except NodeBusyError as problem:
        raise BusyError(str(problem)) from problem
    except (UnavailableError, OSError) as problem:
        raise DiscoveryError(str(problem)) from problem
