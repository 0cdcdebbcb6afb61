"""`kube-provision restore`."""

from __future__ import annotations

import click

from ..input import Input
from ..opening import Opening, opening
from ..options import FilePath, configuration, wait_timeout, yes
from ..program import subcommand
from ..restoring import Restoring, abandon_old, backed_up, masters_only
from ..run_options import Runner, runs


@subcommand("restore", Restoring)
@click.argument("file", type=FilePath(), metavar="FILE|URL")
@opening
@masters_only
@abandon_old
@yes
@configuration
@wait_timeout
@runs
def command(
    given: Input, file: str, opening: Opening, masters_only: bool, abandon_old: bool, yes: bool, runner: Runner
) -> int:
    """Make a cluster anew of which nothing is left, with what a backup in FILE has kept: its objects, authorities and names.

    Without --config the configuration in the backup counts. Refused while anything of the cluster is left, or of its
    masters where they alone are restored. Run it again after any failure: it goes on from what it finds.
    """
    from ...contract.machines import Role
    from ...engine.wish import Wish
    from ...verbs.restore import RESTORE

    wish = Wish(wait=True, archive=file, only=Role.MASTER.value if masters_only else "", abandon_old=abandon_old)
    source, archive = backed_up(given, wish, opening)
    asks = "restore --abandon-old" if abandon_old and not yes else ""
    return runner.carry_out(RESTORE, source, wish, asks=asks, archive=archive)
