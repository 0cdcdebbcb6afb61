"""A Consul that is closed, or on the way there, of machines with what the driver renders for them, on loopback addresses.

They differ from real ones in one thing: their HTTP interface is at their own address, for lack of networks of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from servers.consul import closed_parts
from servers.consul_agents import CLUSTER_ID, ConsulAgent, eventually

from kube_provision_consul import layout
from kube_provision_consul.config import ConsulConfig, new_gossip_key
from kube_provision_consul.driver import Consul
from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.agent import wait_until_joined
from kube_provision_consul.node.api import Agent, UnavailableError
from kube_provision_consul.node.rights import grant_soon
from kube_provision_consul.seed import Seed, new_seed
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import node_of


@dataclass(frozen=True)
class ClosedSite:
    """One cluster's machines. `network`: the first three numbers of their addresses."""

    folder: Path
    network: str
    cluster: Cluster
    driver: Consul

    @classmethod
    def of(cls, folder: Path, network: str, name: str, nodes: Mapping[str, Role], servers: int = 1) -> ClosedSite:
        keys = {"consul_seed": new_seed(), "consul_encrypt": new_gossip_key(), "consul_servers": servers}
        config = ConsulConfig.model_validate(keys)
        names = [f"consul-{name}", *(f"consul-{name}-{number}" for number in range(2, servers + 1)), *nodes]
        cluster = Cluster(name, CLUSTER_ID, "1.36.4", frozenset(names), nodes=nodes)
        return cls(folder, network, cluster, Consul(dict.fromkeys(Role, config))).at([1])

    def at(self, numbers: Sequence[int]) -> ClosedSite:
        """The same, as it is once these machines are its servers."""
        first, *others = (f"{self.network}.{number}" for number in numbers)
        return replace(self, cluster=replace(self.cluster, discovery_address=first, discovery_others=tuple(others)))

    def of_servers(self, count: int) -> ClosedSite:
        """The same, once its configuration asks for so many."""
        return self.configured(consul_servers=count)

    def configured(self, **keys: Any) -> ClosedSite:
        """The same, once these keys have changed. Without `consul_seed` it is open."""
        config = self.config.model_copy(update=keys)
        return replace(self, driver=Consul(dict.fromkeys(Role, config)))

    @property
    def config(self) -> ConsulConfig:
        return self.driver._config[Role.DISCOVERY]

    @property
    def seed(self) -> Seed:
        assert self.config.seed
        return self.config.seed

    def rendered(self, name: str, role: Role, servers: Sequence[int] = (), *, carries_ca: bool = False) -> dict[str, Any]:
        """The documents of a machine, by their paths. `servers`: who is there before, where it is a server itself."""
        cluster = self.cluster
        if role is Role.DISCOVERY:
            alone = replace(cluster, discovery_address=None, discovery_others=())
            cluster = self.at(servers).cluster if servers else alone
        node = node_of(name, role, cluster=self.cluster.name, cluster_id=CLUSTER_ID, carries_ca=carries_ca)
        files = self.driver.render_boot(node, cluster).files
        return {it.path: json.loads(it.content) for it in files if it.path.endswith(".json")}

    def machine(
        self, name: str, role: Role, number: int, servers: Sequence[int] = (), *, carries_ca: bool = False
    ) -> ConsulAgent:
        address, folder = f"{self.network}.{number}", self.folder / f"{name}-{number}"
        documents = self.rendered(name, role, servers, carries_ca=carries_ca)
        server = address if documents[layout.AGENT_FILE]["server"] else ""
        identity = documents.get(layout.IDENTITY_FILE)
        own = closed_parts(identity, folder, server) if identity else {}
        ports = documents[layout.AGENT_FILE]["ports"] | own.get("ports", {})
        configuration = documents[layout.AGENT_FILE] | documents[layout.SECRETS_FILE] | own
        token = self.seed.management if self.config.seed else ""
        return ConsulAgent(folder, address, configuration | {"ports": ports, "retry_interval": "1s"}, token)

    def server(self, number: int = 1) -> ConsulAgent:
        """With all rights given, as its boot does."""
        agent = self.machine(f"consul-{self.cluster.name}", Role.DISCOVERY, number).start()
        self.grant(agent)
        return agent

    def grant(self, server: ConsulAgent) -> None:
        """As a server does when it boots."""
        identity = self.rendered(f"consul-{self.cluster.name}", Role.DISCOVERY)[layout.IDENTITY_FILE]
        grant_soon(Agent(server.http, (), identity), identity["grants"], 120)


@dataclass
class ClosedMachines:
    """Its machines that run, each made of what the site is configured with at that time. They end with `stack`."""

    site: ClosedSite
    stack: ExitStack
    agents: dict[str, ConsulAgent] = field(default_factory=dict)
    clients: dict[str, NodeClient] = field(default_factory=dict)
    """What programs on these machines ask."""

    @property
    def servers(self) -> dict[str, ConsulAgent]:
        return {name: agent for name, agent in self.agents.items() if self._role(name) is Role.DISCOVERY}

    def launch(self, name: str, number: int, known: Sequence[int] = ()) -> ConsulAgent:
        """One, which nobody waits for. `known`: the servers that it is told of, where it is one itself."""
        return self._launch(self.site, name, number, known)

    def serve(self, *names: str, at: int = 1) -> None:
        """These servers, made at once, the first of them at this address. They join the machines that there are."""
        numbers = range(at, at + len(names))
        self.site = self.site.at(numbers)
        peers = tuple(it.address for it in self.agents.values())
        site = replace(self.site, cluster=replace(self.site.cluster, peers=peers))
        for number, name in zip(numbers, names, strict=True):
            self._launch(site, name, number, [at] if number > at else [])
        for name in names:
            assert eventually(self.agents[name].has_leader)
            if site.config.seed:
                site.grant(self.agents[name])

    def make(self, name: str, number: int) -> NodeClient:
        """A node, once it has joined. A master registers."""
        role, agent = self._role(name), self.launch(name, number)
        identity = self.site.rendered(name, role).get(layout.IDENTITY_FILE, {})
        client = NodeClient(Agent(agent.http, (), identity), name, self.site.cluster.name, CLUSTER_ID, 6443, [], "")
        wait_until_joined(client.agent, [], 120)
        if role is Role.MASTER:
            service = {"Name": layout.service_name(self.site.cluster.name), "Address": agent.address, "Port": 6443}
            client.agent.ask("PUT", "/v1/agent/service/register", {}, json.dumps(service))
        self.clients[name] = client
        return client

    def sees(self, name: str, *masters: str) -> bool:
        """Whether that machine's proxy would lead to exactly these masters."""
        with suppress(UnavailableError):
            return self.clients[name].masters("", 1)[1] == sorted(self.agents[it].address for it in masters)
        return False

    def _role(self, name: str) -> Role:
        return self.site.cluster.nodes.get(name, Role.DISCOVERY)

    def _launch(self, site: ClosedSite, name: str, number: int, known: Sequence[int]) -> ConsulAgent:
        agent = self.agents[name] = site.machine(name, self._role(name), number, known)
        self.stack.callback(agent.kill)
        agent.launch()
        return agent
