"""What may be configured."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from kube_provision_core import DriverConfig, option

Ports = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?/(tcp|udp|sctp)$")]


class CentosConfig(DriverConfig):
    """Keys for CentOS Stream."""

    firewall_ports: list[Ports] = option(
        [],
        per_role=True,
        help="More ports to open where firewalld runs, such as another CNI's: `8285/udp`, `30000-30100/tcp`.",
    )
