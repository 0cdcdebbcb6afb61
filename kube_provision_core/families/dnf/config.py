"""What may be configured on systems of RHEL's family."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from ...contract.driver import DriverConfig, option


def _rising(ports: str) -> str:
    first, _, last = ports.partition("/")[0].partition("-")
    if not 1 <= int(first) <= int(last or first) <= 65535:
        raise ValueError("must be a port from 1 to 65535, or two with the lower one first")
    return ports


Ports = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?/(tcp|udp|sctp)$"), AfterValidator(_rising)]


class DnfConfig(DriverConfig):
    """Keys that all systems of the family have."""

    firewall_ports: list[Ports] = option(
        [],
        per_role=True,
        help="More ports to open where firewalld runs, such as another CNI's: `8285/udp`, `30000-30100/tcp`.",
    )
