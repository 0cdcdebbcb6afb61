"""What `--pool` leaves of a cluster's machines: workers of one pool, by the roles that they were made as, or are to have."""

from __future__ import annotations

from collections.abc import Iterable

from ..contract.errors import ConfigError
from ..contract.machines import Node, Role


def of_pool(nodes: Iterable[Node], pool: str) -> list[Node]:
    """The workers of that pool; all nodes where none is named."""
    return [node for node in nodes if pool in ("", node.role.pool)]


def refuse_strange_pool(pool: str, roles: Iterable[Role], cluster: str) -> None:
    """Raise `ConfigError` for one of which there is no worker among these."""
    known = dict.fromkeys(role.pool for role in roles if role.pool)
    if pool and pool not in known:
        has = f"its pools are {', '.join(known)}" if known else "it has no workers"
        raise ConfigError(f"--pool {pool}: cluster {cluster} has no worker of such a pool; {has}")
