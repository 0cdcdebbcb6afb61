"""A cluster whose Consul runs on its masters: no machine is made for it, and the masters are asked."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable

import pytest
from servers.consul import ConsulServer

from kube_provision_consul.seed import new_seed

from .conftest import Site

NODES = ["m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1"]


@pytest.fixture
def site(open_site: Callable[..., Site]) -> Site:
    site = open_site()
    addresses = [f"{site.master_address(number)}/24" for number in range(1, 6)]
    site.settings |= {"consul_on_masters": True, "masters": {"static_ip": {"addresses": addresses}}}
    site.environment["KUBE_PROVISION_CONSUL_SEED"] = new_seed()
    return site


def user_data(site: Site, name: str) -> str:
    return gzip.decompress(base64.b64decode(site.vcenter.vm(name)["extra_config"]["guestinfo.userdata"])).decode()


def test_its_first_run_makes_masters_and_workers_alone(site: Site) -> None:
    run = site.provision(workers=1)
    assert run.code == 0, run.errors
    assert site.vcenter.machine_names() == NODES
    assert site.secrets.carrier == "m-prod-1"
    for name in NODES:
        told = user_data(site, name)
        others = [site.master_address(number) for number in range(1, 4) if name != f"m-prod-{number}"]
        assert all(address in told for address in others)
        assert ("/usr/local/lib/kube-provision/discovery/server.py" in told) is name.startswith("m-")


def test_once_it_lives_its_masters_are_asked_and_most_of_them_stay(site: Site) -> None:
    site.nodes_finish()
    assert site.provision(workers=1).code == 0
    seed = site.environment["KUBE_PROVISION_CONSUL_SEED"]
    with ConsulServer(site.master_address(1), seed=seed) as site.consul, site.alive(workers=1):
        site.record_initialised()
        run = site.provision(workers=1)
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == NODES
        run = site.run("destroy", "--yes", "--node", "m-prod-2", "--node", "m-prod-3")
        assert run.code == 2
        assert "without them discovery of cluster prod has no quorum left" in run.errors
        assert site.vcenter.machine_names() == NODES
        run = site.provision(masters=5, workers=1)
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == sorted([*NODES, "m-prod-4", "m-prod-5"])
