"""What a look at a virtual machine shows, read from its properties."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kube_provision_core import GuestInfo, Power

from .. import stamp
from ..addresses import GuestNetwork, GuestNic
from ..inventory import unescape
from .identity import STAMP, TEMPLATE, is_copy, option_path, option_text, parent_of
from .read import Found

POWER = "runtime.powerState"

POWERS = {"poweredOn": Power.ON, "poweredOff": Power.OFF, "suspended": Power.SUSPENDED}


STATUS, SCRUBBED, TASK = map(option_path, (stamp.STATUS, stamp.SCRUBBED, stamp.TASK))
USER_DATA = option_path(GuestInfo.USER_DATA)
BOOT_TIME = "runtime.bootTime"
CHANGING = [POWER, BOOT_TIME, STATUS, SCRUBBED, TASK]
GUEST = ["guest.net", "guest.ipAddress", "guest.toolsRunningStatus"]
ADDRESS, CARD, DOMAIN = map(option_path, (stamp.ADDRESS, stamp.CARD, stamp.DOMAIN))


@dataclass(frozen=True)
class Sighting:
    """What a look at a virtual machine showed."""

    id: str
    name: str
    folder: str | None
    complete: bool
    """False while vCenter is still making it: nothing but its name is known then."""
    stamp: str | None
    """None also of a template: one that somebody has made of a machine bears its stamp, and is none of ours."""
    copy: bool = False
    """The stamp was written for another machine, which this one is a copy of."""
    power: Power = Power.OFF
    on_since: float | None = None
    """In seconds since the epoch, by vCenter's clock."""
    status: str | None = None
    marked: bool = False
    """A run has emptied its user-data for good: what a guest empties itself may come back with the next power-on."""
    emptied: bool = False
    """Its user-data is empty; looked at only where somebody asks for it, and of those that are marked: else it is long."""
    told: GuestNetwork = field(default_factory=GuestNetwork)
    """By guest tools."""
    expected: str | None = None
    """Its static address."""
    card: str = ""
    """The hardware address of its card in the nodes' network, where it has several."""
    domain: str = ""
    """The failure domain that it was made in."""
    task: str = ""
    """The digest of the task that waits."""

    @property
    def scrubbed(self) -> bool:
        """Whoever can write guestinfo may have put something there since."""
        return self.marked and self.emptied


def sighting(one: Found) -> Sighting:
    values = one.values
    identity = Sighting(
        id=one.id,
        name=unescape(values.get("name", "")),
        folder=parent_of(values),
        complete=TEMPLATE in values,
        stamp=None if values.get(TEMPLATE) else option_text(values.get(STAMP)),
        copy=is_copy(values),
        expected=option_text(values.get(ADDRESS)),
        card=option_text(values.get(CARD)) or "",
        domain=option_text(values.get(DOMAIN)) or "",
    )
    return seen_again(identity, one)


def seen_again(before: Sighting, one: Found) -> Sighting:
    values = one.values
    return replace(
        before,
        power=POWERS.get(str(values.get(POWER)), Power.OFF),
        on_since=values[BOOT_TIME].timestamp() if BOOT_TIME in values else None,
        status=option_text(values.get(STATUS)),
        task=stamp.task(option_text(values.get(TASK))),
        marked=option_text(values.get(SCRUBBED)) is not None,
        emptied=GuestInfo.is_scrubbed(option_text(values.get(USER_DATA))),
        told=GuestNetwork(
            tuple(_nics(values.get("guest.net") or ())),
            values.get("guest.ipAddress"),
            values.get("guest.toolsRunningStatus") == "guestToolsRunning",
        ),
    )


def _nics(nets: Collection[Any]) -> Iterator[GuestNic]:
    for net in nets:
        config = net.ipConfig.ipAddress if net.ipConfig else ()
        detailed = [entry.ipAddress for entry in config if entry.state in (None, "preferred", "unknown")]
        yield GuestNic(
            net.deviceConfigId, tuple(detailed or net.ipAddress), bool(net.connected), str(net.macAddress or "").lower()
        )
