"""`kube-provision plugins`, and `kube-provision plugins new`."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import debug, output
from ..output import emit, plain, table
from ..program import EXIT_CODES, SUMMARIES
from ..talk import say

KINDS = ("target", "os", "discovery")
"""Said here too, so that `--help` imports nothing."""


@click.group("plugins", short_help=SUMMARIES["plugins"], epilog=EXIT_CODES, invoke_without_command=True)
@click.option("--check/--no-check", default=True, help="Import each, to see whether it works.")
@output
@debug
@click.pass_context
def command(context: click.Context, check: bool, form: str) -> None:
    """List the installed drivers and extensions, where each comes from, and what is wrong with it."""
    if context.invoked_subcommand:
        return
    from ...plugins import installed

    data = plain(installed(check=check))
    emit(data, form, lambda: table(data, "kind", "name", "distribution", "version", "problem"))


@command.command("new", short_help="Write the package of a new plugin.", epilog=EXIT_CODES)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to make; kube-provision-NAME in the working directory unless given.",
)
@debug
def new(kind: str, name: str, directory: Path | None) -> None:
    """Write a whole package that works, with tests that pass: yours to change. Prints the paths of its files."""
    from ...scaffold import create, default_folder

    folder = directory or default_folder(name)
    for path in create(kind, name, folder):
        click.echo(folder / path)
    say(f"Next: cd {folder} && pip install -e '.[test]' && pytest")
