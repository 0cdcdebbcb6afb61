"""`kube-provision certificates`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..input import Input
from ..options import configuration, given_among, output, state
from ..output import emit, plain, table
from ..program import subcommand
from ..run_options import TELLING, Runner, progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ...config import Config
    from ...folder.state import State
    from ..progress import Progress


def _nothing_else(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The only word. A name of a machine in its place is told what is missing."""
    if value not in (None, "renew"):
        raise click.UsageError(f"{value!r} is not 'renew', the one word that `certificates` takes. Names follow it.")
    return value


@subcommand("certificates")
@click.argument("renew", required=False, metavar="[renew", callback=_nothing_else)
@click.argument("nodes", nargs=-1, metavar="[NODE]...]")
@click.option("--files", is_flag=True, help="Ask masters that run for what lies in their files alone, by a task.")
@configuration
@state
@progress
@output
def command(
    given: Input, renew: str | None, nodes: tuple[str, ...], files: bool, progress: Progress, form: str
) -> int | None:
    """Show when the certificates of the cluster's masters end, and those of its folder.

    What ports show is read by handshakes. With `--files`: all others, too. Masters that run are asked by a task for that.

    With `renew`: have masters renew all of theirs now, or those that are named, one after another. The control plane of each
    starts anew for that; `plan renew` shows it beforehand.
    """
    from ...engine.session import open_session
    from ...engine.wish import Wish
    from ...verbs.certificates import certificates
    from ...verbs.renew import RENEW

    if renew and files:
        raise click.UsageError("--files goes with `certificates`, which shows them, and not with `certificates renew`.")
    if not (renew or files) and (option := given_among(TELLING)):
        raise click.UsageError(f"{option} goes with `certificates renew` and `--files`: nothing is waited for otherwise.")
    if renew:
        return Runner(progress, form).carry_out(RENEW, given, Wish(nodes=nodes))
    config = given.load()
    told = _ask(config, given.state, progress) if files else {}
    with open_session(config, given.state) as session:
        found = certificates(session, told)
    emit(plain(found), form, lambda: table(plain(found.certificates), "machine", "certificate", "ends", "days", "text"))
    return None


def _ask(config: Config, state: State | Path, progress: Progress) -> Mapping[str, bytes | str]:
    """What masters tell of their files, or why they do not."""
    from ...engine.session import open_session
    from ...verbs.read_certificates import read_files
    from ..running import Running

    with open_session(config, state, alone=True) as session, Running(config.core.name, progress) as user:
        return read_files(session, user)
