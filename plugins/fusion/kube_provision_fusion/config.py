"""The driver's keys of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from kube_provision_core import DriverConfig, LocalPath, NetworkCard, Networks, option, raise_faults

_NETWORK = re.compile(r"vmnet(0|[1-9][0-9]{0,2})")
_KINDS = {"bridged": 0, "hostonly": 1, "nat": 8}
"""Numbers of the networks that VMware has from the start."""

MOST_CARDS = 10
"""What a machine of VMware's takes."""


def network_number(name: str) -> int | None:
    """Of what a card is connected to: one of three kinds, or a network by its number. None for what is neither."""
    named = _NETWORK.fullmatch(name)
    return int(named[1]) if named else _KINDS.get(name)


class CloneType(StrEnum):
    LINKED = "linked"
    FULL = "full"


def _machine_file(path: Path) -> Path:
    if path.suffix.lower() == ".vmwarevm":
        raise ValueError(f"is a bundle: name the .vmx file in it, such as {path / path.with_suffix('.vmx').name}")
    if path.suffix.lower() != ".vmx":
        raise ValueError("must name a .vmx file")
    return path


def _of_vmware(cards: list[NetworkCard]) -> list[NetworkCard]:
    raise_faults(((number, key), text) for number, card in enumerate(cards) for key, text in _faults(card, cards[:number]))
    return cards


def _faults(card: NetworkCard, before: Sequence[NetworkCard]) -> Iterator[tuple[str, str]]:
    """`before`: those that stand before it. One of its very name is told of without us."""
    network = network_number(card.name)
    same = next((it.name for it in before if it.name != card.name and network_number(it.name) == network), None)
    if network is not None and same:
        yield "name", f"{card.name} and {same} are one network, vmnet{network}: keep one of them"
    if network is None:
        yield "name", "must be nat, bridged, hostonly, or the name of a network of VMware's, such as vmnet2"
    if card.role == "node" and card.static_ip:
        yield "static_ip", "addresses in the nodes' network come by DHCP: remove it"


class FusionConfig(DriverConfig):
    """Which machine is cloned, and where the clones lie. Paths are those of the computer that runs this program."""

    template: Annotated[LocalPath, AfterValidator(_machine_file)] = option(
        per_role=True,
        example="~/Virtual Machines.localized/ubuntu.vmwarevm/ubuntu.vmx",
        help="The .vmx file of the machine that is cloned. It must be shut down and not encrypted.",
    )
    bake_from: Annotated[LocalPath, AfterValidator(_machine_file)] | None = option(
        None, help="The .vmx file of the machine that `bake` makes the template from; shut down and not encrypted."
    )
    vm_dir: LocalPath = option(
        example="~/Virtual Machines.localized", help="Folder in which each machine gets a folder of its own. It must exist."
    )
    snapshot: Annotated[str, StringConstraints(min_length=1)] | None = option(
        None,
        per_role=True,
        help="Snapshot of the template to clone; unset: linked clones start from one that is taken once per state of the "
        "template, full ones from its current state.",
    )
    clone_type: CloneType = option(
        CloneType.LINKED,
        per_role=True,
        help="`linked`: fast, small, and bound to the template. `full`: independent, and the boot disk can grow.",
    )
    networks: Annotated[Networks, Field(max_length=MOST_CARDS), AfterValidator(_of_vmware)] | None = option(
        None,
        per_role=True,
        shown=False,
        example="[{name: nat, role: node}, {name: vmnet2, role: storage, static_ip: {addresses: [10.9.0.11/24]}}]",
        help="Networks of machines with several cards, in their order, in place of the template's: `nat`, `bridged`, "
        "`hostonly`, or one of VMware's own such as `vmnet2`. In that of the role `node` addresses come by DHCP.",
    )
    vmrun: LocalPath | None = option(
        None, help="The program vmrun; unset: VMware Fusion's on macOS, VMware Workstation's on Linux."
    )
