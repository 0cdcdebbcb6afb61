"""The core's own keys: which drivers, how many machines, how large, and what kubeadm is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, ValidationInfo

from ..contract.components import PackageSource
from ..contract.driver import option
from ..contract.local_paths import readable, resolve
from ..contract.machines import Role
from ..contract.subnets import Subnets, subnets
from ..contract.urls import Url, without_credentials
from ..registry.names import default
from .api_server import AuditPolicy, Oidc, PodSecurity
from .authorities import Authorities
from .kubeadm_documents import Kubeadm, KubeletDocument, KubeProxyDocument
from .kubeadm_patches import PatchFolder
from .manifests import faults
from .node_words import LabelKey, LabelValue, ServerName, Taints
from .ports import FreePort
from .registries import MirrorUrl, Registry
from .script import MAX_DISK_GIB, DataVolume, ScriptConfig, Strict
from .swap import Swap
from .words import (
    ClusterNetwork,
    DnsLabel,
    Domain,
    ImageRepository,
    Login,
    MountPoint,
    NamePart,
    Password,
    ProxyUrl,
    RegistryHost,
    TimeZone,
    UrlOrAbsolutePath,
    Version,
    Word,
)

SUPPORTED_MINORS = ("1.35", "1.36", "1.37")
"""Kubernetes minors that take kubeadm's v1beta4 configuration as it is written here, and that upstream still supports; the
newest last. It is the default: a cluster that is made today is to be supported for as long as possible."""

DEFAULT_CNI = "https://raw.githubusercontent.com/projectcalico/calico/v3.31.6/manifests/calico.yaml"
"""Takes its pod network from kubeadm's, so it fits every `pod_subnet`."""

SERVICE_SUBNET, SERVICE_SUBNET_IPV6 = "10.96.0.0/12", "fd00:10:96::/112"

MAX_SIGNING_KEY_BYTES = 1024 * 1024

MAX_DATA_VOLUMES = 99
"""Their file systems are told apart by labels, in which there is room for two digits."""


def _supported(version: str) -> str:
    if version.rsplit(".", version.count(".") - 1)[0] not in SUPPORTED_MINORS:
        raise ValueError(f"is not a supported Kubernetes version; supported: {', '.join(SUPPORTED_MINORS)}")
    return version


def _signing_key(key: str, info: ValidationInfo) -> str:
    """A key as text or as a URL; a local file is read."""
    if not key or key.startswith("https://") or "-----BEGIN PGP" in key:
        return without_credentials()(key)
    if "://" in key:
        raise ValueError("must be a local file, ASCII-armoured text or an https:// URL: plain http proves nothing")
    path = readable(resolve(Path(key), info))
    data = path.read_bytes()[:MAX_SIGNING_KEY_BYTES]
    if b"-----BEGIN PGP" not in data or not data.isascii():
        raise ValueError(f"{path} is not ASCII-armoured (`gpg --enarmor` makes it so)")
    return data.decode("ascii")


def _manifest(manifest: str, info: ValidationInfo) -> str:
    """A URL as it is; a local file by its absolute path."""
    if manifest.startswith(("https://", "http://")):
        return without_credentials()(manifest)
    if "://" in manifest:
        raise ValueError("must be a file, or a URL (http:// or https://)")
    path = readable(resolve(Path(manifest), info))
    if found := faults(path):
        raise ValueError("; ".join(found))
    return str(path)


def _of_both_families(services: str, info: ValidationInfo) -> str:
    """Whoever wants pods with addresses of both need not think of services."""
    pods = info.data.get("pod_subnet", "")
    return f"{services},{SERVICE_SUBNET_IPV6}" if "," in pods and services == SERVICE_SUBNET else services


SigningKey = Annotated[str, AfterValidator(_signing_key)]
Manifest = Annotated[str, AfterValidator(_manifest)]


class Mirror(Strict):
    """Where one component's packages come from."""

    url: Url
    key: SigningKey = ""
    """Signing key: written as a local file, ASCII-armoured text or an https URL; read as text or URL."""


class CoreConfig(ScriptConfig):
    """Keys that the core reads itself."""

    role_defaults: ClassVar[Mapping[Role, Mapping[str, Any]]] = {
        Role.WORKER: {"cpu": 4, "mem": 8},
        Role.DISCOVERY: {"cpu": 1, "mem": 2},
    }
    """Defaults of roles that want another size than the fields say."""

    name: DnsLabel = option(aliases=["cluster_name"], example="prod", help="Cluster name: unique, a DNS label.")
    masters: int = option(
        3, asked=True, ge=1, le=9, help="How many masters. Odd: an even number survives no more losses than one fewer."
    )
    workers: int = option(3, asked=True, ge=0, le=1000, help="How many workers.")
    pools: dict[DnsLabel, int] = option(
        {},
        example='{gpu: {count: 2, cpu: 16, taints: ["gpu=true:NoSchedule"]}}',
        help="More workers, by the name of their pool: how many, or a section with `count` and keys for them alone. See "
        "[pools](#pools).",
    )
    target: str = option(help="Where machines are created: the name of an installed target driver.")
    os: str = option(help="What the template runs: the name of an installed operating-system driver.")
    discovery: str = option(
        default("discovery"), help="How nodes find each other: the name of an installed discovery driver."
    )
    extensions: list[str] = option([], help="Extension plugins to load, by name.")

    host_prefix: NamePart = option("", help="First part of every host name.")
    master_label: NamePart = option("m-", help="Part of a master's host name between prefix and cluster name.")
    worker_label: NamePart = option("w-", help="Part of a worker's host name between prefix and cluster name.")

    cpu: int = option(2, per_role=True, ge=1, le=256, help="Processors of a machine. A master needs 2.")
    mem: int = option(4, per_role=True, ge=1, le=6144, help="Memory of a machine in GiB. A master needs 2.")
    boot_disk_size: int | None = option(
        None, per_role=True, ge=1, le=MAX_DISK_GIB, help="Size of the boot disk in GiB; unset keeps the template's."
    )
    data_volume: int | None = option(
        None, per_role=True, ge=1, le=MAX_DISK_GIB, help="Size of a second disk in GiB; unset means none."
    )
    data_volume_mount: MountPoint = option("/data", per_role=True, help="Where the second disk is mounted.")
    data_volumes: list[DataVolume] = option(
        [],
        per_role=True,
        max_length=MAX_DATA_VOLUMES,
        example="[{size: 20, mount: /var/lib/etcd}, {size: 100, mount: /data, format: xfs}]",
        help="Further disks, in place of `data_volume`, which is short for one: `size` in GiB, `mount`, and `format`, "
        "`ext4` or `xfs`. See [further disks](boot.md#further-disks).",
    )

    kubernetes_version: Annotated[Version, AfterValidator(_supported)] = option(
        SUPPORTED_MINORS[-1],
        aliases=["k8s_version"],
        help="Kubernetes minor (`1.37`) or exact version (`1.37.1`). A cluster that lives keeps its own until it is "
        "[upgraded](upgrade.md).",
    )
    pod_subnet: ClusterNetwork = option(
        "10.244.0.0/16",
        asked=True,
        help="Network of the pods: one that the site does not use. With an IPv6 one after a comma the cluster is "
        "[dual-stack](dual-stack.md).",
    )
    service_subnet: Annotated[ClusterNetwork, AfterValidator(_of_both_families)] = option(
        SERVICE_SUBNET,
        help=f"Network of the services. In a dual-stack cluster this one has {SERVICE_SUBNET_IPV6} beside it; another one "
        "needs an IPv6 one after a comma.",
    )
    cluster_domain: Domain = option("cluster.local", help="DNS domain of the services.")
    proxy_port: FreePort = option(
        8443,
        help="Port on which every node's own proxy leads to the API servers, on localhost alone. A cluster keeps its own.",
    )
    api_server_sans: list[ServerName] = option(
        [], help="Further names and addresses in the API servers' certificates, such as a load balancer's."
    )
    labels: dict[LabelKey, LabelValue] = option(
        {}, per_role=True, help="Labels of nodes. See [labels and taints](kubeadm.md#labels-and-taints)."
    )
    taints: Taints | None = option(
        None,
        per_role=True,
        help="Taints of nodes, `key=value:Effect` or `key:Effect`. Unset, masters have kubeadm's; `[]`: none, so that "
        "workloads run there.",
    )
    cloud_provider: Literal["external"] | None = option(
        None,
        help="`external`: a cloud controller manager, which is yours to bring, tells the cluster what its nodes are; until "
        "then no workload begins there.",
    )
    oidc: Oidc | None = option(
        None,
        help="An OpenID provider whose tokens the API servers take: `issuer_url`, `client_id`, claims and prefixes, `ca`. "
        "See [logins from elsewhere](kubeadm.md#logins-from-elsewhere).",
    )
    audit_policy: AuditPolicy = option(
        "", help="File with the audit policy of the API servers: what is asked of them, by whom, is written down."
    )
    pod_security: PodSecurity | None = option(
        None,
        help="Which of the Pod Security Standards holds in namespaces that say nothing themselves; not in `kube-system`.",
    )
    encryption_at_rest: bool = option(
        False,
        help="Secrets are encrypted before etcd keeps them, with a key that is made in the cluster's folder. For a cluster "
        "that is made with it. See [Secrets at rest](kubeadm.md#secrets-at-rest).",
    )
    hardened: bool = option(
        False,
        help="What the CIS benchmark asks of control plane and kubelet; needs `encryption_at_rest`. For a cluster that is "
        "made with it. See [a hardened cluster](hardened.md).",
    )
    kubeadm: Kubeadm = option(
        Kubeadm(),
        help="kubeadm's own documents under ours, in kubeadm's names: `cluster` (ClusterConfiguration), `init`, `join`. See "
        "[kubeadm's own documents](kubeadm.md#kubeadms-own-documents).",
    )
    kubeadm_patches: PatchFolder | None = option(
        None,
        help="Folder of patches of kubeadm's, for what no setting reaches: `kube-apiserver0+merge.yaml`, "
        "`kubeletconfiguration.json`. Upgrades apply them again.",
    )
    kubelet: KubeletDocument = option(
        {}, per_role=True, help="What the kubelet is configured with besides, in the names of its KubeletConfiguration."
    )
    swap: Swap = option(
        False,
        per_role=True,
        example="4",
        help="`true`: machines keep the swap that their template brings; a number: and have a swap file of so many GiB on "
        "their boot disk. See [swap](kubeadm.md#swap).",
    )
    kube_proxy: KubeProxyDocument = option(
        {},
        help="`none`, `iptables`, `nftables` or `ipvs`; or what kube-proxy is configured with besides, in the names of its "
        "KubeProxyConfiguration.",
    )
    image_repository: ImageRepository | None = option(
        None, help="Where Kubernetes' own images are pulled from: `registry.example/k8s`."
    )
    registries: dict[RegistryHost, Registry] = option(
        {},
        example='{docker.io: {mirrors: ["https://mirror.example.com"]}}',
        help="Where images come from, by the host that they name: `mirrors` that are asked in its place; `ca`, "
        "`username` and `password` of who is asked. See [registries](registries.md).",
    )
    docker_proxy: MirrorUrl | None = option(
        None, help="Mirror that is asked in Docker Hub's place: short for `registries: {docker.io: {mirrors: [URL]}}`."
    )
    trusted_ca: Authorities = option(
        "",
        example="site-ca.pem",
        help="PEM file, or text, of the site's own certificate authorities: every machine trusts them before it fetches.",
    )
    seed_manifests: list[Manifest] = option(
        [DEFAULT_CNI],
        help="Manifests applied once, after initialisation: files, or URLs, which everybody may see: no secrets in them. "
        "Default: a network plugin. `[]`: none.",
    )

    ntp_servers: list[Word] = option(
        [], per_role=True, example="[10.0.0.1]", help="Time servers; unset keeps the template's."
    )
    timezone: TimeZone | None = option(None, per_role=True, help="Time zone, such as `Europe/Berlin`.")
    http_proxy: ProxyUrl | None = option(
        None, per_role=True, example="http://proxy.example.com:3128", help="Proxy for nodes."
    )
    https_proxy: ProxyUrl | None = option(None, per_role=True, help="Proxy for nodes, for https.")
    proxy_username: Login | None = option(None, per_role=True, help="Name that nodes log in to these proxies with.")
    proxy_password: Password | None = option(None, per_role=True, help="The password for that.")
    no_proxy: list[Word] = option([], per_role=True, help="What nodes reach directly, besides the cluster itself.")
    package_repositories: dict[PackageSource, Mirror] = option(
        {},
        help="Mirrors of package repositories, `{url, key}` each, by component: "
        f"{', '.join(f'`{name}`' for name in get_args(PackageSource))}.",
    )
    image_archives: UrlOrAbsolutePath | None = option(
        None, help="Folder on the template, or URL, of OCI archives to import into the container runtime."
    )

    @property
    def further_disks(self) -> list[DataVolume]:
        """What a machine is made with besides its boot disk, however that was written."""
        if self.data_volume is None:
            return self.data_volumes
        return [DataVolume(size=self.data_volume, mount=self.data_volume_mount)]

    @property
    def counts(self) -> Mapping[Role, int]:
        """How many masters, and how many workers of each pool."""
        pools = {Role.of_pool(name): count for name, count in self.pools.items()}
        return {Role.MASTER: self.masters, Role.WORKER: self.workers, **pools}

    def label(self, role: Role) -> str:
        """What stands in host names between prefix and cluster name."""
        return {Role.MASTER: self.master_label, Role.WORKER: self.worker_label}.get(role, f"{role.pool}-")

    @property
    def cluster_networks(self) -> Mapping[str, Subnets]:
        """Networks that only exist inside of the cluster, by key."""
        return {"pod_subnet": subnets(self.pod_subnet), "service_subnet": subnets(self.service_subnet)}
