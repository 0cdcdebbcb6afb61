"""Three Consul servers, provisioned as whole hosts: one of them is lost, nothing stops, and a run replaces it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machines.lab import Lab, until
from servers.provisioned_consul import ask

pytestmark = pytest.mark.night

SERVERS = {"consul-prod", "consul-prod-2", "consul-prod-3"}
LIMIT = 180.0


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), {"consul_servers": 3}) as lab:
        yield lab


def voters(lab: Lab, at: str) -> dict[str, str]:
    """Raft's members that vote, by name, as this server knows them."""
    told = ask(lab.secrets, lab.hosts[at].address, "GET", "/v1/operator/raft/configuration")["Servers"]
    return {it["Node"]: it["Address"].rpartition(":")[0] for it in told if it["Voter"]}


def addresses(lab: Lab) -> dict[str, str]:
    return {name: lab.hosts[name].address for name in SERVERS}


def test_one_of_three_servers_is_lost_and_replaced(lab: Lab) -> None:
    first = lab.provision("--wait", masters=1, workers=1)
    assert first.code == 0, first.errors
    until(lambda: voters(lab, "consul-prod-2") == addresses(lab), LIMIT, "three servers vote")

    lab.hypervisor.remove("consul-prod")

    second = lab.provision("--wait", masters=1, workers=2)
    assert second.code == 0, second.errors
    until(lambda: voters(lab, "consul-prod-2") == addresses(lab), LIMIT, "the new server votes, and the old one is dropped")
    assert lab.ready() == {"m-prod-1", "w-prod-1", "w-prod-2"}
