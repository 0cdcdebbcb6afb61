"""What one run works with: the configuration, the folder of secrets, the chosen drivers. Opened once, closed at the end."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .. import boot
from .. import registry as plugins
from ..cluster.advice import Remedies
from ..cluster.desired import Desired, desire, to_render
from ..cluster.observe import Observation
from ..config.command_line import without_documents
from ..contract.components import Component
from ..contract.errors import ConfigError, FolderError
from ..contract.machines import FailureDomain, Role
from ..folder.store import Folder

if TYPE_CHECKING:
    from ..backup import Archive
    from ..boot.rendering import Renderer
    from ..config import Config
    from ..contract.boot import Boot, Step
    from ..contract.kinds import DiscoveryDriver, TargetDriver
    from ..contract.machines import Cluster, Node
    from ..contract.packages import Packages
    from ..contract.templates import Image
    from ..folder.pki import JoinSecrets
    from ..folder.state import State
    from ..registry import Hooks


@dataclass(frozen=True)
class Session:
    config: Config
    folder: Folder
    """A draft in memory until the run has been found possible; see `Folder.save`."""
    plugins: plugins.Plugins
    archive: Archive | None = None
    """The backup that the cluster is restored from."""

    @property
    def hook(self) -> Hooks:
        return self.plugins.ask

    @property
    def remedies(self) -> Remedies:
        config, archive = self.config, self._archive
        if all(path.exists() for path in config.unwritten):
            return Remedies(config.core.name, config.options, archive=archive)
        options = without_documents(config.options, config.unwritten)
        return Remedies(config.core.name, options, archive=archive, unwritten=True)

    @property
    def _archive(self) -> str:
        """How the backup was named, unless a restoration of another one has begun, with which that goes on alone."""
        begun = {self.folder.restoring, self.folder.abandoning} - {""}
        return self.archive.where if self.archive and begun <= {self.archive.end.sha256} else ""

    def remedies_for(self, seen: Observation) -> Remedies:
        """Advice about the cluster as it was observed."""
        return self.remedies.of(
            seen,
            lives=self.remembers(seen),
            restoring=bool(self.folder.restoring or self.folder.abandoning),
            masters_only=self.folder.masters_only,
        )

    def remembers(self, seen: Observation) -> bool:
        """The cluster was initialised, by discovery's record or by the mark in its folder: nobody more has to be asked."""
        return self.folder.initialised or bool(seen.discovery and seen.discovery.initialised)

    @property
    def target(self) -> TargetDriver:
        return plugins.get(self.plugins, "target", self.config.driver("target").name)

    @property
    def discovery(self) -> DiscoveryDriver:
        return plugins.get(self.plugins, "discovery", self.config.driver("discovery").name)

    def answers(self, hook: str) -> bool:
        """Whether any plugin does what a target may leave out."""
        return plugins.answers(self.plugins, hook)

    def require(self, kind: str, *hooks: str) -> None:
        """Raise `PluginError` now where the driver of that kind does not answer a hook that the verb needs."""
        for hook in hooks:
            plugins.require(self.plugins, hook, kind, self.config.driver(kind).name)

    @property
    def desired(self) -> Desired:
        discovery = self.discovery
        machines, ca = plugins.machines_of(discovery), self.folder.pki.ca.decode()
        interfaces: Mapping[Role, str] = plugins.declared(self.target, "node_interfaces", {}, Mapping[Role, str])
        kind = Mapping[Role, Sequence[str]]
        addresses: Mapping[Role, Sequence[str]] = plugins.declared(self.target, "fixed_addresses", {}, kind)
        return desire(
            self.config,
            self.folder.cluster_id,
            discovery.address,
            machines,
            ca,
            by_majority=plugins.declared(discovery, "by_majority", False),
            interfaces=interfaces,
            addresses=addresses,
        )

    def failure_domains(self, role: Role) -> Sequence[FailureDomain]:
        """Those of the target's that machines of a role spread over; none where it names none."""
        kind = Mapping[Role, Sequence[FailureDomain]]
        named: Mapping[Role, Sequence[FailureDomain]] = plugins.declared(self.target, "failure_domains", {}, kind)
        return named.get(role, ())

    def render(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> Boot:
        """With the folder's secrets, or with those that a living cluster was given for this run."""
        if self.archive and node.stamp.carries_ca:
            secrets = replace(secrets, snapshot=self.archive.snapshot)
        return self._renderer.result().render(node, cluster, secrets)

    def packages(self, component: Component, version: str) -> Packages:
        """How the configured system installs a component that bears a version of Kubernetes. Raises `BootError`."""
        from ..boot.assemble import ask_packages
        from ..boot.merge import CORE
        from ..boot.relay import NamedFragment

        asked = NamedFragment(plugin=CORE, components=frozenset({component}), versions={Component.KUBEADM: version})
        return ask_packages(self.plugins, (asked,), self.config)

    def upgrade_packages(self) -> tuple[Step, ...]:
        """How the configured system brings what is installed to its newest. Raises `PluginError` where its driver cannot."""
        self.require("os", "upgrade_packages")
        return tuple(self.hook.upgrade_packages() or ())

    def prepare_to_render(self) -> None:
        """Begin to, aside: loading what renders takes as long as the answers of a target, for which a run waits."""
        _ = self._renderer

    def image(self, roles: Collection[Role], source: str = "") -> Image:
        """What a template for these roles holds, pools being workers. Raises `ConfigError` for one without machines."""
        desired = self.desired
        first = {node.role: node for node in reversed(desired.all) if {node.role, node.role.kind} & set(roles)}
        missing = set(roles) - {it for role in first for it in (role, role.kind)}
        if missing:
            raise ConfigError(f"the configuration asks for no machine of role {', '.join(sorted(missing))}")
        nodes = [node for node in desired.all if node in first.values()]
        cluster = to_render(desired.cluster, len(desired.discovery))
        return self._renderer.result().bake(nodes, cluster, source, self.folder.join_secrets())

    @cached_property
    def _renderer(self) -> Future[Renderer]:
        aside = ThreadPoolExecutor(1, thread_name_prefix="renderer")
        renderer = aside.submit(boot.renderer, self.plugins, self.config)
        aside.shutdown(wait=False)
        return renderer


_NOWHERE = Path("/nonexistent")
"""Debian's name for it, in /etc/passwd."""


@contextmanager
def open_session(
    config: Config, state: State | Path | None, *, alone: bool = False, archive: Archive | None = None
) -> Iterator[Session]:
    """Connect the configured drivers. Nothing is written: a cluster without a folder gets a draft of one.

    `state`: where folders are, a path for those on a disk; None: no cluster's folder matters. `alone`: no other run of this
    machine may act on the cluster meanwhile. Raises `BusyError` naming the one that does. `archive`: the draft is of the
    cluster in it; raises `ConfigError` where that is another one than the configuration's, and `FolderError` where there is
    another one's folder, or none whole in it. Bad input that is found meanwhile is told with where its key is given.
    """
    name = config.core.name
    with config.telling_places(), Folder.lock(state, name) if alone and state else nullcontext():
        folder = _folder(state, name, archive)
        folder = folder.complete(config.generated()) if folder else _draft(state, config)
        config = config.with_generated(folder.generated)
        with plugins.connect(config.drivers, boot.OWN_NAMES) as manager:
            yield Session(config, folder, manager, archive)


def _draft(state: State | Path | None, config: Config) -> Folder:
    made = {**config.generated(), **config.founding()}
    return Folder.draft(state or _NOWHERE, config.core.name, made, encrypts=config.core.encryption_at_rest)


def _folder(state: State | Path | None, name: str, archive: Archive | None) -> Folder | None:
    """The one that lies there, else the one of the archive. Both have to be one cluster's.

    Keys of Secrets are the archive's, which its snapshot was written with; they may have been rotated since.
    """
    if archive is not None and archive.about.cluster != name:
        raise ConfigError(
            f"the backup is of cluster {archive.about.cluster}, and this is {name}: a restored cluster keeps its name"
        )
    found = Folder.open(state, name) if state else None
    if archive is None or state is None:
        return found
    backed_up = Folder.backed_up(state, name, archive.folder)
    if archive.about.cluster_id != backed_up.cluster_id:
        raise ConfigError(
            f"the backup says that it is of cluster {archive.about.cluster_id}, and its folder that it is of another"
        )
    if found and (found.cluster_id, found.pki) != (backed_up.cluster_id, backed_up.pki):
        raise FolderError(
            f"{found.where} is the folder of another cluster than the backup's: move it aside, or choose another --state"
        )
    return replace(found, encryption=backed_up.encryption) if found else backed_up
