"""What every target driver promises, as checks."""

from __future__ import annotations

from .addresses import AddressChecks
from .boot_data import BootDataChecks
from .creation import CreationChecks
from .destruction import DestructionChecks
from .failures import FailureChecks
from .listing import ListingChecks
from .machine_parts import MachinePartChecks
from .ownership import OwnershipChecks
from .preparation import PreparationChecks
from .scrubbing import ScrubbingChecks
from .secrecy import SecrecyChecks
from .shape import ShapeChecks
from .stamping import StampingChecks
from .starting import StartingChecks
from .statuses import StatusChecks
from .tasks import TaskChecks


class TargetContract(
    ShapeChecks,
    CreationChecks,
    StartingChecks,
    BootDataChecks,
    FailureChecks,
    OwnershipChecks,
    ListingChecks,
    AddressChecks,
    StatusChecks,
    DestructionChecks,
    ScrubbingChecks,
    TaskChecks,
    StampingChecks,
    PreparationChecks,
    MachinePartChecks,
    SecrecyChecks,
):
    """Subclass it and override `make_driver`; override the other fixtures to have more checked.

    Every test gets an empty target: `make_driver` must lead to one that holds none of the suite's machines, and several
    drivers made in one test must see the same target.
    """
