"""`kube-provision render`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..options import FilePath, Input, configuration, output, state
from ..output import emit, table
from ..program import subcommand

if TYPE_CHECKING:
    from pathlib import Path

    from ...folder.state import State


@subcommand("render")
@click.argument("folder", type=FilePath(file_okay=False), metavar="FOLDER")
@configuration
@click.option("--with-secrets", is_flag=True, help="Write secrets too, readable by nobody else.")
@click.option("--force", is_flag=True, help="Replace what an earlier run wrote to FOLDER.")
@state
@output
def command(given: Input, folder: str, with_secrets: bool, force: bool, state: State | Path, form: str) -> None:
    """Write every machine's boot files to FOLDER: NODE/user-data, and its files under NODE/rootfs.

    No server is asked. The secrets are the cluster's own where its folder exists, else made for the occasion. A discovery
    server that has yet to be made has the address 255.255.255.255.
    """
    from pathlib import Path

    from ...engine.session import open_session
    from ...verbs.render import preview, write

    with open_session(given.load(), state) as session:
        shown = tuple(preview(session))
    write(Path(folder), shown, secrets=with_secrets, force=force)
    data = [
        {"name": node.name, "role": node.role.value, "folder": f"{folder}/{node.name}", "files": len(boot.files)}
        for node, boot in shown
    ]
    emit(data, form, lambda: table(data, "name", "role", "folder", "files"))
