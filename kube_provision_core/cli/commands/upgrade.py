"""`kube-provision upgrade`."""

from __future__ import annotations

from typing import Any

from ..input import Input
from ..options import configuration, pool
from ..program import subcommand
from ..run_options import Runner, runs
from ..turn_options import draining, rolling, upgrading


@subcommand("upgrade")
@configuration
@pool
@rolling
@draining
@upgrading
@runs
def command(given: Input, runner: Runner, **wish: Any) -> int:
    """Bring the cluster to `kubernetes_version`, or to --k8s-version: a patch of its minor, or of the next one.

    With --os: bring the packages of all nodes to their newest, and reboot those that need it.

    Masters one by one, then workers: each is emptied, upgraded, and must be ready before the next one's turn comes. All is
    checked and fetched beforehand; `plan upgrade` shows it. Run it again after any failure: it goes on from what it finds.
    """
    from ...engine.wish import Wish
    from ...verbs import named

    return runner.carry_out(named("upgrade"), given, Wish(wait=True, **wish))
