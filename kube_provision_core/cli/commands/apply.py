"""`kube-provision apply`."""

from __future__ import annotations

import click

from ..input import Input
from ..opening import Opening, opening
from ..options import FilePath, configuration, wait_timeout
from ..program import subcommand
from ..restoring import backed_up
from ..run_options import Runner, runs


@subcommand("apply")
@click.argument("plan", type=FilePath(), metavar="PLAN.json")
@opening
@configuration
@wait_timeout
@runs
def command(given: Input, plan: str, opening: Opening, runner: Runner) -> int:
    """Do what PLAN.json says, which `plan --output json` has printed, if that is still what would be done.

    It is planned anew, with the configuration given here. Where anything has changed since that the plan rests on, that is
    said and nothing is touched. Nobody is asked again: whoever gives a plan agrees to it.
    """
    from ...verbs import named
    from ..plans import read_plan

    agreed = read_plan(plan)
    verb = named(agreed.verb)
    source, archive = backed_up(given, agreed.wish, opening)
    return runner.carry_out(verb, source, agreed.wish, archive=archive, agreed=agreed)
