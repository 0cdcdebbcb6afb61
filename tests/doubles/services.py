"""A discovery service and an operating system that exist in memory, for runs whose subject is neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from kube_provision_core import (
    DISCOVERY_CLIENT,
    BootFragment,
    BusyError,
    Cluster,
    Discovery,
    DiscoveryError,
    DriverConfig,
    File,
    Packages,
    Role,
    Stage,
    Step,
    hookimpl,
)


@dataclass
class Registry:
    """What a discovery service would know."""

    record: Discovery = field(default_factory=lambda: Discovery(initialised=False))
    silent: bool = False
    for_good: bool = False
    """It answers that it will not, however often it is asked."""
    forgotten: list[str] = field(default_factory=list)
    admitted: list[list[str]] = field(default_factory=list)
    """The machines that it was told of, each time."""
    head: str = ""
    """Of the cluster's history."""
    notice: str = ""
    """Its line of `status`."""
    holder: threading.Lock = field(default_factory=threading.Lock)


class MemoryDiscovery:
    Config = DriverConfig

    def __init__(
        self,
        config: Mapping[Role, DriverConfig],
        registry: Registry,
        address: str | None = None,
        machines: int = 1,
        by_majority: bool = False,
    ) -> None:
        self._registry, self.address, self.machines, self.by_majority = registry, address, machines, by_majority

    def _answer(self, cluster: Cluster) -> None:
        if self._registry.silent:
            silence = DiscoveryError(f"{cluster.discovery_address} does not answer")
            silence.retryable = not self._registry.for_good
            raise silence

    @hookimpl
    def render_boot(self, cluster: Cluster) -> BootFragment:
        return BootFragment(files=(File(DISCOVERY_CLIENT, f"ADDRESSES = {cluster.discovery_addresses!r}\n"),))

    @hookimpl
    def discover_masters(self, cluster: Cluster) -> Discovery:
        self._answer(cluster)
        return self._registry.record

    @hookimpl
    def lock_cluster(self, cluster: Cluster) -> object:
        return self._lock()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        if not self._registry.holder.acquire(blocking=False):
            raise BusyError("another run holds the lock")
        try:
            yield
        finally:
            self._registry.holder.release()

    @hookimpl
    def admit_nodes(self, cluster: Cluster) -> bool:
        self._answer(cluster)
        self._registry.admitted.append(sorted(cluster.nodes))
        return True

    @hookimpl
    def keep_history_head(self, cluster: Cluster, head: str) -> bool:
        self._answer(cluster)
        self._registry.head = head
        return True

    @hookimpl
    def history_head(self, cluster: Cluster) -> str:
        self._answer(cluster)
        return self._registry.head

    @hookimpl
    def forget_initialising(self, node_name: str) -> bool:
        self._registry.forgotten.append(node_name)
        return True

    @hookimpl
    def forget_cluster(self, cluster: Cluster) -> bool:
        self._registry.forgotten.append(cluster.name)
        self._registry.record, self._registry.head = Discovery(initialised=False), ""
        return True

    @hookimpl
    def discovery_notice(self) -> str:
        return self._registry.notice


class MemoryOs:
    Config = DriverConfig

    def __init__(self, config: Mapping[Role, DriverConfig]) -> None:
        pass

    @hookimpl
    def os_packages(self, components: frozenset[str]) -> Packages:
        return Packages(tuple(sorted(components)))

    @hookimpl
    def upgrade_packages(self) -> tuple[Step, ...]:
        return (Step("packages", Stage.INSTALL, "true"),)
