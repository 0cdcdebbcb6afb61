"""The core's own part that makes a machine a member of a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from ..hookspecs import hookimpl
from ..model import NODE_CONFIG_DIR, BootFragment, Cluster, File, Node, Role, Stage, Step
from . import container_runtime, proxies
from .containers import NAMESPACE
from .kubeadm_checks import check_documents
from .kubeadm_config import Document, init_documents, join_documents
from .pki_checks import check_pki
from .templating import render
from .yaml_text import dump_all

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..pki import JoinSecrets

AUTHORITIES = "/var/lib/kube-provision/ca"
"""Where a machine that may initialise the cluster is given the authorities; the choreography deletes them."""

MEMBERSHIP_LIMIT = 2 * 60 * 60
"""Seconds. The choreography bounds each of its waits itself, and says what for, which a step that is ended cannot."""


class KubeadmPart:
    """Nothing for the discovery machine. The authorities' keys go only to machines whose stamp says that they carry them."""

    def __init__(self, config: Mapping[Role, CoreConfig], secrets: JoinSecrets) -> None:
        self._config = config
        self._secrets = secrets

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment | None:
        if node.role is Role.DISCOVERY:
            return None
        config = self._config[node.role]
        return BootFragment(
            components=frozenset({"kubeadm", "container-runtime"}),
            versions={"kubeadm": cluster.kubernetes_version},
            files=(*self._configurations(node, cluster, config), *self._authorities(node), *_system_files(config)),
            steps=(*_authorities_steps(node), *_steps(node.role, config)),
        )

    def _configurations(self, node: Node, cluster: Cluster, config: CoreConfig) -> Iterator[File]:
        join = join_documents(node, self._secrets)
        yield _configuration("join", join, cluster)
        if node.stamp.carries_ca:
            init = init_documents(node, cluster, self._secrets, config.image_repository)
            yield _configuration("init", init, cluster)

    def _authorities(self, node: Node) -> Iterator[File]:
        if node.stamp.carries_ca:
            for path, content in self._checked_pki.items():
                yield File(f"{AUTHORITIES}/{path}", content, mode=0o600, secret=True)

    @cached_property
    def _checked_pki(self) -> Mapping[str, bytes]:
        check_pki(self._secrets.pki)
        return self._secrets.pki.files


def _configuration(verb: str, documents: tuple[Document, ...], cluster: Cluster) -> File:
    check_documents(documents, cluster.kubernetes_version)
    return File(f"{NODE_CONFIG_DIR}/kubeadm-{verb}.yaml", dump_all(documents), mode=0o600, secret=True)


def _system_files(config: CoreConfig) -> Iterator[File]:
    yield File("/etc/modules-load.d/kube-provision.conf", render("etc/modules-load.d/kube-provision.conf"))
    yield File("/etc/sysctl.d/80-kube-provision.conf", render("etc/sysctl.d/80-kube-provision.conf"))
    yield container_runtime.configuration()
    if config.docker_proxy:
        yield container_runtime.docker_hub_mirror(config.docker_proxy)
    if proxies.is_proxied(config):
        yield proxies.drop_in("containerd.service")
        yield proxies.drop_in("kubelet.service")


def _authorities_steps(node: Node) -> Iterator[Step]:
    if node.stamp.carries_ca:
        yield Step("authorities", Stage.PREPARE, render("steps/authorities.sh", folder=AUTHORITIES), timeout=30)


def _steps(role: Role, config: CoreConfig) -> Iterator[Step]:
    yield Step("kernel", Stage.PREPARE, render("steps/kernel.sh"), timeout=60)
    yield Step("no-swap", Stage.PREPARE, render("steps/no-swap.sh"), timeout=300)
    runtime = render("steps/container-runtime.sh", image_repository=config.image_repository)
    yield Step("container-runtime", Stage.DISCOVER, runtime, timeout=180)
    if config.image_archives:
        namespaces = ("k8s.io", NAMESPACE) if config.containers else ("k8s.io",)
        images = render("steps/images.sh", source=config.image_archives, namespaces=namespaces)
        yield Step("images", Stage.DISCOVER, images, timeout=1800)
    if role is Role.MASTER:  # else each would pull its images under the lock that lets one of them join at a time
        images = render(
            "steps/kubernetes-images.sh", image_repository=config.image_repository, archives=config.image_archives
        )
        yield Step("kubernetes-images", Stage.DISCOVER, images, timeout=1800)
    yield Step("membership", Stage.JOIN, render("steps/membership.sh"), timeout=MEMBERSHIP_LIMIT)
