"""Drivers as a distribution brings them, for whole command lines: a target in memory, an OS, a discovery service."""

from __future__ import annotations

from typing import ClassVar

from doubles.memory import MemoryTarget, World

from kube_provision_core import (
    DISCOVERY_CLIENT,
    BootFragment,
    Discovery,
    DriverConfig,
    File,
    Packages,
    Stage,
    Step,
    hookimpl,
    option,
)


class Memory(MemoryTarget):
    shared: ClassVar[World] = World()
    """What all runs of one test see."""

    def __init__(self, config) -> None:
        super().__init__(config, self.shared)
        self._config = config

    def _create(self, node, boot):
        self.world.pools[node.name] = self._config[node.role].memory_pool
        return super()._create(node, boot)


class Plain:
    Config = DriverConfig

    def __init__(self, config) -> None:
        pass

    @hookimpl
    def os_packages(self, components, extra) -> Packages:
        names = (*sorted(components), *sorted(extra))
        return Packages(names, steps=(Step("install", Stage.INSTALL, f"echo {' '.join(names)}"),))


class TableConfig(DriverConfig):
    table_address: str | None = option(None, help="Address of an existing service.")


class Table:
    Config = TableConfig
    port = 7000

    def __init__(self, config) -> None:
        self.address = next(iter(config.values())).table_address

    @hookimpl
    def render_boot(self, node) -> BootFragment:
        return BootFragment(files=(File(DISCOVERY_CLIENT, "# asks nobody\n"),))

    @hookimpl
    def discover_masters(self) -> Discovery:
        return Discovery(initialised=False)

    @hookimpl
    def render_grants(self, nodes) -> str | None:
        return f"GRANT SELECT TO {' '.join(node.name for node in nodes)}\n" if self.address else None
