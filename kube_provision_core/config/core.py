"""The core's own keys: which drivers, how many machines, how large, and what kubeadm is told."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ValidationInfo

from ..driver import option
from ..local import readable, resolve
from ..model import Role
from .script import ScriptConfig, Strict
from .words import DnsLabel, Domain, MountPoint, NamePart, TimeZone, Url, UrlOrAbsolutePath, Version, Word

SUPPORTED_MINORS = ("1.35", "1.36", "1.37")
"""Kubernetes minors that take kubeadm's v1beta4 configuration as it is written here, and that upstream still supports."""

DEFAULT_CNI = "https://raw.githubusercontent.com/projectcalico/calico/v3.31.6/manifests/calico.yaml"
"""Takes its pod network from kubeadm's, so it fits every `pod_subnet`."""

MAX_SIGNING_KEY_BYTES = 1024 * 1024


def _supported(version: str) -> str:
    if version.rsplit(".", version.count(".") - 1)[0] not in SUPPORTED_MINORS:
        raise ValueError(f"is not a supported Kubernetes version; supported: {', '.join(SUPPORTED_MINORS)}")
    return version


def _signing_key(key: str, info: ValidationInfo) -> str:
    """A key as text or as a URL; a local file is read."""
    if not key or key.startswith("https://") or "-----BEGIN PGP" in key:
        return key
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
        return manifest
    return str(readable(resolve(Path(manifest), info)))


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

    name: DnsLabel = option(aliases=["cluster_name"], help="Cluster name: unique, a DNS label.")
    masters: int = option(
        3, ge=1, le=9, help="How many masters. Odd: an even number survives no more losses than one fewer."
    )
    workers: int = option(3, ge=0, le=1000, help="How many workers.")
    target: str = option(help="Where machines are created: the name of an installed target driver.")
    os: str = option(help="What the template runs: the name of an installed operating-system driver.")
    discovery: str = option("consul", help="How nodes find each other: the name of an installed discovery driver.")
    extensions: list[str] = option([], help="Extension plugins to load, by name.")

    host_prefix: NamePart = option("", help="First part of every host name.")
    master_label: NamePart = option("m-", help="Part of a master's host name between prefix and cluster name.")
    worker_label: NamePart = option("w-", help="Part of a worker's host name between prefix and cluster name.")

    cpu: int = option(2, per_role=True, ge=1, le=256, help="Processors of a machine. A master needs 2.")
    mem: int = option(4, per_role=True, ge=1, le=6144, help="Memory of a machine in GiB. A master needs 2.")
    boot_disk_size: int | None = option(
        None, per_role=True, ge=1, le=65536, help="Size of the boot disk in GiB; unset keeps the template's."
    )
    data_volume: int | None = option(
        None, per_role=True, ge=1, le=65536, help="Size of a second disk in GiB; unset means none."
    )
    data_volume_mount: MountPoint = option("/data", per_role=True, help="Where the second disk is mounted.")

    kubernetes_version: Annotated[Version, AfterValidator(_supported)] = option(
        "1.36", aliases=["k8s_version"], help="Kubernetes minor (`1.36`) or exact version (`1.36.4`)."
    )
    pod_subnet: IPv4Network = option(IPv4Network("10.244.0.0/16"), help="Network of the pods.")
    service_subnet: IPv4Network = option(IPv4Network("10.96.0.0/12"), help="Network of the services.")
    cluster_domain: Domain = option("cluster.local", help="DNS domain of the services.")
    image_repository: Word | None = option(None, help="Registry that Kubernetes' own images are pulled from.")
    docker_proxy: Url | None = option(None, help="Mirror that the container runtime asks before Docker Hub.")
    seed_manifests: list[Manifest] = option(
        [DEFAULT_CNI],
        help="Manifests applied once, after initialisation: files or URLs. Default: a network plugin. `[]`: none.",
    )

    ntp_servers: list[Word] = option([], per_role=True, help="Time servers; unset keeps the template's.")
    timezone: TimeZone | None = option(None, per_role=True, help="Time zone, such as `Europe/Berlin`.")
    http_proxy: Url | None = option(None, per_role=True, help="Proxy for nodes.")
    https_proxy: Url | None = option(None, per_role=True, help="Proxy for nodes, for https.")
    no_proxy: list[Word] = option([], per_role=True, help="What nodes reach directly, besides the cluster itself.")
    package_repositories: dict[Literal["kubernetes", "container-runtime", "consul", "os"], Mirror] = option(
        {},
        help="Mirrors of package repositories, `{url, key}` each, by component: `kubernetes`, `container-runtime`, "
        "`consul`, `os`.",
    )
    image_archives: UrlOrAbsolutePath | None = option(
        None, help="Folder on the template, or URL, of OCI archives to import into the container runtime."
    )
