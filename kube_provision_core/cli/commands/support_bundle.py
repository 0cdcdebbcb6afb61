"""`kube-provision support-bundle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..input import Input
from ..options import FilePath, configuration, state
from ..output import write
from ..program import subcommand
from ..run_options import progress
from ..talk import complain, note

if TYPE_CHECKING:
    from ..progress import Progress


@subcommand("support-bundle")
@click.argument("file", type=FilePath(), metavar="FILE")
@configuration
@state
@progress
def command(given: Input, file: str, progress: Progress) -> int:
    """Write to FILE, a new .tar.zst, what helps somebody else to see what is wrong with this cluster.

    Secrets are looked for and hidden; names and addresses are in it. Whatever cannot be asked is missing, and is told.
    """
    import time
    from pathlib import Path

    from ...engine.report import INTERRUPTED
    from ...support import archive, new_file
    from ...verbs.support_bundle import collect
    from ..running import Running

    path, now = Path(file).absolute(), time.time()
    new_file.check(path)
    with given.session() as session, Running(session.config.core.name, progress, shows_plan=False) as user:
        bundle = collect(session, given.state, user)
    if user.interrupt.stop.is_set():
        complain(f"interrupted: {path} is not written")
        return INTERRUPTED
    archive.write(path, f"{session.config.core.name}-support", bundle.texts, now)
    for line in bundle.missing:
        note(f"not in it: {line}")
    write(str(path))
    return user.exit_code(0)
