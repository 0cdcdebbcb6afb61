"""`kube-provision restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..confirming import confirmation
from ..opening import Opening, opening
from ..options import FilePath, Input, configuration, debug, output, parallel, state, wait_timeout, yes
from ..program import EXIT_CODES, SUMMARIES
from ..restoring import Restoring, abandon_old, backed_up, masters_only
from ..run_options import progress

if TYPE_CHECKING:
    from pathlib import Path

    from ...folder.state import State
    from ..progress import Progress


@click.command("restore", cls=Restoring, short_help=SUMMARIES["restore"], epilog=EXIT_CODES)
@click.argument("file", type=FilePath(), metavar="FILE|URL")
@opening
@masters_only
@abandon_old
@yes
@configuration
@state
@parallel
@wait_timeout
@progress
@output
@debug
def command(
    given: Input,
    file: str,
    opening: Opening,
    masters_only: bool,
    abandon_old: bool,
    yes: bool,
    state: State | Path,
    parallel: int | None,
    wait_timeout: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Make a cluster anew of which nothing is left, with what a backup in FILE has kept: its objects, authorities and names.

    Without --config the configuration in the backup counts. Refused while anything of the cluster is left, or of its
    masters where they alone are restored. Run it again after any failure: it goes on from what it finds.
    """
    from ...contract.machines import Role
    from ...engine.verb import Options
    from ...verbs.restore import RESTORE
    from ..running import carry_out

    options = Options(
        wait=True,
        archive=file,
        only=Role.MASTER.value if masters_only else "",
        abandon_old=abandon_old,
        finish_timeout=wait_timeout,
        parallel=parallel,
    )
    source, archive = backed_up(given, options, opening, state)
    config = source.load()
    confirm = confirmation("restore --abandon-old", config.core.name, yes or not abandon_old)
    return carry_out(RESTORE, config, state, options, progress, form, confirm, archive)
