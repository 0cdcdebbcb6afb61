"""`kube-provision plugins`, `plugins new`, `plugins check` and `plugins grants`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from ..input import Input
from ..options import FilePath, configuration, output
from ..output import emit, plain, table, write
from ..program import SUMMARIES, Subgroup
from ..talk import say

KINDS = ("target", "os", "discovery", "extension")
"""The registry's, said here too, so that `--help` imports nothing."""
FAMILIES = ("apt", "dnf")


@click.group("plugins", cls=Subgroup, short_help=SUMMARIES["plugins"], invoke_without_command=True)
@click.option("--check/--no-check", default=True, help="Import each, to see whether it works.")
@output
@click.pass_context
def command(context: click.Context, check: bool, form: str) -> None:
    """List the installed drivers and extensions, where each comes from, and what is wrong with it."""
    if context.invoked_subcommand:
        return
    from ...config.trial import try_out
    from ...registry import installed

    data = plain(installed(try_out if check else None))
    emit(data, form, lambda: table(data, "kind", "name", "distribution", "version", "problem"))


@command.command("new", short_help="Write the package of a new plugin.")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--directory",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="The folder to make; kube-provision-NAME in the working directory unless given.",
)
@click.option(
    "--family",
    type=click.Choice(FAMILIES),
    help="The family of a new os, whose base does all but what it has of its own; without: one from the ground up.",
)
def new(kind: str, name: str, directory: Path | None, family: str | None) -> None:
    """Write a whole package that works, with tests that pass: yours to change. Prints the paths of its files."""
    from ...scaffold import create, default_folder

    folder = directory or default_folder(name)
    for path in create(kind, name, folder, family or ""):
        click.echo(folder / path)
    say(f"Next: cd {shlex.quote(str(folder))} && pip install -e '.[test]' && pytest")


@command.command("check", short_help="Run the contract suite of an installed plugin.")
@click.argument("name")
@output
def check(name: str, form: str) -> None:
    """Run what a plugin's author offers of the contract suite, and show each check: whether the plugin keeps its promises.

    It needs pytest, and whatever the suite does: machines may be made where its author says so.
    """
    from ...contract.errors import PluginError
    from ...registry import install, suites

    modules = suites(name)
    try:
        from ...testing.suite_run import FAILED, run
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise PluginError(f"pytest, which runs the suites, is not installed: {install('pytest')}") from error
    data = plain(run(modules))
    emit(data, form, lambda: table(data, "suite", "check", "result", "why"))
    failed = [row for row in data if row["result"] == FAILED]
    if not data:
        raise PluginError(f"{name}: its suite has no check")
    if failed:
        raise PluginError(f"{name}: {len(failed)} of {len(data)} checks failed")


@command.command("grants", short_help="Print what others must grant, ready to be applied.")
@configuration
def grants(given: Input) -> None:
    """Print what the administrators of other services must grant for a configuration, such as the rights of its tokens.

    No server is asked, and no secret is printed: whoever administers the service can read it, and then apply it.
    """
    from ...engine.session import open_session

    with open_session(given.load(), None) as session:
        texts = session.hook.render_grants(nodes=session.desired.nodes)
    for text in texts:
        write(text.rstrip("\n"))
    if not texts:
        say("Nothing: no chosen plugin says that it needs to be granted anything.")
