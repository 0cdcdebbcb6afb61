"""`kube-provision destroy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..confirming import confirmation
from ..options import Input, configuration, debug, given_among, nodes, output, parallel, pool, state, yes
from ..program import EXIT_CODES, SUMMARIES
from ..run_options import progress
from ..turn_options import DRAINING, draining

if TYPE_CHECKING:
    from pathlib import Path

    from ...engine.wish import Draining
    from ...folder.state import State
    from ..progress import Progress


@click.command("destroy", short_help=SUMMARIES["destroy"], epilog=EXIT_CODES)
@configuration
@nodes
@pool
@draining
@yes
@state
@parallel
@progress
@output
@debug
def command(
    given: Input,
    nodes: tuple[str, ...],
    pool: str,
    draining: Draining | None,
    yes: bool,
    state: State | Path,
    parallel: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Delete the cluster's machines, let discovery forget it and move its folder aside; or delete single nodes, or a pool.

    Only machines that bear the cluster's stamp are deleted. A single node is drained first. Run it again after any failure.
    """
    from ...engine.verb import Options
    from ...verbs.destroy import DESTROY
    from ..running import carry_out

    if nodes and pool:
        raise click.UsageError("--node and --pool: one of the two.")
    if not (nodes or pool) and (option := given_among(DRAINING)):
        raise click.UsageError(f"{option} goes with --node or --pool: a whole cluster is not drained.")
    config = given.load()
    confirm = confirmation("destroy", config.core.name, yes)
    options = Options(nodes=nodes, pool=pool, parallel=parallel, draining=draining)
    return carry_out(DESTROY, config, state, options, progress, form, confirm)
