"""`kube-provision encryption`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..input import Input
from ..options import configuration, given_among, output, state
from ..output import emit, plain, table
from ..program import subcommand
from ..run_options import TELLING, Runner, progress

if TYPE_CHECKING:
    from ..progress import Progress


@subcommand("encryption")
@click.argument("rotate", required=False, metavar="[rotate]", type=click.Choice(["rotate"]))
@configuration
@state
@progress
@output
def command(given: Input, rotate: str | None, progress: Progress, form: str) -> int | None:
    """Show with which key the cluster encrypts Secrets at rest, by its name, and how far the next one has come.

    With `rotate`: give masters another key, one after another, in three stages, and have all Secrets written with it. Each
    master's API server starts anew for that, three times; `plan rotate` shows it beforehand. What was broken off goes on.
    """
    from ...engine.wish import Wish
    from ...verbs.encryption import encryption
    from ...verbs.rotate import ROTATE

    if not rotate and (option := given_among(TELLING)):
        raise click.UsageError(f"{option} goes with `encryption rotate`: nothing is waited for otherwise.")
    if rotate:
        return Runner(progress, form).carry_out(ROTATE, given, Wish())
    with given.session() as session:
        found = encryption(session)
    emit(plain(found), form, lambda: table([plain(found)], "cluster", "key", "next", "stage"))
    return None
