"""`kube-provision bake`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..input import Input
from ..options import again, configuration, given_among
from ..program import subcommand
from ..run_options import Runner, runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...config import Config

SECTIONS = {"masters": "master", "workers": "worker", "discovery": "discovery"}


@subcommand("bake")
@configuration
@again
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
    metavar="SECONDS",
    help="How long one machine may take to bake itself (3600).",
)
@runs
def command(given: Input, again: bool, script: bool, sections: tuple[str, ...], runner: Runner) -> int:
    """Make the templates that the configuration names: with every package and image that their machines need.

    Each is made from what `bake_from` names, sealed, and takes the place of an earlier one when it is good. What a template
    has is not installed again at a machine's first boot. Run it again after any failure.
    """
    from ...engine.wish import Wish
    from ...verbs.bake import BAKE

    if script and (option := given_among(("report", "metrics"))):
        raise click.UsageError(f"{option} does not go with --script: nothing is run.")
    if script:
        _print_script(given.load_for(BAKE), sections)
        return 0
    if sections:
        raise click.UsageError("--role goes with --script: templates are baked for all roles that use them.")
    return runner.carry_out(BAKE, given, Wish(again=again))


def _print_script(config: Config, sections: Iterable[str]) -> None:
    from ...contract.machines import Role
    from ...engine.session import open_session
    from ...verbs.bake import script
    from ..output import write

    roles = [Role(SECTIONS[section]) for section in sections]
    with open_session(config, None) as session:
        write(script(session, roles).rstrip("\n"))
