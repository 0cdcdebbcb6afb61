"""A Consul server that is created anew, empty and at another address, is found by the machines that are there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from servers.consul_agents import ConsulAgent, eventually, unused_network

from kube_provision_consul import layout
from kube_provision_consul.config import new_gossip_key
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import node_of

from .conftest import MakeConsul

pytestmark = pytest.mark.integration

KEY = new_gossip_key()
LEFT = 3
"""Consul's number for a member that has left."""


class Site:
    """Machines with the configuration that the driver renders, on loopback addresses."""

    def __init__(self, folder: Path, make_consul: MakeConsul, stack: ExitStack) -> None:
        self._folder, self._make, self._stack = folder, make_consul, stack
        self._network = unused_network()

    def address(self, number: int) -> str:
        return f"{self._network}.{number}"

    def machine(self, name: str, role: Role, number: int, server: str | None, peers: tuple[str, ...] = ()) -> ConsulAgent:
        cluster = Cluster("prod", "id-1", "1.36.4", frozenset(), discovery_address=server, peers=peers)
        files = self._make(consul_encrypt=KEY).render_boot(node_of(name, role), cluster).files
        rendered: dict[str, Any] = {}
        for file in files:
            if file.path in (layout.AGENT_FILE, layout.SECRETS_FILE):
                rendered |= json.loads(file.content)
        agent = ConsulAgent(self._folder / str(number), self.address(number), rendered | {"retry_interval": "1s"})
        self._stack.callback(agent.kill)
        return agent


@pytest.fixture
def site(tmp_path: Path, make_consul: MakeConsul) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, make_consul, stack)


def test_a_server_created_anew_at_another_address_is_found(site: Site) -> None:
    old = site.machine("consul-prod", Role.DISCOVERY, 1, None).start()
    nodes = [site.machine(f"m-prod-{n}", Role.MASTER, n, old.address).start() for n in (2, 3)]
    nodes[0].ask("PUT", "/v1/agent/service/register", {"Name": "kube-provision-prod", "Address": nodes[0].address})
    nodes[0].put("kube-provision/prod/record", {"state": "initialised"})
    threading.Thread(target=leave, args=(old,), daemon=True).start()
    assert eventually(lambda: status(nodes[0], "consul-prod") == LEFT)
    old.kill()

    new = site.machine("consul-prod", Role.DISCOVERY, 9, None, tuple(node.address for node in nodes)).start()

    for node in nodes:
        assert eventually(lambda node=node: leader(node) == f"{new.address}:8300", timeout=60)
    assert eventually(lambda: [entry["Node"] for entry in services(new)] == ["m-prod-2"], timeout=60)
    assert nodes[1].get("kube-provision/prod/record") is None
    nodes[1].put("kube-provision/prod/record", {"state": "initialised"})
    assert new.get("kube-provision/prod/record") == {"state": "initialised"}


def leave(agent: ConsulAgent) -> None:
    """Of its own accord: one that is gone without a word, Consul replaces only after half a minute. It never answers."""
    with suppress(OSError, HTTPException):
        agent.ask("PUT", "/v1/agent/leave")


def status(agent: ConsulAgent, name: str) -> int:
    return next(member["Status"] for member in agent.ask("GET", "/v1/agent/members") if member["Name"] == name)


def leader(agent: ConsulAgent) -> str:
    try:
        return str(agent.ask("GET", "/v1/status/leader"))
    except (OSError, ValueError):
        return ""


def services(agent: ConsulAgent) -> Any:
    return agent.ask("GET", "/v1/catalog/service/kube-provision-prod")
