"""The core's own part that every machine gets: the runner, the node's proxy and its follower, and the units around them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.boot import NODE_CONFIG_DIR, NODE_DIR, BootFragment, File, Stage, Step, Unit
from ..contract.components import Component
from ..contract.machines import Cluster, Node, Role
from . import local_files, proxies
from .kubeadm_config import API_PORT
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..folder.pki import JoinSecrets, Pki

MANIFESTS = f"{NODE_CONFIG_DIR}/manifests"
MACHINE_KEY = f"{NODE_CONFIG_DIR}/machine.key"
PACKAGE = "kube_provision_node"
"""Never imported here: it is read, and delivered."""

_PROXY_UNITS = ("kube-provision-proxy.service", "kube-provision-follower.service")
_TASKS_UNIT = "kube-provision-tasks.service"
_TIMED = ("kube-provision-record", "kube-provision-certificates")
"""What masters do again and again: a service each, and its timer."""
_FOR_MASTERS = ("certificates.py", "cluster_dns.py", "static_pods.py", "validity.py")
_BY_TASKS = ("encryption.py", "expiry.py", "leadership.py", "results.py", "upgrade.py", "upgrading.py")
"""What comes to a machine with what it is given to do; see `tasks.upgrade`, `tasks.encryption` and `tasks.asking`."""
_RESTORING = ("restore.py",)
"""What only the master is given that initialises a cluster from a snapshot; see `kubeadm.py`."""
_OF_DUAL_STACK = ("ipv6.py",)
"""For machines of such a cluster."""
_LEFT_OUT: Mapping[Role, tuple[str, ...]] = {
    Role.MASTER: (*_BY_TASKS, *_RESTORING, *_OF_DUAL_STACK),
    Role.WORKER: (*_BY_TASKS, *_RESTORING, *_OF_DUAL_STACK, *_FOR_MASTERS),
    Role.DISCOVERY: (*_BY_TASKS, *_RESTORING, *_OF_DUAL_STACK, *_FOR_MASTERS, "sealed.py", "tasks.py"),
}
"""Programs that machines of a role have no use for."""


class NodePart:
    """What walks a machine through its boot and, but for the discovery machine, keeps its localhost:8443 useful."""

    def __init__(self, config: Mapping[Role, CoreConfig]) -> None:
        self._config = config

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment:
        config = self._config[node.role]
        manifests = config.seed_manifests if node.stamp.carries_ca else []
        proxied = proxies.is_proxied(config)
        return BootFragment(
            components=frozenset() if node.role is Role.DISCOVERY else frozenset({Component.TCP_PROXY}),
            files=(
                *programs(node.role),
                *(map(program, _OF_DUAL_STACK) if cluster.is_dual_stack else ()),
                _node_file(node, cluster, manifests, secrets.pki.ca_pin),
                *_machine_key(node, cluster, secrets.pki),
                *(_manifest_file(path, source) for path, source in _local(manifests).items()),
                *(_behind_proxy(config, cluster) if proxied else ()),
            ),
            units=tuple(_units(node.role, proxied)),
            steps=tuple(_steps(node.role)),
        )


def _node_file(node: Node, cluster: Cluster, manifests: Sequence[str], ca_pin: str) -> File:
    """What the programs on the node know about it; the discovery client reads it as well."""
    paths = {source: path for path, source in _local(manifests).items()}
    known = {
        "name": node.name,
        "role": node.role.kind,
        "cluster": cluster.name,
        "cluster_id": cluster.id,
        "may_init": node.stamp.carries_ca,
        "ca_pin": ca_pin,
        "kubernetes_version": cluster.kubernetes_version,
        "discovery_address": cluster.discovery_address,
        "api_port": API_PORT,
        "proxy_port": cluster.proxy_port,
        "seed_manifests": [paths.get(source, source) for source in manifests],
    }
    return File(f"{NODE_CONFIG_DIR}/node.json", json.dumps(known, indent=1) + "\n")


def _machine_key(node: Node, cluster: Cluster, pki: Pki) -> Iterator[File]:
    """For members of the cluster: with it a machine opens what it alone is given, and signs what it answers."""
    if node.role is not Role.DISCOVERY:
        key = pki.machine_key(cluster.id, node.name, node.stamp.instance)
        yield File(MACHINE_KEY, f"{key}\n", mode=0o600, secret=True)


@cache
def programs(role: Role = Role.MASTER) -> tuple[File, ...]:
    """The package that runs on a node of that role, with the templates that it fills in.

    As files: where room is scarce all boot data are compressed together, and texts come out smaller than an archive of them.
    """
    found = (item.name for item in resources.files(PACKAGE).iterdir() if item.name.endswith((".py", ".conf")))
    return tuple(program(name) for name in sorted(found) if name not in _LEFT_OUT[role.kind])


def program(name: str) -> File:
    """One of the package's files."""
    return File(f"{NODE_DIR}/{PACKAGE}/{name}", resources.files(PACKAGE).joinpath(name).read_text())


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
        yield _unit(_TASKS_UNIT, proxied=proxied)
    if role is Role.MASTER:
        yield from (_unit(f"{name}.service", enable=False) for name in _TIMED)
        yield from (_unit(f"{name}.timer") for name in _TIMED)


def _unit(name: str, *, enable: bool = True, **values: bool) -> Unit:
    return Unit(name, render(f"etc/systemd/system/{name}", **values), enable=enable)


def _steps(role: Role) -> Iterator[Step]:
    if role is not Role.DISCOVERY:
        yield Step("proxy", Stage.DISCOVER, render("steps/start.sh", units=_PROXY_UNITS), timeout=120)
        yield Step("tasks", Stage.FINISH, render("steps/start.sh", units=(_TASKS_UNIT,)), timeout=60)
    if role is Role.MASTER:
        timers = tuple(f"{name}.timer" for name in _TIMED)
        yield Step("timers", Stage.FINISH, render("steps/start.sh", units=timers), timeout=60)
