"""`kube-provision validate`."""

from __future__ import annotations

import click

from ..options import Input, configuration, debug, output
from ..output import emit, table
from ..program import EXIT_CODES, SUMMARIES
from ..talk import complain


@click.command("validate", short_help=SUMMARIES["validate"], epilog=EXIT_CODES)
@configuration
@output
@debug
def command(given: Input, form: str) -> None:
    """Check the configuration and render every machine's boot data once, with secrets made for the occasion.

    No server is asked: whether templates, networks and the like exist is checked by `provision` before it creates anything.
    """
    from ...engine.session import open_session
    from ...verbs.render import preview

    config = given.load()
    with open_session(config, None) as session:
        machines = [
            {"name": node.name, "role": node.role.value, "boot_bytes": len(boot.user_data.encode())}
            for node, boot in preview(session)
        ]
    for warning in config.warnings:
        complain(f"warning: {warning}")
    data = {"cluster": config.core.name, "warnings": list(config.warnings), "machines": machines}
    emit(data, form, lambda: table(machines, "name", "role", "boot_bytes"))
