"""What one run works with: the configuration, the folder of secrets, the chosen drivers. Opened once, closed at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import boot, plugins
from .desired import Desired, desire
from .errors import FolderError
from .folder import Folder
from .observe import Observation
from .remedies import Remedies

if TYPE_CHECKING:
    import pluggy

    from .config import Config
    from .image import Image
    from .model import Boot, Cluster, Node
    from .pki import JoinSecrets


@dataclass(frozen=True)
class Session:
    config: Config
    folder: Folder
    """A draft in memory until the run has been found possible; see `Folder.save`."""
    plugins: pluggy.PluginManager

    @property
    def hook(self) -> Any:
        return self.plugins.hook

    @property
    def remedies(self) -> Remedies:
        return Remedies(self.config.core.name, self.config.options)

    def driver(self, kind: str) -> Any:
        """The chosen driver of a kind."""
        return plugins.get(self.plugins, kind, self.config.driver(kind).name)

    def require(self, kind: str, *hooks: str) -> None:
        """Raise `PluginError` now where the driver of that kind does not answer a hook that the verb needs."""
        for hook in hooks:
            plugins.require(self.plugins, hook, kind, self.config.driver(kind).name)

    @property
    def desired(self) -> Desired:
        return desire(self.config, self.folder.cluster_id, self.driver("discovery").address)

    def render(self, node: Node, cluster: Cluster) -> Boot:
        return boot.render(self.plugins, node, cluster, self.config)

    def bake(self, nodes: Sequence[Node], cluster: Cluster, source: str) -> Image:
        return boot.bake(self.plugins, nodes, cluster, self.config, source)

    def use(self, secrets: JoinSecrets) -> None:
        """From now on render with these secrets: a living cluster's fresh ones in place of the folder's."""
        plugins.replace(self.plugins, boot.parts(self.config, secrets))


@contextmanager
def open_session(config: Config, state: Path, *, alone: bool = False) -> Iterator[Session]:
    """Connect the configured drivers. Nothing is written: a cluster without a folder gets a draft of one.

    `alone`: no other run of this machine may act on the cluster meanwhile. Raises `FolderError` naming the one that does.
    """
    name = config.core.name
    with Folder.lock(state, name) if alone else nullcontext():
        folder = Folder.open(state, name)
        folder = folder.complete(config.generated()) if folder else Folder.draft(state, name, config.generated())
        config = config.with_generated(folder.generated)
        with plugins.connect(config.drivers, boot.parts(config, folder.join_secrets())) as manager:
            yield Session(config, folder, manager)


def check_identity(session: Session, seen: Observation) -> None:
    """Refuse what exists under the cluster's name and is not this folder's cluster. Raises `FolderError`."""
    folder, remedies, name = session.folder, session.remedies, seen.cluster.name
    if _of_another_cluster(folder, seen) and not folder.saved:
        raise FolderError(
            f"cluster {name} exists ({len(seen.ours)} machines), but its folder of secrets {folder.path} does not. Bring it "
            f"back (--state names its parent), or remove the cluster: {remedies.destroy()}"
        )
    check_machines(folder, seen)
    remembered = seen.discovery.cluster_id if seen.discovery else None
    if remembered not in (None, folder.cluster_id):
        raise FolderError(
            f"discovery at {seen.cluster.discovery_address} remembers another cluster that is also named {name}. Choose "
            f"another --name, or, if that cluster is gone, have it forgotten there: {remedies.destroy()}"
        )


def check_machines(folder: Folder, seen: Observation) -> None:
    """Refuse machines that bear the cluster's name and are not this folder's cluster's. Raises `FolderError`.

    Without a folder they may be the cluster's, whose folder was lost.
    """
    others = _of_another_cluster(folder, seen)
    if others and folder.saved:
        raise FolderError(
            f"{', '.join(others)}: of another cluster that is also named {seen.cluster.name}; {folder.path} holds the "
            f"secrets of cluster {folder.cluster_id}. Choose another --name or --state"
        )


def _of_another_cluster(folder: Folder, seen: Observation) -> list[str]:
    return sorted(vm.name for vm in seen.ours.values() if vm.stamp and vm.stamp.cluster_id != folder.cluster_id)
