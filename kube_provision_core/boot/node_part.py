"""The core's own part that every machine gets: the runner, the node's proxy and its follower, and the units around them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..hookspecs import hookimpl
from ..model import NODE_CONFIG_DIR, NODE_DIR, BootFragment, Cluster, File, Node, Role, Stage, Step, Unit
from . import local_files, proxies
from .kubeadm_config import API_PORT
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..pki import Pki

PROXY_PORT = 8443
MANIFESTS = f"{NODE_CONFIG_DIR}/manifests"

_PROXY_UNITS = ("kube-provision-proxy.service", "kube-provision-follower.service")
_RECORD_TIMER = "kube-provision-record.timer"


class NodePart:
    """What walks a machine through its boot and, but for the discovery machine, keeps its localhost:8443 useful."""

    def __init__(self, config: Mapping[Role, CoreConfig], pki: Pki) -> None:
        self._config = config
        self._pki = pki

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        config = self._config[node.role]
        manifests = config.seed_manifests if node.stamp.carries_ca else []
        proxied = proxies.is_proxied(config)
        return BootFragment(
            components=frozenset() if node.role is Role.DISCOVERY else frozenset({"tcp-proxy"}),
            files=(
                *programs(),
                self._node_file(node, cluster, manifests),
                *(_manifest_file(path, source) for path, source in _local(manifests).items()),
                *(_behind_proxy(config, cluster) if proxied else ()),
            ),
            units=tuple(_units(node.role, proxied)),
            steps=tuple(_steps(node.role)),
        )

    def _node_file(self, node: Node, cluster: Cluster, manifests: Sequence[str]) -> File:
        """What the programs on the node know about it: `node/settings.py` reads it, and so does the discovery client."""
        paths = {source: path for path, source in _local(manifests).items()}
        known = {
            "name": node.name,
            "role": node.role,
            "cluster": cluster.name,
            "cluster_id": cluster.id,
            "may_init": node.stamp.carries_ca,
            "ca_pin": self._pki.ca_pin,
            "kubernetes_version": cluster.kubernetes_version,
            "discovery_address": cluster.discovery_address,
            "api_port": API_PORT,
            "proxy_port": PROXY_PORT,
            "seed_manifests": [paths.get(source, source) for source in manifests],
        }
        return File(f"{NODE_CONFIG_DIR}/node.json", json.dumps(known, indent=1) + "\n")


@cache
def programs() -> tuple[File, ...]:
    """The programs that run on a node, and the templates that they fill in."""
    folder = resources.files("kube_provision_core.boot") / "node"
    found = (item for item in folder.iterdir() if item.name.endswith((".py", ".conf")))
    return tuple(File(f"{NODE_DIR}/{item.name}", item.read_text()) for item in sorted(found, key=lambda item: item.name))


def _local(manifests: Sequence[str]) -> dict[str, str]:
    """Manifests that are files of the user's, by their path on the node; URLs are fetched by the node itself."""
    files = [source for source in manifests if "://" not in source]
    return {f"{MANIFESTS}/{number:02}-{Path(source).name}": source for number, source in enumerate(files, start=1)}


def _manifest_file(path: str, source: str) -> File:
    return File(path, local_files.read(Path(source), "seed_manifests"), mode=0o600)


def _behind_proxy(config: CoreConfig, cluster: Cluster) -> Iterator[File]:
    yield proxies.environment_file(config, cluster)
    yield File(
        proxies.DIRECT_NETWORKS, render("direct-networks.sh", direct=proxies.DIRECT, proxy=proxies.ENVIRONMENT), mode=0o755
    )


def _units(role: Role, proxied: bool) -> Iterator[Unit]:
    yield _unit("kube-provision.service", proxied=proxied)
    if role is not Role.DISCOVERY:
        yield from (_unit(name) for name in _PROXY_UNITS)
    if role is Role.MASTER:
        yield _unit("kube-provision-record.service", enable=False)
        yield _unit(_RECORD_TIMER)


def _unit(name: str, *, enable: bool = True, **values: bool) -> Unit:
    return Unit(name, render(f"etc/systemd/system/{name}", **values), enable=enable)


def _steps(role: Role) -> Iterator[Step]:
    if role is not Role.DISCOVERY:
        yield Step("proxy", Stage.DISCOVER, render("steps/start.sh", units=_PROXY_UNITS), timeout=120)
    if role is Role.MASTER:
        yield Step("record", Stage.FINISH, render("steps/start.sh", units=(_RECORD_TIMER,)), timeout=60)
