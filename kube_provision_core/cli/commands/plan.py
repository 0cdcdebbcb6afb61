"""`kube-provision plan`."""

from __future__ import annotations

from typing import Any

import click

from ...verbs import NAMES
from ..input import Input
from ..opening import OPENING, Opening, opening
from ..options import FilePath, again, configuration, drifted, given_among, nodes, output, pool, state, wait
from ..program import subcommand
from ..restoring import Restoring, abandon_old, backed_up
from ..turn_options import DRAINING, MASTERS_ONLY, ROLLING, UPGRADING, draining, rolling, upgrading

ONE_OF = (
    (("wait",), ("provision",)),
    (("nodes",), ("replace", "destroy", "renew")),
    (("pool",), ("replace", "destroy", "upgrade")),
    (DRAINING, ("replace", "destroy", "upgrade")),
    (ROLLING, ("replace", "upgrade")),
    (("drifted",), ("replace",)),
    (UPGRADING, ("upgrade",)),
    (MASTERS_ONLY, ("upgrade", "restore")),
    (("again",), ("bake",)),
    (("file", "abandon_old", *OPENING), ("restore",)),
)
"""Parameters that belong to some verbs alone."""


@subcommand("plan", Restoring)
@click.argument("verb", type=click.Choice(NAMES), default="provision", metavar="[VERB]")
@click.argument("file", type=FilePath(), required=False, metavar="[FILE|URL]")
@opening
@abandon_old
@configuration
@state
@wait
@nodes
@drifted
@pool
@rolling
@draining
@upgrading
@again
@output
def command(given: Input, verb: str, file: str | None, opening: Opening, form: str, **wish: Any) -> None:
    """Show what VERB (provision, upgrade, replace, destroy, renew, rotate, restore FILE, bake) would do now, and why.

    + makes, - removes, ~ changes. Changes nothing itself, and refuses what VERB would refuse. What `--output json` prints,
    `apply` carries out.
    """
    from ...engine.verb import Options
    from ...verbs import named
    from ...verbs.planning import opened, plan
    from ..output import emit
    from ..plans import plan_data, plan_table
    from ..progress import errors_told
    from ..talk import note

    for parameters, verbs in ONE_OF:
        if verb not in verbs and (option := given_among(parameters)):
            hint = " Machines are named by --node." if option == "file" else ""
            raise click.UsageError(f"{option} goes with `plan {'` and `plan '.join(verbs)}`.{hint}")
    options = Options(**wish, archive=file or "")
    if options.nodes and options.pool:
        raise click.UsageError("--node and --pool: one of the two.")
    if verb == "destroy" and not (options.nodes or options.pool) and (option := given_among(DRAINING)):
        raise click.UsageError(f"{option} goes with --node or --pool: a whole cluster is not drained.")
    if verb == "restore" and file is None:
        raise click.UsageError("`plan restore` takes FILE: the backup.")
    if verb == "replace" and bool(options.nodes) == (options.drifted or bool(options.pool)):
        raise click.UsageError("`plan replace`: name machines by --node, or say --drifted or --pool, and not both.")
    chosen = named(verb)
    with errors_told(form):
        source, archive = backed_up(given, options, opening)
        with opened(chosen, source.load_for(chosen), source.state, archive=archive) as session:
            planned, identity = plan(chosen, session, options)
    for text in planned.notes:
        note(text)
    emit(plan_data(planned, identity), form, lambda: plan_table(planned))
