"""`kube-provision provision`, which is also `kube-provision` alone."""

from __future__ import annotations

import click

from ..options import Input, configuration, debug, wait, wait_timeout
from ..program import EXIT_CODES, SUMMARIES, Default
from ..run_options import Runner, runs


@click.command("provision", cls=Default, short_help=SUMMARIES["provision"], epilog=EXIT_CODES)
@configuration
@wait
@wait_timeout
@runs
@debug
def command(given: Input, wait: bool, runner: Runner) -> int:
    """Create what a cluster lacks: observe, plan, apply. Run it again after any failure."""
    from ...engine.wish import Wish
    from ...verbs.provision import PROVISION

    return runner.carry_out(PROVISION, given.load(), Wish(wait=wait))
