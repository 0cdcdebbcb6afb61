"""An operator's whole world in memory, to which runs come one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kube_provision_core import DriverConfig
from kube_provision_core.config import ChosenDriver, Config
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.contract.machines import Role
from kube_provision_core.engine.executor import Event, Interrupt, Listen
from kube_provision_core.engine.identity import Identity
from kube_provision_core.engine.plan import Plan
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.session import Session, open_session
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.wish import Draining
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs import run
from kube_provision_core.verbs.destroy import DESTROY
from kube_provision_core.verbs.provision import PROVISION
from kube_provision_core.verbs.replace import REPLACE
from kube_provision_core.verbs.status import Status, status

from .memory import MemoryConfig, MemoryTarget, World
from .services import MemoryDiscovery, MemoryOs, Registry

DRAINING = Draining()


@dataclass
class Site:
    """A target, a discovery service and a state folder, that runs come to one after the other."""

    state: Path
    world: World = field(default_factory=World)
    registry: Registry = field(default_factory=Registry)
    address: str | None = None
    servers: int = 1
    """Of discovery, where there is no existing one."""
    by_majority: bool = False
    """Masters that are discovery must be there for more than half."""
    target: type[MemoryTarget] = MemoryTarget
    target_config: MemoryConfig = field(default_factory=MemoryConfig)
    events: list[Event] = field(default_factory=list)
    interrupt: Interrupt = field(default_factory=Interrupt)
    listen: Listen = lambda event: None
    """What happens when a run tells something."""

    def config(self, masters: int = 3, workers: int = 2, **more: object) -> Config:
        more = {"seed_manifests": [], **more}
        core = CoreConfig(name="prod", masters=masters, workers=workers, target="memory", os="memory", **more)
        roles, empty = dict.fromkeys(Role, core), dict.fromkeys(Role, DriverConfig())
        target = partial(self.target, world=self.world)
        service = {"address": self.address, "machines": self.servers, "by_majority": self.by_majority}
        discovery = partial(MemoryDiscovery, registry=self.registry, **service)
        drivers = (
            _driver("target", self.target, target, dict.fromkeys(Role, self.target_config)),
            _driver("os", MemoryOs, MemoryOs, empty),
            _driver("discovery", MemoryDiscovery, discovery, empty),
        )
        return Config(core, roles, drivers)

    @contextmanager
    def session(self, **keys: Any) -> Iterator[Session]:
        with open_session(self.config(**keys), self.state, alone=True) as session:
            yield session

    def provision(self, options: Options | None = None, **keys: Any) -> Report:
        with self.session(**keys) as session:
            return run.run(PROVISION, session, options or Options(), Operator(self))

    def destroy(self, *nodes: str, draining: Draining | None = DRAINING, **counts: int) -> Report:
        with self.session(**counts) as session:
            return run.run(DESTROY, session, Options(nodes=nodes, draining=draining), Operator(self))

    def replace(self, *nodes: str, options: Options | None = None, **counts: int) -> Report:
        wish = replace(options or Options(), wait=True, nodes=nodes)
        with self.session(**counts) as session:
            return run.run(REPLACE, session, wish, Operator(self))

    def status(self, **counts: int) -> Status:
        with self.session(**counts) as session:
            return status(session)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.listen(event)

    @property
    def folder(self) -> Folder | None:
        return Folder.open(self.state, "prod")


@dataclass
class Operator:
    """Whoever a run is for: agrees to everything, unless `agree` raises."""

    site: Site
    agree: Callable[[Plan], None] = field(default=lambda plan: None)

    @property
    def interrupt(self) -> Interrupt:
        return self.site.interrupt

    def begin(self, plan: Plan, identity: Identity) -> None:
        self.agree(plan)

    def listen(self, event: Event) -> None:
        self.site.hear(event)

    def end(self, report: Report) -> None:
        pass


def _driver(kind: str, cls: type, make: object, config: dict[Role, DriverConfig]) -> ChosenDriver:
    """`connect` constructs `cls(config)`; a subclass made here hands the test's world to the constructor."""
    made = type(cls.__name__, (cls,), {"__new__": lambda _cls, config: make(config), "__init__": lambda self, config: None})
    return ChosenDriver(kind, "memory" if kind != "discovery" else "consul", "tests", made, config)
