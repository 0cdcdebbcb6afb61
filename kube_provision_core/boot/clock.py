"""The core's own part for the clock: a wrong one makes every certificate look expired, or not valid yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..contract.boot import BootFragment, Stage, Step
from ..contract.components import Component
from ..contract.machines import Cluster, Node, Role
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..folder.pki import JoinSecrets


class ClockPart:
    """Whatever fetches something checks certificates, so everybody's steps come after this part's (see `merge`).

    Nothing where `ntp_servers` is unset: the template's own time servers may be none that a machine reaches.
    """

    def __init__(self, config: Mapping[Role, CoreConfig]) -> None:
        self._config = config

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment | None:
        servers = tuple(self._config[node.role].ntp_servers)
        if not servers:
            return None
        return BootFragment(
            components=frozenset({Component.TIME_SYNC}),
            steps=(Step("synchronised", Stage.PREPARE, render("steps/clock.sh", servers=servers), timeout=180),),
            cloud_config={"ntp": {"enabled": True, "servers": list(servers)}},
        )
