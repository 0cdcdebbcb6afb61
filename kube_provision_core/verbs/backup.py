"""A cluster's backup: made, read back, and then told to the cluster itself. Nothing else of it is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ..cluster import control_plane
from ..cluster.backups import LastBackup
from ..cluster.observe import Observation
from ..contract.errors import ConfigError, ControlPlaneError
from ..engine.facts import Facts, Unknown
from ..engine.session import Session
from ..folder.state import clusters_own
from .planning import look

if TYPE_CHECKING:
    from ..backup import About, Place, Recipients
    from ..cluster.api import ControlPlane

OLD = timedelta(days=7)
"""A cluster without a backup for so long is warned of."""


@dataclass(frozen=True)
class Made:
    """One that was made, and read back."""

    cluster: str
    file: str
    created: str
    """Such as `2026-11-29T08:30:00Z`."""
    size: int
    """Bytes of etcd's snapshot."""
    revision: int
    """Of etcd: each change up to it is in there."""
    deleted: tuple[str, ...]
    """Older ones, of which there were more than are kept."""


def backup(
    session: Session, place: Place, recipients: Recipients, documents: Mapping[str, bytes], kept: int | None = None
) -> Made:
    """Make one. `documents` of the configuration, by their names, a later one beating an earlier one. `kept`: `place` is a
    folder, of which so many are kept.

    Raises `ConfigError` where there is nothing to back up, `BackupError` where it cannot be kept, `ControlPlaneError` where
    the cluster does not answer. What was written by then is gone, but for a whole one that the cluster was not told of.
    """
    from ..backup import clear, file_name, keep

    folder = session.folder
    if not folder.saved:
        raise ConfigError(f"cluster {session.config.core.name} has no folder at {folder.where}: name another --state")
    recipients.refuse_kept_in(folder.path)
    place.refuse_passing()
    place.refuse_inside(folder.path)
    if kept is None:
        place.refuse_existing()
    else:
        place.require_folder()
    facts = look(session)
    files = {f"config/{name}": content for name, content in documents.items()}
    files |= {f"folder/{name}": content for name, content in clusters_own(folder.files).items()}
    with control_plane(_living(facts), folder.pki) as api:
        kubernetes = api.kubeadm_configuration().version or api.version()
        with api.etcd_snapshot() as snapshot:
            about = _about(facts, api, kubernetes, snapshot.version, tuple(documents))
            file = place.below(file_name(about)) if kept else place
            end = keep(file, recipients, about, files, snapshot)
        _tell(api, LastBackup(about.created, end.revision, end.size, file.name))
    deleted = clear(place, about, kept) if kept else ()
    return Made(about.cluster, file.text, f"{about.created:%Y-%m-%dT%H:%M:%SZ}", end.size, end.revision, deleted)


def warnings(facts: Facts) -> Iterator[str]:
    """A line where a cluster that lives has been without a backup for long. None where nobody could tell."""
    if isinstance(facts.readiness, Unknown) or isinstance(found := facts.readiness.value.backup, Unknown):
        return
    last, now = found.value, datetime.now(UTC)
    if last and not last.within(OLD, now):
        yield f"the last backup is of {last.created:%Y-%m-%d} ({last.file}): {facts.remedies.backup()}"
    if last is None and _initialised(facts) < now - OLD:
        yield f"no backup was ever made of cluster {facts.seen.cluster.name}: {facts.remedies.backup()}"


def _tell(api: ControlPlane, last: LastBackup) -> None:
    try:
        api.backups.record(last)
    except ControlPlaneError as problem:
        raise ControlPlaneError(f"{last.file} is made and whole, but the cluster was not told of it: {problem}") from problem


def _living(facts: Facts) -> Observation:
    if not facts.initialised.value:
        raise ConfigError(f"cluster {facts.seen.cluster.name} is not initialised, and has nothing to back up: provision it")
    return facts.seen


def _about(facts: Facts, api: ControlPlane, kubernetes: str, etcd: str, documents: tuple[str, ...]) -> About:
    from ..backup import About, fit

    machines = {vm.name: vm.stamp.role.value for vm in facts.seen.ours.values() if vm.stamp}
    now = datetime.now(UTC).replace(microsecond=0)
    addresses = fit(_masters(facts.seen, api))
    return About(facts.seen.cluster.name, facts.folder.cluster_id, kubernetes, etcd, now, machines, documents, addresses)


def _masters(seen: Observation, api: ControlPlane) -> Iterator[str]:
    """Where they are, by all who know: a restoration asks there. Without what this host reaches some other way."""
    counted = [node.address for node in api.nodes() if "control-plane" in node.roles and node.address]
    yield from (address for address in (*seen.master_addresses, *counted) if address not in seen.cluster.reach)


def _initialised(facts: Facts) -> datetime:
    """When a run has first seen it so. Where none has yet that is still to come."""
    return facts.folder.initialised_at or datetime.max.replace(tzinfo=UTC)
