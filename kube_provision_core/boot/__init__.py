"""What a machine boots with: every plugin's fragment, merged into one `#cloud-config` document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pluggy

    from ..config.core import CoreConfig
    from ..image import Image
    from ..model import Boot, Cluster, Node, Role
    from ..pki import JoinSecrets


class Configuration(Protocol):
    """What this package reads of the configuration."""

    @property
    def core(self) -> CoreConfig: ...

    @property
    def by_role(self) -> Mapping[Role, CoreConfig]: ...


# Imports stand inside these functions: a run that renders nothing, such as `status`, does without jinja2 and yaml.


def parts(config: Configuration, secrets: JoinSecrets) -> Mapping[str, object]:
    """The core's own plugins, by the names under which they are registered."""
    from .clock import ClockPart
    from .kubeadm import KubeadmPart
    from .node_part import NodePart
    from .script import ScriptPart

    return {
        "clock": ClockPart(config.by_role),
        "kubeadm": KubeadmPart(config.by_role, secrets),
        "node": NodePart(config.by_role, secrets.pki),
        "script": ScriptPart(config.by_role),
    }


def render(plugins: pluggy.PluginManager, node: Node, cluster: Cluster, config: Configuration) -> Boot:
    """The boot of one machine. Thread-safe; the same every time, but for the instance id, which is always a new one.

    Raises `BootError` where fragments contradict each other or hold what must not be there.
    """
    from .assemble import assemble

    return assemble(plugins, node, cluster, config)


def bake(
    plugins: pluggy.PluginManager, nodes: Sequence[Node], cluster: Cluster, config: Configuration, source: str
) -> Image:
    """What a template holds that serves these nodes, one of each role that uses it; the same every time.

    `source` is what it is made from: another one makes another image. Raises `BootError` as `render` does.
    """
    from .bake_image import bake as bake_image

    return bake_image(plugins, nodes, cluster, config, source)
