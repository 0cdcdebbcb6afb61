"""`kube-provision kubeconfig`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..input import Input
from ..options import configuration, given_among, state
from ..output import write
from ..program import subcommand
from ..talk import note

if TYPE_CHECKING:
    from ...folder.kubeconfig import Access


@subcommand("kubeconfig")
@click.option(
    "--merge", is_flag=True, help="Put it into the file of $KUBECONFIG, or ~/.kube/config, instead of printing it."
)
@click.option("--use", is_flag=True, help="With --merge: kubectl speaks to this cluster from now on.")
@click.option("--as", "called", metavar="NAME", help="How its entries are called (the cluster's name; USER@CLUSTER).")
@click.option("--user", metavar="NAME", help="For somebody else than the operator.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group of that user's; repeatable.")
@click.option("--days", type=click.IntRange(1, 36500), metavar="N", help="How long it lets in (365; with --user 30).")
@click.option("--server", metavar="HOST[:PORT]", help="The API server's name at this site, instead of a master's.")
@click.option("--allow-system", "system", is_flag=True, help="Take names that begin with `system:` too.")
@configuration
@state
def command(given: Input, merge: bool, use: bool, called: str | None, **wish: Any) -> None:
    """Print a kubeconfig for this cluster, which holds a private key; or merge it into the one of kubectl.

    A client certificate is made for it. It lasts for `--days` and cannot be withdrawn; what its user and groups may do can.
    """
    from ...verbs.kubeconfig import Wish, kubeconfig

    if use and not merge:
        raise click.UsageError("--use goes with --merge: nothing is changed otherwise.")
    if wish["user"] is None and (option := given_among(("groups", "system"))):
        raise click.UsageError(f"{option} goes with --user: the operator's own group is always the same.")
    with given.session() as session:
        made = kubeconfig(session, Wish(name=called, **wish))
    for text in made.notes:
        note(text)
    if merge:
        _merge(made.access, use)
    else:
        write(made.access.content.decode().rstrip("\n"))


def _merge(access: Access, use: bool) -> None:
    from ...folder.kubectl_file import change, kubectl_file
    from ...folder.merging import merge

    path = kubectl_file(os.environ)
    copy = change(path, lambda text: merge(text, access, use=use, where=str(path)))
    note(f"context {access.user} is in {path}{f', and as it was in {copy}' if copy else ''}")
