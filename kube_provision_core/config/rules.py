"""What must hold between keys: host names, counts, sizes, networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..kubeadm_limits import MASTER_MEMORY_MIB, MASTER_PROCESSORS, NODE_NETWORK, pod_network_fault, service_network_fault
from .core import CoreConfig
from .problems import Place, Problems

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LABEL_LENGTH = 63
"""RFC 1035."""

PlaceOf = Callable[[str], Place | None]


def check(core: CoreConfig, machine: bool, place: PlaceOf, problems: Problems) -> None:
    """Add what is wrong between valid keys. `machine`: discovery needs a machine. `place` says where a key was given."""
    _check_names(core, machine, place, problems)
    _check_networks(core, place, problems)
    for name in {name for name in core.extensions if core.extensions.count(name) > 1}:
        problems.add(place("extensions"), f"extensions lists {name} twice")


def check_masters(masters: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    """Add what makes kubeadm refuse every master: it is never told to ignore that. `place`: as for a master."""
    if masters.cpu < MASTER_PROCESSORS:
        problems.add(place("cpu"), f"cpu: masters need at least {MASTER_PROCESSORS}; kubeadm refuses less")
    if masters.mem * 1024 < MASTER_MEMORY_MIB:
        problems.add(place("mem"), f"mem: masters need at least 2; kubeadm refuses less than {MASTER_MEMORY_MIB} MiB")


def warnings(core: CoreConfig) -> Iterator[str]:
    """What stands in nobody's way but ought to be known; `core` is the masters'."""
    if core.masters % 2 == 0:
        yield (
            f"{core.masters} masters survive no more losses than {core.masters - 1}: etcd's quorum is more than half of "
            "them; use an odd number"
        )
    blocks = 2 ** (NODE_NETWORK - core.pod_subnet.prefixlen)
    if core.masters + core.workers > blocks:
        yield f"pod_subnet {core.pod_subnet} has networks for {blocks} nodes; {core.masters + core.workers} are wanted"


def _check_names(core: CoreConfig, machine: bool, place: PlaceOf, problems: Problems) -> None:
    if core.master_label == core.worker_label:
        problems.add(
            place("worker_label") or place("master_label"),
            f"master_label and worker_label are both {core.master_label!r}: machines would bear the same names",
        )
    names = {"master": f"{core.master_label}{core.name}-{core.masters}"}
    if core.workers:
        names["worker"] = f"{core.worker_label}{core.name}-{core.workers}"
    if machine:
        names["discovery machine"] = f"{core.discovery}-{core.name}"
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


def _check_networks(core: CoreConfig, place: PlaceOf, problems: Problems) -> None:
    if fault := service_network_fault(core.service_subnet):
        problems.add(place("service_subnet"), f"service_subnet {core.service_subnet} {fault}")
    if fault := pod_network_fault(core.pod_subnet):
        problems.add(place("pod_subnet"), f"pod_subnet {core.pod_subnet} {fault}")
    if core.pod_subnet.overlaps(core.service_subnet):
        problems.add(
            place("service_subnet") or place("pod_subnet"),
            f"pod_subnet {core.pod_subnet} and service_subnet {core.service_subnet} overlap",
        )
