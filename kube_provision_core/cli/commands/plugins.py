"""`kube-provision plugins`."""

from __future__ import annotations

import click

from ..options import debug, output
from ..output import emit, plain, table
from ..program import EXIT_CODES, SUMMARIES


@click.command("plugins", short_help=SUMMARIES["plugins"], epilog=EXIT_CODES)
@click.option("--check", is_flag=True, help="Also import each, to see whether it works.")
@output
@debug
def command(check: bool, form: str) -> None:
    """List the installed drivers and extensions, where each comes from, and what is known to be wrong with it."""
    from ...plugins import installed

    data = plain(installed(check=check))
    emit(data, form, lambda: table(data, "kind", "name", "distribution", "version", "problem"))
