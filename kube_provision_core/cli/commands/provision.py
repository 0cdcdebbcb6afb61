"""`kube-provision provision`, which is also `kube-provision` alone."""

from __future__ import annotations

from ..input import Input
from ..options import configuration, wait, wait_timeout
from ..program import Default, subcommand
from ..run_options import Runner, runs


@subcommand("provision", Default)
@configuration
@wait
@wait_timeout
@runs
def command(given: Input, wait: bool, runner: Runner) -> int:
    """Create what a cluster lacks: observe, plan, apply. Run it again after any failure."""
    from ...engine.wish import Wish
    from ...verbs.provision import PROVISION

    return runner.carry_out(PROVISION, given, Wish(wait=wait))
