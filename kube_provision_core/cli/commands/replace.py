"""`kube-provision replace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..confirming import confirmation
from ..options import Input, configuration, debug, drifted, output, parallel, pool, state, wait_timeout, yes
from ..program import EXIT_CODES, SUMMARIES
from ..run_options import progress
from ..turn_options import draining, rolling

if TYPE_CHECKING:
    from pathlib import Path

    from ...engine.wish import Draining, Rolling
    from ...folder.state import State
    from ..progress import Progress


@click.command("replace", short_help=SUMMARIES["replace"], epilog=EXIT_CODES)
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@configuration
@drifted
@pool
@rolling
@draining
@yes
@state
@parallel
@wait_timeout
@progress
@output
@debug
def command(
    given: Input,
    nodes: tuple[str, ...],
    drifted: bool,
    pool: str,
    rolling: Rolling,
    draining: Draining | None,
    yes: bool,
    state: State | Path,
    parallel: int | None,
    wait_timeout: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Make machines anew, turn by turn: drained, destroyed, created, and ready before the next one goes.

    Those that are named, --drifted, or all of a --pool; with both, those of the pool that have drifted. Run it again after
    any failure: it goes on from what it finds.
    """
    from ...engine.verb import Options
    from ...verbs.replace import REPLACE
    from ..running import carry_out

    if bool(nodes) == (drifted or bool(pool)):
        raise click.UsageError("Name the machines that are to be replaced, or say --drifted or --pool, and not both.")
    config = given.load()
    confirm = confirmation("replace", config.core.name, yes)
    options = Options(
        wait=True,
        nodes=nodes,
        drifted=drifted,
        pool=pool,
        rolling=rolling,
        draining=draining,
        finish_timeout=wait_timeout,
        parallel=parallel,
    )
    return carry_out(REPLACE, config, state, options, progress, form, confirm)
