"""`kube-provision state list`, `pull`, `push`, `verify`, `rotate-recipients` and `rebuild`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..input import Input
from ..options import STATE, FilePath, gathering, output, state
from ..output import columns, emit, plain, table
from ..program import SUMMARIES, Subgroup
from ..talk import note

if TYPE_CHECKING:
    from ...state import SealedState


def _said(**said: Any) -> SealedState:
    from ..state_option import Said

    return Said(*said.values()).store()


_store = gathering("state", STATE.values(), STATE, _said)
"""Adds the options that say where it is."""


@click.group("state", cls=Subgroup, short_help=SUMMARIES["state"])
def command() -> None:
    """See to a cluster's folder of secrets in a store, which `--state URL` names.

    Each change of it is a number of its own, encrypted here, and the last one counts.
    """


@command.command("list", short_help="Show each number: when, and by whom.")
@click.argument("cluster")
@_store
@output
def list_(cluster: str, state: SealedState, form: str) -> None:
    """Show what was written of the cluster, and when and by whom."""
    from ...state import entries

    found = plain(entries(state, cluster))
    emit(found, form, lambda: table(found, "number", "written", "by", "changed", "recipients", "problem"))


@command.command("pull", short_help="Write the cluster's folder to a disk.")
@click.argument("cluster")
@click.argument("folder", type=FilePath(file_okay=False, path_type=Path), metavar="DIR")
@_store
def pull(cluster: str, folder: Path, state: SealedState) -> None:
    """Write the cluster's folder, in clear, to DIR/CLUSTER, for `--state DIR`. Prints its path."""
    from ... import state as sealed

    click.echo(sealed.pull(state, cluster, folder.absolute()))


@command.command("push", short_help="Bring the cluster's folder from a disk.")
@click.argument("cluster")
@click.argument("folder", type=FilePath(file_okay=False, path_type=Path), metavar="DIR")
@_store
def push(cluster: str, folder: Path, state: SealedState) -> None:
    """Bring DIR/CLUSTER, as `--state DIR` has it, to a store that has none of this name. The one on the disk stays."""
    from ... import state as sealed

    number = sealed.push(state, cluster, folder.absolute())
    note(f"{cluster} is number {number} of {state.url}: delete {folder / cluster} once all runs go by that")


@command.command("verify", short_help="Read and decrypt all numbers.")
@click.argument("cluster")
@_store
@output
def verify(cluster: str, state: SealedState, form: str) -> None:
    """Read and decrypt all numbers: each whole, and each written after the one before it."""
    from ... import state as sealed
    from ...contract.errors import FolderError

    numbers, faults = sealed.verify(state, cluster)
    rows: list[list[object]] = [["numbers:", len(numbers)]]
    rows += [[f"{fault.number}:", fault.problem] for fault in faults]
    emit({"numbers": numbers, "faults": plain(faults)}, form, lambda: columns(rows))
    if broken := [fault for fault in faults if not fault.for_others]:
        raise FolderError(f"{len(broken)} of {len(numbers)} numbers of cluster {cluster} are not as they should be")


@command.command("rotate-recipients", short_help="Say who can open it from now on.")
@click.argument("cluster")
@click.option("--prune", is_flag=True, help="Delete all numbers before the new one, too.")
@_store
def rotate_recipients(cluster: str, prune: bool, state: SealedState) -> None:
    """Write the last number once more, for the recipients that are named now."""
    from ... import state as sealed

    number = sealed.rotate(state, cluster)
    note(f"number {number} of cluster {cluster} is for {sealed.counted(state.recipients.names)}")
    if prune:
        note(f"{sealed.prune(state, cluster)} older numbers are deleted: old versions that the store itself keeps are not")
    else:
        note("whoever could open older numbers still can: --prune deletes them. What they have read they know")


@command.command("rebuild", short_help="Make a lost folder anew from a master.")
@click.argument("cluster")
@click.argument("archive", type=FilePath(path_type=Path))
@click.option("--values", type=FilePath(path_type=Path), metavar="FILE", help="Values made for drivers, as YAML.")
@state
def rebuild(given: Input, cluster: str, archive: Path, values: Path | None) -> None:
    """Make the folder of a cluster that lives anew, in a store or on a disk, from ARCHIVE, which was made on a master.

    \b
    (umask 077; sudo tar -C / --ignore-failed-read -cz etc/kubernetes/{pki,api-server} etc/kube-provision/node.json >pki.tgz)
    """
    from ...folder.rebuilding import read_values
    from ...folder.rebuilding import rebuild as rebuilt

    folder = rebuilt(given.state, cluster, archive, read_values(values))
    note(f"{folder.where} is that of cluster {folder.cluster_id}")
    note(f"{archive} holds the keys of its authorities: delete it on both hosts")
    if not folder.generated:
        note("it has none of the values that were made for drivers: name them by --values, or the next run makes new ones")
