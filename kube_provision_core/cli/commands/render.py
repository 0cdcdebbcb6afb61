"""`kube-provision render`."""

from __future__ import annotations

import click

from ..input import Input
from ..options import FilePath, configuration, output, state
from ..output import emit, table
from ..program import subcommand


@subcommand("render")
@click.argument("folder", type=FilePath(file_okay=False), metavar="FOLDER")
@configuration
@click.option("--with-secrets", is_flag=True, help="Write secrets too, readable by nobody else.")
@click.option("--force", is_flag=True, help="Replace what an earlier run wrote to FOLDER.")
@state
@output
def command(given: Input, folder: str, with_secrets: bool, force: bool, form: str) -> None:
    """Write every machine's boot files to FOLDER: NODE/user-data, and its files under NODE/rootfs.

    No server is asked. The secrets are the cluster's own where its folder exists, else made for the occasion. A discovery
    server that has yet to be made has the address 255.255.255.255.
    """
    from pathlib import Path

    from ...verbs.render import preview, write

    with given.session() as session:
        shown = tuple(preview(session))
    write(Path(folder), shown, secrets=with_secrets, force=force)
    data = [
        {"name": node.name, "role": node.role.value, "folder": f"{folder}/{node.name}", "files": len(boot.files)}
        for node, boot in shown
    ]
    emit(data, form, lambda: table(data, "name", "role", "folder", "files"))
