"""`kube-provision validate`."""

from __future__ import annotations

from ..input import Input
from ..options import configuration, output
from ..output import emit, table
from ..program import subcommand
from ..talk import complain


@subcommand("validate")
@configuration
@output
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
