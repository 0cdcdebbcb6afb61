"""`kube-provision destroy`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ...errors import ConfigError
from ..options import Input, configuration, debug, output, parallel, progress, state
from ..program import EXIT_CODES, SUMMARIES

if TYPE_CHECKING:
    from pathlib import Path


@click.command("destroy", short_help=SUMMARIES["destroy"], epilog=EXIT_CODES)
@configuration
@click.option("--node", "nodes", multiple=True, metavar="NAME", help="Only this machine; repeatable.")
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name first.")
@state
@parallel
@progress
@output
@debug
def command(
    given: Input, nodes: tuple[str, ...], yes: bool, state: Path, parallel: int | None, progress: str, form: str
) -> int:
    """Delete the cluster's machines, let discovery forget it and move its folder aside; or delete single nodes.

    Only machines that bear the cluster's stamp are deleted. Run it again after any failure.
    """
    from ...run import Options, destroy
    from ...session import open_session
    from ..running import Running, finish

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("destroy asks for the cluster's name on a terminal, and this is none; --yes does not ask.")
    config = given.load()
    name = config.core.name
    confirm = (lambda: None) if yes else (lambda: _ask_for(name))
    with open_session(config, state, alone=True) as session, Running(name, progress, confirm) as run:
        report = destroy(session, nodes, Options(parallel=parallel), run.listen, run.interrupt, run.begin)
    return finish(report, form)


def _ask_for(name: str) -> None:
    typed = click.prompt(f"Type the cluster's name, {name}, to go on", err=True)
    if typed != name:
        raise ConfigError(f"{typed!r} is not the cluster's name: nothing was touched")
