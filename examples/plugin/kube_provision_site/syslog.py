"""The extension `syslog`: every machine sends what it logs to the company's own server, from its first boot on.

It adds a package, a file and a step, and knows nothing of what other plugins add.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from kube_provision_core import BootFragment, DriverConfig, File, Node, Role, Stage, Step, hookimpl, option

SETTINGS = "/etc/rsyslog.d/60-company.conf"

Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class SyslogConfig(DriverConfig):
    """Keys of an extension begin with its name."""

    syslog_server: Host = option(per_role=True, help="Host that logs are sent to, by TCP.")
    syslog_port: Port = option(514, per_role=True, help="Its port.")


class Syslog:
    Config = SyslogConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, SyslogConfig]) -> None:
        self._config = config

    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        """After packages are installed, so that the rest of the boot is told already."""
        config = self._config[node.role]
        queue = 'queue.type="LinkedList" queue.filename="company" action.resumeRetryCount="-1"'  # while it does not answer
        target = f'target="{config.syslog_server}" port="{config.syslog_port}" protocol="tcp"'
        return BootFragment(
            packages=frozenset({"rsyslog"}),
            files=(File(SETTINGS, f'*.* action(type="omfwd" {target} {queue})\n'),),
            steps=(
                Step(
                    "restart",
                    Stage.DISCOVER,
                    "systemctl enable rsyslog.service\nsystemctl restart rsyslog.service",
                    timeout=60,
                ),
            ),
        )
