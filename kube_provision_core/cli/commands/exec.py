"""`kube-provision exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..asking import ask
from ..input import Input
from ..options import configuration, state
from ..program import subcommand
from ..run_options import progress

if TYPE_CHECKING:
    from ..progress import Progress


@subcommand("exec")
@click.argument("node")
@click.argument("program", nargs=-1, required=True, metavar="-- COMMAND…")
@click.option(
    "--timeout", type=click.IntRange(1, 3600), default=60, show_default=True, metavar="SECONDS", help="Then it is killed."
)
@configuration
@state
@progress
def command(given: Input, node: str, program: tuple[str, ...], timeout: int, progress: Progress) -> int:
    """Run COMMAND on NODE, as root, and print what it writes: its end, where the way back has no room for all.

    There is no shell (`-- sh -c '…'`) and no input. The exit code is the command's own, 124 where it took too long.
    """
    from ...verbs.asking import execute

    return ask(given, progress, node, lambda session, user: execute(session, node, program, timeout, user))
