"""The core's own keys: which drivers, how many machines, how large, and what kubeadm is told."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from ..driver import option
from .script import ScriptConfig, Strict

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
NamePart = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{2}(\.[0-9]{1,2})?$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]

DEFAULT_CNI = "https://raw.githubusercontent.com/projectcalico/calico/v3.31.2/manifests/calico.yaml"
"""Takes its pod network from kubeadm's, so it fits every `pod_subnet`."""


class Mirror(Strict):
    """Where one component's packages come from."""

    url: Url
    key: str = ""
    """Signing key: a local file, ASCII-armoured text, or an https URL."""


class CoreConfig(ScriptConfig):
    """Keys that the core reads itself."""

    name: DnsLabel = option(help="Cluster name: unique, a DNS label.")
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
        None, per_role=True, ge=1, help="Size of the boot disk in GiB; unset keeps the template's."
    )
    data_volume: int | None = option(None, per_role=True, ge=1, help="Size of a second disk in GiB; unset means none.")
    data_volume_mount: str = option("/data", per_role=True, pattern=r"^/", help="Where the second disk is mounted.")

    kubernetes_version: Version = option(
        "1.36", aliases=["k8s_version"], help="Kubernetes minor (`1.36`) or exact version (`1.36.4`)."
    )
    pod_subnet: IPv4Network = option(IPv4Network("10.244.0.0/16"), help="Network of the pods.")
    service_subnet: IPv4Network = option(IPv4Network("10.96.0.0/12"), help="Network of the services.")
    cluster_domain: str = option("cluster.local", help="DNS domain of the services.")
    image_repository: str | None = option(None, help="Registry that Kubernetes' own images are pulled from.")
    docker_proxy: Url | None = option(None, help="Mirror that the container runtime asks before Docker Hub.")
    seed_manifests: list[str] = option(
        [DEFAULT_CNI],
        help="Manifests applied once, after initialisation: files or URLs. Default: a network plugin. `[]`: none.",
    )

    ntp_servers: list[str] = option([], per_role=True, help="Time servers; unset keeps the template's.")
    timezone: str | None = option(None, per_role=True, help="Time zone, such as `Europe/Berlin`.")
    http_proxy: Url | None = option(None, per_role=True, help="Proxy for nodes.")
    https_proxy: Url | None = option(None, per_role=True, help="Proxy for nodes, for https.")
    no_proxy: list[str] = option([], per_role=True, help="What nodes reach directly, besides the cluster itself.")
    package_repositories: dict[str, Mirror] = option(
        {}, help="Mirrors by component: `kubernetes`, `container-runtime`, `consul`, `os`."
    )
    image_archives: str | Path | None = option(
        None, help="Folder on the template, or URL, of OCI archives to import into the container runtime."
    )
