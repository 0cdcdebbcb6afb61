"""`kube-provision destroy`."""

from __future__ import annotations

from typing import Any

import click

from ..input import Input
from ..options import configuration, given_among, nodes, pool, yes
from ..program import subcommand
from ..run_options import Runner, runs
from ..turn_options import DRAINING, draining


@subcommand("destroy")
@configuration
@nodes
@pool
@draining
@yes
@runs
def command(given: Input, yes: bool, runner: Runner, **said: Any) -> int:
    """Delete the cluster's machines, let discovery forget it and move its folder aside; or delete single nodes, or a pool.

    Only machines that bear the cluster's stamp are deleted. A single node is drained first. Run it again after any failure.
    """
    from ...engine.wish import Wish
    from ...verbs.destroy import DESTROY

    wish = Wish(**said)
    if wish.nodes and wish.pool:
        raise click.UsageError("--node and --pool: one of the two.")
    if not (wish.nodes or wish.pool) and (option := given_among(DRAINING)):
        raise click.UsageError(f"{option} goes with --node or --pool: a whole cluster is not drained.")
    return runner.carry_out(DESTROY, given, wish, asks="" if yes else "destroy")
