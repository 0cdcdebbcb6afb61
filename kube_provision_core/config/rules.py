"""What must hold between keys: host names, counts, sizes, networks, what may be named once."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from ..contract.kubeadm_limits import (
    MASTER_MEMORY_MIB,
    MASTER_PROCESSORS,
    NODE_NETWORKS,
    pod_network_fault,
    service_network_fault,
)
from ..contract.machines import Role
from ..contract.node_network import network_fault
from ..contract.subnets import Subnets
from .api_server import ARGUMENTS
from .core import DEFAULT_CNI, CoreConfig
from .problems import Place, Problems
from .registries import DOCKER_HUB, faults
from .swap import ROOM_GIB, SYSTEM_GIB, file_gib
from .values import Way

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LABEL_LENGTH = 63
"""RFC 1035."""

_OWN_PARAMETERS = re.compile(r"net[./]|kernel[./](shm|msg|sem)|fs[./]mqueue[./]")
"""Those that the kernel keeps for each namespace of networks and of messages, as a machine that shares it has its own."""

_NO_IPV6 = re.compile(r"net[./]ipv6[./]conf[./](all|default)[./]disable_ipv6")


class PlaceOf(Protocol):
    def __call__(self, key: str, *, role: Role | None = None, way: Way = ()) -> Place | None:
        """Where a key, of a role, or what stands at `way` inside its value, was given; None for a default."""


def check(core: CoreConfig, machines: int, nodes: IPv4Network | None, place: PlaceOf, problems: Problems) -> None:
    """Add what is wrong between valid keys.

    `machines`: how many discovery needs. `nodes`: the network that the target gives them. `place`: where a key was given.
    """
    _check_names(core, machines, place, problems)
    _check_networks(core, nodes, place, problems)
    _check_registries(core, place, problems)
    _check_arguments(core, place, problems)
    if core.hardened and not core.encryption_at_rest:
        problems.add(
            place("hardened"), "hardened: asks for Secrets that are encrypted; set encryption_at_rest: true as well"
        )
    if core.kube_proxy.get("mode") == "none" and DEFAULT_CNI in core.seed_manifests:
        problems.add(
            place("kube_proxy"),
            "kube_proxy: none leaves services to the network plugin, and the default one serves none; name one in "
            "seed_manifests that does, or [] to bring it later",
        )
    if _is_dual_stack(core) and DEFAULT_CNI in core.seed_manifests:
        problems.add(
            place("pod_subnet") or place("service_subnet"),
            "pod_subnet: a dual-stack cluster needs a network plugin that gives pods both addresses, and the default one "
            "gives IPv4 ones alone; name one in seed_manifests that does, or [] to bring it later",
        )
    for name in {name for name in core.extensions if core.extensions.count(name) > 1}:
        problems.add(place("extensions"), f"extensions lists {name} twice")


def check_masters(masters: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    """Add what makes kubeadm refuse every master: it is never told to ignore that. `place`: as for a master."""
    if masters.cpu < MASTER_PROCESSORS:
        problems.add(place("cpu"), f"cpu: masters need at least {MASTER_PROCESSORS}; kubeadm refuses less")
    if masters.mem * 1024 < MASTER_MEMORY_MIB:
        problems.add(place("mem"), f"mem: masters need at least 2; kubeadm refuses less than {MASTER_MEMORY_MIB} MiB")


def check_role(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    """Add what is wrong between the keys of one role. `place`: as for a machine of it."""
    _check_proxies(core, place, problems)
    if core.data_volume and core.data_volumes:
        (short,) = core.further_disks
        problems.add(
            place("data_volumes"),
            f"data_volumes: data_volume is given for the same machines ({place('data_volume')}), and is short for "
            f"{{size: {short.size}, mount: {short.mount}}}: keep one of them, with all disks in it",
        )
    for what, named in _named_once(core).items():
        _check_named_once(what, named, place, problems)
    for key, way, host in _asked_before_the_cluster(core):
        if fault := _host_fault(host, core.cluster_networks):
            problems.add(place(key, way=way), f"{key}: {fault}")
    for name in _without_ipv6(core):
        problems.add(place("sysctls", way=(name,)), f"sysctls.{name} takes away the IPv6 that a dual-stack cluster needs")


def check_swap(by_role: Mapping[Role, CoreConfig], place: PlaceOf, problems: Problems) -> None:
    """Add files that the boot disk cannot hold, and what a role without a kubelet says of it for itself alone."""
    for role, core in by_role.items():
        here = place("swap", role=role)
        if role is Role.DISCOVERY:
            if here != place("swap"):
                problems.add(
                    here, "swap: discovery's machine has no kubelet, and keeps its template's swap; leave it out here"
                )
        elif core.boot_disk_size and (size := file_gib(core.swap)) and core.boot_disk_size < size + SYSTEM_GIB + ROOM_GIB:
            needed = f"a system needs {SYSTEM_GIB + ROOM_GIB} besides, and boot_disk_size is {core.boot_disk_size}"
            problems.add(here, f"swap: a file of {size} GiB does not fit on the boot disk: {needed}")


def check_shared_kernel(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    """Add what would be set for the host of such machines, and so for all of them. `place`: as for a machine of the role."""
    theirs = f"machines of target {core.target} share with their host: set"
    conntrack = core.kube_proxy.get("conntrack")
    for key in ("maxPerCore", "min"):
        if isinstance(conntrack, dict) and key in conntrack:
            place_of_it = place("kube_proxy", way=("conntrack", key))
            problems.add(place_of_it, f"kube_proxy.conntrack.{key} belongs to the kernel, which {theirs} it there")
    for name in core.sysctls:
        if not _OWN_PARAMETERS.match(name):
            problems.add(place("sysctls", way=(name,)), f"sysctls.{name} belongs to the kernel, which {theirs} it there")
    if core.swap:
        problems.add(place("swap"), f"swap belongs to the kernel, which {theirs} it up there")
    if core.ntp_servers:
        problems.add(place("ntp_servers"), f"ntp_servers: the clock belongs to the kernel, which {theirs} its servers there")


def _check_proxies(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    if (core.proxy_username is None) != (core.proxy_password is None):
        problems.add(
            place("proxy_username") or place("proxy_password"),
            "proxy_username and proxy_password belong together: give both",
        )
    elif core.proxy_username and not (core.http_proxy or core.https_proxy):
        problems.add(place("proxy_username"), "proxy_username is given, and neither http_proxy nor https_proxy is")


Named = tuple[str, Way, str]
"""A key, the way to a name inside its value, and the name."""


def _named_once(core: CoreConfig) -> dict[str, list[Named]]:
    """By what they are names of. The data volume comes first, since it alone may stand where nobody has written it."""
    volumes = list(enumerate(core.volumes))
    mount_points: list[Named] = [
        *([("data_volume_mount", (), core.data_volume_mount)] if core.data_volume else []),
        *(("mounts", (path,), path) for path in core.mounts),
        *(("volumes", (number, "mount"), volume.mount) for number, volume in volumes),
        *(("data_volumes", (number, "mount"), volume.mount) for number, volume in enumerate(core.data_volumes)),
    ]
    return {
        "mount point": [(key, way, posixpath.normpath(path)) for key, way, path in mount_points],
        "device": [("volumes", (number, "dev"), posixpath.normpath(volume.dev)) for number, volume in volumes],
        "user": [("users", (number, "name"), user.name) for number, user in enumerate(core.users)],
        "service": [("containers", (number, "service"), it.service) for number, it in enumerate(core.containers)],
    }


def _check_named_once(what: str, named: Iterable[Named], place: PlaceOf, problems: Problems) -> None:
    seen: set[str] = set()
    for key, way, name in named:
        if name in seen:
            problems.add(place(key, way=way), f"{key}: the {what} {name} is named twice")
        seen.add(name)


def _asked_before_the_cluster(core: CoreConfig) -> Iterator[Named]:
    """Hosts that a machine needs before there are pods and services. Not mirrors of registries, which may come later."""
    urls: dict[tuple[str, Way], str | None] = {
        ("http_proxy", ()): core.http_proxy,
        ("https_proxy", ()): core.https_proxy,
        ("image_archives", ()): core.image_archives,
        **{("package_repositories", (name, "url")): mirror.url for name, mirror in core.package_repositories.items()},
    }
    yield from ((key, way, urlsplit(url).hostname or "") for (key, way), url in urls.items() if url)
    yield from (("ntp_servers", (number,), server) for number, server in enumerate(core.ntp_servers))


def _is_dual_stack(core: CoreConfig) -> bool:
    return any(len(networks) > 1 for networks in core.cluster_networks.values())


def _without_ipv6(core: CoreConfig) -> Iterator[str]:
    """Kernel parameters by which nodes of a dual-stack cluster would have no IPv6 address."""
    if _is_dual_stack(core):
        yield from (name for name, value in core.sysctls.items() if _NO_IPV6.fullmatch(name) and value.strip() != "0")


def _host_fault(host: str, taken: Mapping[str, Subnets]) -> str:
    try:
        return network_fault(ip_address(host), taken)
    except ValueError:  # a name
        return ""


def warnings(core: CoreConfig) -> Iterator[str]:
    """What stands in nobody's way but ought to be known; `core` is the document's own level."""
    if core.masters % 2 == 0:
        yield (
            f"{core.masters} masters survive no more losses than {core.masters - 1}: etcd's quorum is more than half of "
            "them; use an odd number"
        )
    nodes = sum(core.counts.values())
    for network in core.cluster_networks["pod_subnet"]:
        blocks = 2 ** (NODE_NETWORKS[network.version] - network.prefixlen)
        if nodes > blocks:
            yield f"pod_subnet {network} has networks for {blocks} nodes; {nodes} are wanted"


def swap_warnings(by_role: Mapping[Role, CoreConfig]) -> Iterator[str]:
    """`by_role`: of roles whose machines have a kernel of their own."""
    idle = [role for role, core in by_role.items() if "memorySwap" in core.kubelet and not core.swap]
    if names := ", ".join(_ROLES.get(role, f"pools.{role.pool}") for role in idle if role is not Role.DISCOVERY):
        yield f"kubelet.memorySwap changes nothing for {names}: their machines have no swap; give them some with swap"


_ROLES = {Role.MASTER: "masters", Role.WORKER: "workers"}


def _check_names(core: CoreConfig, machines: int, place: PlaceOf, problems: Problems) -> None:
    if core.master_label == core.worker_label:
        problems.add(
            place("worker_label") or place("master_label"),
            f"master_label and worker_label are both {core.master_label!r}: machines would bear the same names",
        )
    for pool in core.pools:
        role = Role.of_pool(pool)
        for key in ("master_label", "worker_label"):
            if core.label(role) == getattr(core, key):
                same = f"machines would bear the same names as those with {key} {pool}-"
                problems.add(place("workers", role=role), f"pools.{pool}: {same}; rename it")
    called = {Role.MASTER: "master", Role.WORKER: "worker"}
    names = {
        called.get(role, f"worker of pool {role.pool}"): f"{core.label(role)}{core.name}-{count}"
        for role, count in core.counts.items()
        if count
    }
    for key in ("master_label", "worker_label"):
        if machines > 1 and getattr(core, key) == f"{core.discovery}-":
            problems.add(place(key), f"{key} {core.discovery}-: discovery has several machines, which bear the same names")
    if machines:
        names["discovery machine"] = f"{core.discovery}-{core.name}{f'-{machines}' if machines > 1 else ''}"
    for what, name in names.items():
        host = core.host_prefix + name
        if len(host) > _LABEL_LENGTH:
            problems.add(
                place("name"),
                f"the {what}'s host name {host} is {len(host)} characters long, {_LABEL_LENGTH} are allowed; shorten name, "
                "host_prefix or the label",
            )
        elif not _LABEL.fullmatch(host):
            problems.add(
                place("host_prefix") or place("name"),
                f"the {what}'s host name {host} is no DNS label: lower-case letters, digits and inner hyphens",
            )


def _check_registries(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    if core.docker_proxy and DOCKER_HUB in core.registries:
        problems.add(place("docker_proxy"), f"docker_proxy is registries.{DOCKER_HUB}.mirrors, which is given too; keep one")
        return
    for name, fault in faults(core.registries, core.docker_proxy):
        problems.add(place("registries", way=(name,)), f"registries.{name}: {fault}")


def _check_arguments(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    """Those of API servers, which a short key and the document may both say."""
    server: Any = core.kubeadm.cluster.get("apiServer", {})
    for number, argument in enumerate(server.get("extraArgs", ())):
        key = next((key for key in ARGUMENTS.get(argument["name"], ()) if getattr(core, key)), "")
        if key:
            where = place("kubeadm", way=("cluster", "apiServer", "extraArgs", number))
            problems.add(
                where, f"kubeadm.cluster.apiServer.extraArgs[{number}]: {argument['name']} and the key {key}; keep one"
            )


def _check_networks(core: CoreConfig, nodes: IPv4Network | None, place: PlaceOf, problems: Problems) -> None:
    faults = {"pod_subnet": pod_network_fault, "service_subnet": service_network_fault}
    for key, networks in core.cluster_networks.items():
        for network in networks:
            if fault := faults[key](network):
                problems.add(place(key), f"{key} {network} {fault}")
            if nodes and nodes.overlaps(network):
                problems.add(place(key), f"{key} {network} overlaps {nodes}, the network of target {core.target}'s machines")
    pods, services = core.cluster_networks.values()
    for one, other in zip(pods, services, strict=False):
        if one.overlaps(other):
            both = f"pod_subnet {one} and service_subnet {other} overlap"
            problems.add(place("service_subnet") or place("pod_subnet"), both)
    if len(pods) != len(services):
        has, lacks = ("pod_subnet", "service_subnet") if len(pods) > len(services) else ("service_subnet", "pod_subnet")
        problems.add(
            place(has),
            f"{has} has an IPv6 network and {lacks} has none: give {lacks} one, after a comma, or take it away here",
        )
