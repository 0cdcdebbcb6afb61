"""Where the program is measured: a simulated vCenter, a real Consul, an empty folder for secrets."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.consul import ConsulServer
from servers.simulator import Guest, Simulator

PROGRAM = Path(sys.executable).with_name("kube-provision")
CONSUL = "127.81.1.1"
CALL_DELAY, CLONE_TIME, ADDRESS_DELAY = 0.05, 1.0, 0.1
"""Seconds: of every call of the vSphere API, of a clone, from power-on to the guest's address."""


@dataclass(frozen=True)
class Site:
    folder: Path
    vcenter: Simulator

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, but that the program is compiled once, as one that was installed is, and not at every start."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {"KUBE_PROVISION_VCENTER_PASSWORD": self.vcenter.password, "NO_COLOR": "1"}

    def command(self, *verb: str, masters: int = 3, workers: int = 3) -> list[str | Path]:
        """The program's command line for a cluster of that size; a new cluster each time the size is another."""
        size = ("--masters", str(masters), "--workers", str(workers))
        place = ("--config", self.folder / "config.yml", "--name", f"c{masters + workers}", "--state", self.folder / "state")
        return [PROGRAM, *verb, *place, *size]


@contextmanager
def open_site() -> Iterator[Site]:
    guests = [Guest(network="127.82.0.0/16", address_delay=ADDRESS_DELAY)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Simulator(call_delay=CALL_DELAY, clone_time=CLONE_TIME, guests=guests) as vcenter,
        ConsulServer(CONSUL),
    ):
        site = Site(Path(folder), vcenter)
        (site.folder / "config.yml").write_text(configuration(vcenter))
        yield site


def configuration(vcenter: Simulator) -> str:
    keys = {**vcenter.keys, "os": "ubuntu", "consul_ip": CONSUL}
    return "".join(f"{key}: {value}\n" for key, value in keys.items())
