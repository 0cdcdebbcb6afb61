"""Whose machines and whose record these are: the folder's cluster's, or those of another one of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract.errors import FolderError

if TYPE_CHECKING:
    from .facts import Facts


def check_identity(facts: Facts) -> None:
    """Refuse what exists under the cluster's name and is not this folder's cluster. Raises `FolderError`."""
    folder, seen = facts.folder, facts.seen
    name = seen.cluster.name
    if _of_another_cluster(facts) and not _is_known(facts):
        raise FolderError(
            f"cluster {name} exists ({len(seen.ours)} machines), but its folder of secrets {folder.where} does not. Bring "
            f"it back (--state names its parent), or remove the cluster: {facts.remedies.destroy()}"
        )
    check_machines(facts)
    remembered = seen.discovery.cluster_id if seen.discovery else None
    if remembered not in (None, folder.cluster_id):
        raise FolderError(
            f"discovery at {seen.cluster.discovery_address} remembers another cluster that is also named {name}. "
            f"{_elsewhere(facts)}, or, if that cluster is gone, have it forgotten there: {facts.remedies.destroy()}"
        )


def check_machines(facts: Facts) -> None:
    """Refuse machines that bear the cluster's name and are not this folder's cluster's. Raises `FolderError`.

    Without a folder they may be the cluster's, whose folder was lost.
    """
    others, folder = _of_another_cluster(facts), facts.folder
    if others and _is_known(facts):
        holds = "the backup" if facts.archive else folder.where
        raise FolderError(
            f"{', '.join(others)}: of another cluster that is also named {facts.seen.cluster.name}; {holds} holds the "
            f"secrets of cluster {folder.cluster_id}. {_elsewhere(facts, ' or --state')}"
        )


def _is_known(facts: Facts) -> bool:
    """Whether it is known which cluster this is: its folder lies there, or is a backup's. Else it is a new one's draft."""
    return facts.folder.saved or facts.archive is not None


def _elsewhere(facts: Facts, more: str = "") -> str:
    """Where there is no other of the name. A restored cluster keeps its own."""
    return "Restore it where no other has its name" if facts.archive else f"Choose another --name{more}"


def _of_another_cluster(facts: Facts) -> list[str]:
    ours = facts.seen.ours.values()
    return sorted(vm.name for vm in ours if vm.stamp and vm.stamp.cluster_id != facts.folder.cluster_id)
