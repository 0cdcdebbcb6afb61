"""`kube-provision bake`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, parallel, progress, state
from ..program import EXIT_CODES, SUMMARIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ...config import Config
    from ...session import Session

SECTIONS = {"masters": "master", "workers": "worker", "discovery": "discovery"}

TITLE = "bake"
"""Stands where a cluster's name would, in progress, and for the name itself where none is given: a template has none."""


@click.command("bake", short_help=SUMMARIES["bake"], epilog=EXIT_CODES)
@configuration
@click.option("--again", is_flag=True, help="Bake also what holds everything already.")
@click.option("--script", is_flag=True, help="Print the shell script instead: for Packer, image-builder, or by hand.")
@click.option(
    "--role",
    "sections",
    multiple=True,
    type=click.Choice(list(SECTIONS)),
    help="With --script: only what these machines need; repeatable.",
)
@click.option(
    "--wait-timeout",
    type=click.IntRange(min=1),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="How long one machine may take to bake itself.",
)
@state
@parallel
@progress
@output
@debug
def command(
    given: Input,
    again: bool,
    script: bool,
    sections: tuple[str, ...],
    wait_timeout: int,
    state: Path,
    parallel: int | None,
    progress: str,
    form: str,
) -> int:
    """Make the templates that the configuration names: with every package and image that their machines need.

    Each is made from what `bake_from` names, sealed, and takes the place of an earlier one when it is good. What a template
    has is not installed again at a machine's first boot. Run it again after any failure.
    """
    from ...bake_run import alone, bake
    from ..bakes import finish
    from ..running import Running

    config = given.load(defaults={"name": TITLE})
    if script:
        _print_script(config, sections)
        return 0
    if sections:
        raise click.UsageError("--role goes with --script: templates are baked for all roles that use them.")
    with alone(state), _open(config) as session, Running(TITLE, progress) as run:
        report = bake(
            session,
            again=again,
            limit=wait_timeout,
            parallel=parallel,
            listen=run.listen,
            interrupt=run.interrupt,
            show=run.begin,
        )
    return finish(report, form)


@contextmanager
def _open(config: Config) -> Iterator[Session]:
    """A session that has nothing to do with any cluster's folder."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from ...session import open_session

    with TemporaryDirectory() as nowhere, open_session(config, Path(nowhere)) as session:
        yield session


def _print_script(config: Config, sections: Iterable[str]) -> None:
    from ...bake_run import script
    from ...model import Role
    from ..output import write

    roles = [Role(SECTIONS[section]) for section in sections]
    with _open(config) as session:
        write(script(session, roles).rstrip("\n"))
