"""What must hold between keys: host names, counts, sizes, networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .core import CoreConfig
from .problems import Place, Problems

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LABEL_LENGTH = 63
"""RFC 1035."""

_NODE_NETWORK = 24
"""kube-controller-manager gives every node a /24 of the pods' network."""
_SERVICE_NETWORK = range(12, 29)
"""kubeadm refuses a wider network, and a narrower one: fewer than 10 addresses are usable."""
_POD_NETWORK = range(8, _NODE_NETWORK + 1)
"""kubeadm refuses a network that holds no node's, or more than 2^16 of them."""

PlaceOf = Callable[[str], Place | None]


def check(core: CoreConfig, machine: bool, place: PlaceOf, problems: Problems) -> None:
    """Add what is wrong between valid keys. `machine`: discovery needs a machine. `place` says where a key was given."""
    _check_names(core, machine, place, problems)
    _check_networks(core, place, problems)
    for name in {name for name in core.extensions if core.extensions.count(name) > 1}:
        problems.add(place("extensions"), f"extensions lists {name} twice")


def warnings(core: CoreConfig) -> Iterator[str]:
    """What stands in nobody's way but ought to be known; `core` is the masters'."""
    if core.masters % 2 == 0:
        yield (
            f"{core.masters} masters survive no more losses than {core.masters - 1}: etcd's quorum is more than half of "
            "them; use an odd number"
        )
    for key, least, unit in (("cpu", 2, "processors"), ("mem", 2, "GiB of memory")):
        if getattr(core, key) < least:
            yield f"kubeadm refuses a master with less than {least} {unit}; masters have {key}: {least - 1}"
    blocks = 2 ** (_NODE_NETWORK - core.pod_subnet.prefixlen) if core.pod_subnet.prefixlen <= _NODE_NETWORK else 0
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
    for key, network, lengths in (
        ("service_subnet", core.service_subnet, _SERVICE_NETWORK),
        ("pod_subnet", core.pod_subnet, _POD_NETWORK),
    ):
        if network.prefixlen not in lengths:
            problems.add(place(key), f"{key} {network} must be between a /{lengths[0]} and a /{lengths[-1]}")
    if core.pod_subnet.overlaps(core.service_subnet):
        problems.add(
            place("service_subnet") or place("pod_subnet"),
            f"pod_subnet {core.pod_subnet} and service_subnet {core.service_subnet} overlap",
        )
