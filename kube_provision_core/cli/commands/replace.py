"""`kube-provision replace`."""

from __future__ import annotations

from typing import Any

import click

from ..input import Input
from ..options import configuration, drifted, pool, wait_timeout, yes
from ..program import subcommand
from ..run_options import Runner, runs
from ..turn_options import draining, rolling


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
def command(given: Input, yes: bool, runner: Runner, **said: Any) -> int:
    """Make machines anew, turn by turn: drained, destroyed, created, and ready before the next one goes.

    Those that are named, --drifted, or all of a --pool; with both, those of the pool that have drifted. Run it again after
    any failure: it goes on from what it finds.
    """
    from ...engine.wish import Wish
    from ...verbs.replace import REPLACE

    wish = Wish(wait=True, **said)
    if bool(wish.nodes) == (wish.drifted or bool(wish.pool)):
        raise click.UsageError("Name the machines that are to be replaced, or say --drifted or --pool, and not both.")
    return runner.carry_out(REPLACE, given, wish, asks="" if yes else "replace")
