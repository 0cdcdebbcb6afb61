"""What all parts of the driver work with."""

from __future__ import annotations

from dataclasses import dataclass

from .cloning import Cloner
from .host import Host
from .machines import Machines
from .power import PowerSwitch
from .vmrun import Limits, Vmrun


@dataclass(frozen=True)
class Vmware:
    host: Host
    limits: Limits
    vmrun: Vmrun
    machines: Machines
    cloner: Cloner
    power: PowerSwitch
