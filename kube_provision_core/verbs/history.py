"""The cluster's history, and whether it is whole. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import ConfigError, DiscoveryError
from ..engine.facts import Facts, Known, learn
from ..engine.session import Session
from ..folder.history import Chain, Run
from ..folder.store import Folder
from .recording import known_head

if TYPE_CHECKING:
    from ..folder.state import State


@dataclass(frozen=True)
class ClusterHistory:
    cluster: str
    folder: str
    """Where it lies."""
    runs: tuple[Run, ...]
    """The newest last."""
    head: str
    """Digest of the last line; empty where there is none."""
    known: str | None
    """The head that discovery was told of last; empty: it was told none, None: nobody could tell."""
    unknown: str
    """Why nobody could tell."""
    fault: str
    """Where it was cut or changed; empty where it is whole, as far as anybody could tell."""


def history(session: Session, state: State | Path) -> ClusterHistory:
    """Raises `ConfigError` where the cluster has no folder, and `FolderError` where that cannot be read.

    The folder is read once discovery has been asked, whatever the session has of it: a run that works meanwhile adds to it.
    """
    cluster = session.config.core.name
    asked = learn(lambda: _known(session))
    folder = Folder.open(state, cluster)
    if folder is None:
        where = session.folder.where
        raise ConfigError(f"cluster {cluster} has no folder at {where}: provision it, or name another --state")
    chain = folder.history.read()
    known = asked.value if isinstance(asked, Known) else None
    unknown = "" if isinstance(asked, Known) else asked.reason
    runs = tuple(chain.runs.values())
    return ClusterHistory(cluster, folder.where, runs, chain.head, known, unknown, _fault(chain, known or ""))


def _known(session: Session) -> str:
    seen = Facts(session).seen
    if seen.discovery is None:
        raise DiscoveryError(seen.discovery_error or "there is no discovery service")
    return known_head(session, seen)


def _fault(chain: Chain, known: str) -> str:
    if chain.fault or chain.has(known):
        return chain.fault
    return f"discovery knows of a line {known[:12]}… that is not there: the last lines were cut, or changed"
