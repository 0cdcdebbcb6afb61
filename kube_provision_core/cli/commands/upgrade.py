"""`kube-provision upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import Input, configuration, debug, output, parallel, pool, state
from ..program import EXIT_CODES, SUMMARIES
from ..run_options import progress
from ..turn_options import draining, rolling, upgrading

if TYPE_CHECKING:
    from pathlib import Path

    from ...engine.wish import Draining, Rolling
    from ...folder.state import State
    from ..progress import Progress


@click.command("upgrade", short_help=SUMMARIES["upgrade"], epilog=EXIT_CODES)
@configuration
@pool
@rolling
@draining
@upgrading
@state
@parallel
@progress
@output
@debug
def command(
    given: Input,
    pool: str,
    rolling: Rolling,
    draining: Draining | None,
    system: bool,
    only: str,
    backup: bool,
    removed_apis: bool,
    state: State | Path,
    parallel: int | None,
    progress: Progress,
    form: str,
) -> int:
    """Bring the cluster to `kubernetes_version`, or to --k8s-version: a patch of its minor, or of the next one.

    With --os: bring the packages of all nodes to their newest, and reboot those that need it.

    Masters one by one, then workers: each is emptied, upgraded, and must be ready before the next one's turn comes. All is
    checked and fetched beforehand; `plan upgrade` shows it. Run it again after any failure: it goes on from what it finds.
    """
    from ...engine.verb import Options
    from ...verbs import named
    from ..running import carry_out

    config = given.load()
    options = Options(
        wait=True,
        rolling=rolling,
        draining=draining,
        system=system,
        only=only,
        pool=pool,
        backup=backup,
        removed_apis=removed_apis,
        parallel=parallel,
    )
    return carry_out(named("upgrade"), config, state, options, progress, form)
