"""The Consul of a cluster that an earlier version has made is closed by the program, as its user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from servers.consul import ConsulServer

from .conftest import Run, Site

NODES = ["m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1"]


def test_the_consul_of_an_earlier_version_is_closed(open_site: Callable[..., Site]) -> None:
    site = open_site()
    with ConsulServer(site.server_address) as site.consul:
        made(site.provision(workers=1))
        assert seed(site)
        forget_seed(site)
        site.record_initialised()
        with site.alive(workers=1):
            made(site.provision(workers=1))
            assert seed(site) == ""
            assert "Consul is open" in told(site)

            site.settings["consul_closing"] = True
            assert "Remove its machine and run again" in told(site)
            made(site.run("destroy", "--node", "consul-prod", "--masters", "3", "--workers", "1", "--yes"))
    with site.alive(workers=1):
        assert site.vcenter.machine_names() == NODES
        made(site.provision(workers=1))
        assert seed(site)
        assert site.vcenter.machine_names() == ["consul-prod", *NODES]

        with ConsulServer(site.server_address, seed=seed(site), closing=True) as site.consul:
            site.record_initialised()
            assert "is being closed" in told(site)
            named = [word for name in NODES for word in ("--node", name)]
            replacing = site.run("plan", "replace", *named, "--masters", "3", "--workers", "1", "--output", "json")
            made(replacing)
            created = [it["subject"] for it in replacing.data["actions"] if it["action"] == "create"]
            assert created == NODES
            del site.settings["consul_closing"]
            made(site.run("destroy", "--node", "consul-prod", "--masters", "3", "--workers", "1", "--yes"))
        made(site.provision(workers=1))
        with ConsulServer(site.server_address, seed=seed(site)) as site.consul:
            site.record_initialised()
            assert "onsul" not in told(site)


def test_a_cluster_that_is_founded_has_no_consul_to_close(open_site: Callable[..., Site]) -> None:
    site = open_site()
    site.settings["consul_closing"] = True
    for run in (site.run("plan", "provision"), site.provision()):
        assert run.code == 2
        assert ": consul_closing: is for a cluster that lives" in run.errors.splitlines()[-1]
    assert site.vcenter.machine_names() == []
    assert not (site.state / "prod").exists()


def made(run: Run) -> None:
    assert run.code == 0, run.errors


def told(site: Site) -> str:
    """What `status` hints at."""
    run = site.run("status", "--masters", "3", "--workers", "1", "--output", "json")
    return " ".join(run.data["hints"])


def document(site: Site) -> Any:
    return json.loads((site.state / "prod/secrets.json").read_text())


def seed(site: Site) -> str:
    return str(document(site)["generated"].get("consul_seed", ""))


def forget_seed(site: Site) -> None:
    """As in the folder of a cluster that an earlier version has made."""
    content = document(site)
    del content["generated"]["consul_seed"]
    (site.state / "prod/secrets.json").write_text(json.dumps(content))
