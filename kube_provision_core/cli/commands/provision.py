"""`kube-provision provision`, which is also `kube-provision` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, parallel, state, wait, wait_timeout
from ..program import EXIT_CODES, SUMMARIES, Default
from ..run_options import progress

if TYPE_CHECKING:
    from pathlib import Path

    from ...folder.state import State
    from ..progress import Progress


@click.command("provision", cls=Default, short_help=SUMMARIES["provision"], epilog=EXIT_CODES)
@configuration
@state
@parallel
@wait
@wait_timeout
@progress
@output
@debug
def command(
    given: Input,
    state: State | Path,
    parallel: int | None,
    wait: bool,
    wait_timeout: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Create what a cluster lacks: observe, plan, apply. Run it again after any failure."""
    from ...engine.verb import Options
    from ...verbs.provision import PROVISION
    from ..running import carry_out

    config = given.load()
    options = Options(wait=wait, finish_timeout=wait_timeout, parallel=parallel)
    return carry_out(PROVISION, config, state, options, progress, form)
