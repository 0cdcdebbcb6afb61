"""The core's own part that makes a machine a member of a Kubernetes cluster."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from yaml import YAMLError

from ..config.kubeadm_patches import patches
from ..contract.boot import NODE_CONFIG_DIR, BootFragment, File, Stage, Step
from ..contract.components import Component
from ..contract.errors import BootError
from ..contract.machines import Cluster, Node, Role
from ..families.scripts import text
from ..folder.x509 import sign_server
from . import api_server, container_runtime, hardened, kubelet, proxies, registries, swap
from .containers import NAMESPACE
from .kubeadm_checks import check_documents, check_settings
from .kubeadm_config import PATCHES, Document, init_documents, join_documents
from .node_part import program
from .pki_checks import check_pki
from .templating import render
from .yaml_text import dump_all, read_all

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..folder.pki import JoinSecrets

AUTHORITIES = "/var/lib/kube-provision/ca"
"""Where a machine that may initialise the cluster is given the authorities; the choreography deletes them."""

CONFIGURATIONS = {verb: f"{NODE_CONFIG_DIR}/kubeadm-{verb}.yaml" for verb in ("init", "join")}

RECEIVER_LIFETIME = timedelta(days=7)
"""Of what a machine shows to who brings it the authorities and the snapshot. Whoever has read its boot data could take both
in its place as long; a run that was broken off before a weekend is gone on with after it."""

FORWARDING_IPV6 = ("net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding")
"""kubeadm looks at the second."""

MEMBERSHIP_LIMIT = 16200
"""Seconds. The choreography bounds each of its waits itself, and says what for, which a step that is ended cannot."""


class KubeadmPart:
    """Nothing for the discovery machine. The authorities' keys go only to machines whose stamp says that they carry them."""

    def __init__(self, config: Mapping[Role, CoreConfig]) -> None:
        self._config = config

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment | None:
        if node.role is Role.DISCOVERY:
            return None
        config, restoration = self._config[node.role], tuple(_restoration(node, secrets))
        return BootFragment(
            components=frozenset({Component.KUBEADM, Component.CONTAINER_RUNTIME}),
            versions={Component.KUBEADM: cluster.kubernetes_version},
            files=(
                *_configurations(node, cluster, config, secrets),
                *_authorities(node, secrets),
                *restoration,
                *_system_files(node, cluster, config, secrets),
            ),
            units=tuple(swap.units(config)),
            steps=(*_authorities_steps(node), *_steps(node, cluster, config, restores=bool(restoration))),
        )


def _configurations(node: Node, cluster: Cluster, config: CoreConfig, secrets: JoinSecrets) -> Iterator[File]:
    yield _configuration("join", join_documents(node, cluster, secrets, config), cluster)
    if node.stamp.carries_ca:
        yield _configuration("init", init_documents(node, cluster, secrets, config), cluster)


def _authorities(node: Node, secrets: JoinSecrets) -> Iterator[File]:
    """A machine that begins with a snapshot is brought them with that: it knows only whom to believe."""
    if node.stamp.carries_ca:
        check_pki(secrets.pki)
        for path in ["ca.crt"] if secrets.snapshot else secrets.pki.files:
            content = secrets.pki.files[path]
            yield File(f"{AUTHORITIES}/{path}", content, mode=0o600, secret=True)


def _restoration(node: Node, secrets: JoinSecrets) -> Iterator[File]:
    """For the machine that initialises the cluster from a snapshot: what that is, and what it shows to who brings it."""
    if node.stamp.carries_ca and (snapshot := secrets.snapshot):
        announced = {"size": snapshot.size, "sha256": snapshot.sha256}
        yield File(f"{NODE_CONFIG_DIR}/restore.json", json.dumps(announced) + "\n")
        shown = sign_server(secrets.pki.authority("ca"), node.name, [node.name], RECEIVER_LIFETIME)
        yield File(f"{AUTHORITIES}/receiver.pem", shown.certificate + shown.key, mode=0o600, secret=True)
        yield program("restore.py")


def _configuration(verb: str, documents: tuple[Document, ...], cluster: Cluster) -> File:
    check_documents(documents, cluster.kubernetes_version)
    return File(CONFIGURATIONS[verb], dump_all(documents), mode=0o600, secret=True)


def recheck(files: Iterable[File], kubernetes_version: str) -> None:
    """What kubeadm is told, as it is delivered. Raises `BootError` for what a wrapper has made of it."""
    for file in files:
        if file.path in CONFIGURATIONS.values():
            check_documents(list(_documents(file)), kubernetes_version)
        elif file.path == kubelet.SETTINGS:
            check_settings(list(_documents(file)))


def _documents(file: File) -> Iterator[Document]:
    unfit = f"{file.path}: a plugin that wraps render_boot has made no configuration of kubeadm's of it"
    try:
        for document in read_all(file.content):
            if not isinstance(document, Mapping):
                raise BootError(unfit)
            yield document
    except YAMLError as error:
        raise BootError(unfit) from error


def _system_files(node: Node, cluster: Cluster, config: CoreConfig, secrets: JoinSecrets) -> Iterator[File]:
    if not cluster.shares_kernel:
        yield File(
            "/etc/modules-load.d/kube-provision.conf",
            render("etc/modules-load.d/kube-provision.conf", modules=_modules(config)),
        )
    yield File(
        "/etc/sysctl.d/80-kube-provision.conf", render("etc/sysctl.d/80-kube-provision.conf", more=_sysctls(cluster, config))
    )
    yield container_runtime.configuration()
    yield from registries.files(config)
    yield kubelet.once_configured()
    yield from kubelet.settings(config)
    yield from (File(f"{PATCHES}/{name}", patch) for name, patch in patches(config.kubeadm_patches, node.role).items())
    if node.role is Role.MASTER:
        yield from api_server.files(config, secrets)
    yield from kubelet.with_its_disks(config)
    if proxies.is_proxied(config):
        yield proxies.drop_in("containerd.service")
        yield proxies.drop_in("kubelet.service")


def _sysctls(cluster: Cluster, config: CoreConfig) -> tuple[tuple[str, str], ...]:
    """A kubelet that leaves the kernel's settings alone ends where those of `hardened` are others."""
    kernel = hardened.SYSCTLS if config.hardened and not cluster.shares_kernel else {}
    forwarding = FORWARDING_IPV6 if cluster.is_dual_stack else ()
    return *((name, "1") for name in forwarding), *kernel.items()


def _kernel(cluster: Cluster, config: CoreConfig) -> str:
    return render(
        "steps/kernel.sh", shared=cluster.shares_kernel, modules=_modules(config), dual_stack=cluster.is_dual_stack
    )


def _modules(config: CoreConfig) -> tuple[str, ...]:
    """Those of IPVS as kube-proxy's own documentation names them: it ends where one is not there."""
    ipvs = ("ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", "nf_conntrack")
    return ("overlay", "br_netfilter", *(ipvs if config.kube_proxy.get("mode") == "ipvs" else ()))


def _authorities_steps(node: Node) -> Iterator[Step]:
    if node.stamp.carries_ca:
        yield Step("authorities", Stage.PREPARE, render("steps/authorities.sh", folder=AUTHORITIES), timeout=30)


def _steps(node: Node, cluster: Cluster, config: CoreConfig, *, restores: bool) -> Iterator[Step]:
    yield Step("kernel", Stage.PREPARE, _kernel(cluster, config), timeout=60)
    yield from swap.steps(cluster, config)
    yield container_runtime.start(config, Stage.DISCOVER)
    if config.image_archives:
        namespaces = ("k8s.io", NAMESPACE) if config.containers else ("k8s.io",)
        images = render("steps/images.sh", source=config.image_archives, namespaces=namespaces)
        yield Step("images", Stage.DISCOVER, images, timeout=1800)
    if node.role is Role.MASTER:  # else each would pull its images under the lock that lets one of them join at a time
        images = render(
            "steps/kubernetes-images.sh", image_repository=config.image_repository, archives=config.image_archives
        )
        yield Step("kubernetes-images", Stage.DISCOVER, images, timeout=1800)
    if node.role is Role.MASTER and config.kube_proxy.get("mode") == "nftables":
        yield Step("calico", Stage.FINISH, text("scripts/calico.sh"), timeout=120)
    begins = "restore" if restores else "choreography"
    yield Step("membership", Stage.JOIN, render("steps/membership.sh", program=begins), timeout=MEMBERSHIP_LIMIT)
