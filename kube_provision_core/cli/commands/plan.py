"""`kube-provision plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, state, wait
from ..program import EXIT_CODES, SUMMARIES

if TYPE_CHECKING:
    from pathlib import Path


@click.command("plan", short_help=SUMMARIES["plan"], epilog=EXIT_CODES)
@configuration
@state
@wait
@output
@debug
def command(given: Input, state: Path, wait: bool, form: str) -> None:
    """Show what provisioning would do now, and why: + makes, - removes, ~ changes. Changes nothing.

    Refuses what provisioning would refuse: the same checks are made.
    """
    from ...run import Options, plan_provision
    from ...session import open_session
    from ..output import emit
    from ..plans import plan_data, plan_table
    from ..talk import note

    config = given.load()
    with open_session(config, state) as session:
        plan = plan_provision(session, Options(wait=wait))
    for text in plan.notes:
        note(text)
    emit(plan_data(config.core.name, plan), form, lambda: plan_table(plan))
