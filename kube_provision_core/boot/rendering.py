"""Renders one configuration's machines and templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .assemble import assemble, minified
from .bake_image import bake
from .clock import ClockPart
from .kubeadm import KubeadmPart
from .node_part import NodePart, programs
from .relay import Relay
from .script import ScriptPart

if TYPE_CHECKING:
    from ..contract.boot import Boot
    from ..contract.machines import Cluster, Node
    from ..contract.templates import Image
    from ..folder.pki import JoinSecrets
    from ..registry import Plugins
    from . import Configuration


class Renderer:
    """Thread-safe: what differs from one call to the next is an argument, the secrets too."""

    def __init__(self, plugins: Plugins, config: Configuration) -> None:
        """Takes as long as a hundred machines, so that the first one takes no longer than the next."""
        self._plugins, self._config = plugins, config
        for program in programs():
            minified(program)
        by_role = config.by_role
        self._relay = Relay(
            plugins,
            {
                "clock": ClockPart(by_role),
                "kubeadm": KubeadmPart(by_role),
                "node": NodePart(by_role),
                "script": ScriptPart(by_role),
            },
        )

    def render(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> Boot:
        """The boot of one machine; the same every time, but for the instance id, which is always a new one.

        Raises `BootError` where fragments contradict each other or hold what must not be there.
        """
        return assemble(self._plugins, self._relay.fragments(node, cluster, secrets), node, self._config)

    def bake(self, nodes: Sequence[Node], cluster: Cluster, source: str, secrets: JoinSecrets) -> Image:
        """What a template holds that serves these nodes, one of each role that uses it; the same every time.

        `source` is what it is made from: another one makes another image. `secrets` go into nodes' parts alone, of which a
        template holds none. Raises `BootError` as `render` does.
        """
        contributed = [fragment for node in nodes for fragment in self._relay.fragments(node, cluster, secrets)]
        return bake(self._plugins, contributed, nodes, cluster, self._config, source)
