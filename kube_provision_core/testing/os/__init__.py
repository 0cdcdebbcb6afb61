"""What every operating-system driver promises, as checks."""

from __future__ import annotations

from .components import ComponentChecks
from .installing import InstallingChecks
from .release import ReleaseChecks
from .repositories import RepositoryChecks


class OsContract(ComponentChecks, RepositoryChecks, InstallingChecks, ReleaseChecks):
    """Subclass it and override `make_driver`; say by its attributes how your system differs.

    Scripts are run in a folder, in which the system's own programs (`dnf`, `systemctl`, …) are recorded and not run.
    """
