"""`kube-provision replace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, drifted, pool, wait_timeout, yes
from ..program import subcommand
from ..run_options import Runner, runs
from ..turn_options import draining, rolling

if TYPE_CHECKING:
    from ...engine.wish import Draining, Rolling


@subcommand("replace")
@click.argument("nodes", nargs=-1, metavar="[NODE]...")
@configuration
@drifted
@pool
@rolling
@draining
@yes
@wait_timeout
@runs
def command(
    given: Input,
    nodes: tuple[str, ...],
    drifted: bool,
    pool: str,
    rolling: Rolling,
    draining: Draining | None,
    yes: bool,
    runner: Runner,
) -> int:
    """Make machines anew, turn by turn: drained, destroyed, created, and ready before the next one goes.

    Those that are named, --drifted, or all of a --pool; with both, those of the pool that have drifted. Run it again after
    any failure: it goes on from what it finds.
    """
    from ...engine.wish import Wish
    from ...verbs.replace import REPLACE

    if bool(nodes) == (drifted or bool(pool)):
        raise click.UsageError("Name the machines that are to be replaced, or say --drifted or --pool, and not both.")
    wish = Wish(wait=True, nodes=nodes, drifted=drifted, pool=pool, rolling=rolling, draining=draining)
    return runner.carry_out(REPLACE, given, wish, asks="" if yes else "replace")
