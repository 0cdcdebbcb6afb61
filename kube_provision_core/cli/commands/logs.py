"""`kube-provision logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..asking import ask
from ..input import Input
from ..options import configuration, given_among, state
from ..program import subcommand
from ..run_options import TELLING, progress

if TYPE_CHECKING:
    from ..progress import Progress


@subcommand("logs")
@click.argument("node")
@click.argument("unit", required=False)
@click.option(
    "--lines", type=click.IntRange(1, 10000), default=500, show_default=True, metavar="N", help="How many at most."
)
@click.option("--follow", "-f", "follows", is_flag=True, help="Go on with what comes, until Ctrl-C ends it.")
@configuration
@state
@progress
def command(given: Input, node: str, unit: str | None, lines: int, follows: bool, progress: Progress) -> int:
    """Print the last lines of NODE's journal, those of one UNIT (kubelet, containerd, …) or of all.

    The machine is asked through its hypervisor, so that neither its API server nor its network has to be well. With
    `--follow` it is asked again and again, every 40 seconds or so.
    """
    from ...verbs.asking import follow_journal, read_journal
    from ..following import follow

    if follows and (option := given_among(TELLING)):
        raise click.UsageError(f"{option} goes without --follow, which is no run: it has no progress, and no end.")
    if follows:
        return follow(given, node, lambda s, since, user: follow_journal(s, node, unit, since, user), lines)
    return ask(given, progress, node, lambda session, user: read_journal(session, node, unit, lines, user))
