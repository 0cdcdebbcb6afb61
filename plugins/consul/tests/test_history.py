"""A cluster's history, whose head a real Consul keeps: what is cut from the folder is noticed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from doubles.memory import MemoryConfig
from doubles.site import Site
from servers.consul_agents import ConsulAgent

from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_core import Role
from kube_provision_core.config import ChosenDriver, Config
from kube_provision_core.verbs.history import ClusterHistory, history

pytestmark = pytest.mark.integration


@dataclass
class WithConsul(Site):
    """Machines are in memory, and Consul is real."""

    def config(self, *counts: int, **more: object) -> Config:
        config = super().config(*counts, **more)
        asked = dict.fromkeys(Role, ConsulConfig(consul_ip=self.address))
        drivers = [it for it in config.drivers if it.kind != "discovery"]
        return replace(config, drivers=(*drivers, ChosenDriver("discovery", "consul", "tests", Consul, asked)))


@pytest.fixture
def site(server: ConsulAgent, tmp_path: Path) -> WithConsul:
    return WithConsul(tmp_path, address=server.address, target_config=MemoryConfig())


def seen(site: Site) -> ClusterHistory:
    with site.session() as session:
        return history(session, site.state)


def test_a_cut_is_noticed_and_what_was_lost_is_told_for_good(site: WithConsul, server: ConsulAgent) -> None:
    lines = site.state / "prod" / "history.jsonl"
    site.provision(masters=1, workers=2)
    site.destroy("w-prod-2", draining=None)
    whole = seen(site)
    assert (whole.fault, whole.known) == ("", whole.head)
    lines.write_bytes(b"".join(lines.read_bytes().splitlines(keepends=True)[:2]))
    assert "that is not there: the last lines were cut, or changed" in seen(site).fault
    site.provision(masters=1, workers=2)
    after = seen(site)
    assert (after.fault, [(it.verb, it.lost) for it in after.runs]) == ("", [("provision", ""), ("provision", whole.head)])
    site.destroy()
    assert server.ask("GET", "/v1/kv/kube-provision/prod/history") is None
