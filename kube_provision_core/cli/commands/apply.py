"""`kube-provision apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..opening import Opening, opening
from ..options import FilePath, Input, configuration, debug, output, parallel, state, wait_timeout
from ..program import EXIT_CODES, SUMMARIES
from ..restoring import backed_up
from ..run_options import progress

if TYPE_CHECKING:
    from pathlib import Path

    from ...folder.state import State
    from ..progress import Progress


@click.command("apply", short_help=SUMMARIES["apply"], epilog=EXIT_CODES)
@click.argument("plan", type=FilePath(), metavar="PLAN.json")
@opening
@configuration
@state
@parallel
@wait_timeout
@progress
@output
@debug
def command(
    given: Input,
    plan: str,
    opening: Opening,
    state: State | Path,
    parallel: int | None,
    wait_timeout: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Do what PLAN.json says, which `plan --output json` has printed, if that is still what would be done.

    It is planned anew, with the configuration given here. Where anything has changed since that the plan rests on, that is
    said and nothing is touched. Nobody is asked again: whoever gives a plan agrees to it.
    """
    from ...engine.verb import Options
    from ...verbs import named
    from ..plans import read_plan
    from ..running import carry_out

    agreed = read_plan(plan)
    verb = named(agreed.verb)
    options = Options(**vars(agreed.wish), finish_timeout=wait_timeout, parallel=parallel)
    source, archive = backed_up(given, options, opening, state)
    return carry_out(verb, source.load_for(verb), state, options, progress, form, archive=archive, agreed=agreed)
