"""A site's own Consul: several servers are named, all goes over TLS with client certificates, and ACLs deny."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from servers.certificates import ServerCertificate, issue_certificate
from servers.consul import consul_binary
from servers.consul_agents import ConsulAgent, unused_network

from kube_provision_consul import access, layout
from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_consul.node import version
from kube_provision_core import BusyError, Cluster, ConfigError, DiscoveryError, Endpoint, Node, Role
from kube_provision_core.testing import boot_of, cluster_of, node_of

from .conftest import MakeConsul

pytestmark = pytest.mark.integration

ROOT = "1a2b3c4d-0000-4000-8000-000000000000"
NODES = tuple(node_of(f"{role.value[0]}-prod-1", role, cluster="prod") for role in (Role.MASTER, Role.WORKER))
NAMES = [it.name for it in NODES]
NOBODY = "127.254.254.253"
"""Where nobody listens."""


AnyMember = TypeVar("AnyMember", bound="Member")


class TlsServer(ConsulAgent):
    """Answers over HTTPS alone."""

    certificate: ServerCertificate

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=self.certificate.ca_file)
        context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        return HTTPSConnection(self.address, 8501, timeout=60, context=context)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return super().ask(method, f"{path}{'&' if '?' in path else '?'}token={ROOT}", body)


class Member(ConsulAgent):
    def has_leader(self) -> bool:
        with suppress(OSError, ValueError, HTTPException):
            return bool(self.ask("GET", "/v1/status/leader"))
        return False


class Outsider(Member):
    """One that is refused: started once it has said so."""

    def has_leader(self) -> bool:
        return "bad certificate" in self.said()

    def said(self) -> str:
        log = self.folder / "consul.log"
        return log.read_text() if log.exists() else ""


@dataclass(frozen=True)
class Site:
    server: ConsulAgent
    certificate: ServerCertificate
    token: str
    network: str
    folder: Path
    numbers: Iterator[int]

    def driver(self, **keys: Any) -> Consul:
        """As the site's users configure it, but for `keys`."""
        usual = {
            "consul_ip": f"https://{self.server.address}",
            "consul_token": self.token,
            "consul_ca_file": self.certificate.ca_file,
            "consul_client_cert_file": self.certificate.certificate,
            "consul_client_key_file": self.certificate.key,
        }
        given = {key: value for key, value in (usual | keys).items() if value is not None}
        return Consul(dict.fromkeys(Role, ConsulConfig.model_validate(given)))

    @property
    def cluster(self) -> Cluster:
        return cluster_of(*NAMES, name="prod", address=self.server.address)

    def agent(self, it: Node, *leave_out: str, kind: type[AnyMember] = Member) -> AnyMember:
        """That of a machine, with the files of its boot data, but for some."""
        own = self.folder / it.name / str(next(self.numbers))
        settings: dict[str, Any] = {}
        for file in self.driver().render_boot(it, self.cluster).files:
            if file.path in (layout.AGENT_FILE, layout.SECRETS_FILE):
                settings |= json.loads(file.content)
            elif file.path in (layout.CA_FILE, layout.CERT_FILE, layout.KEY_FILE):
                path = own / file.path.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(str(file.content))
            elif file.path == layout.CLIENT_DATA:
                tls = json.loads(str(file.content).replace("/etc/kube-provision", f"{own}/etc/kube-provision"))["tls"]
                settings |= version.tls_settings(tls, version.installed_version())
        kept = {key: value for key, value in settings.items() if key not in leave_out}
        return kind(own, f"{self.network}.{next(self.numbers)}", kept | {"node_name": own.name})


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "PROGRAM", str(consul_binary()))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    network, folder = unused_network(), tmp_path_factory.mktemp("site")
    address = f"{network}.1"
    certificate = issue_certificate(folder, ["server.dc1.consul", address])
    configuration = {
        "server": True,
        "bootstrap_expect": 1,
        "node_name": "consul-1",
        "ports": {"dns": -1, "http": -1, "https": 8501},
        "ca_file": str(certificate.ca_file),
        "cert_file": str(certificate.certificate),
        "key_file": str(certificate.key),
        "verify_incoming": True,
        "verify_outgoing": True,
        "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT, "agent": ROOT}},
    }
    server = TlsServer(folder / "server", address, configuration)
    server.certificate = certificate
    with server:
        rights = {*access.of_operator("prod", NAMES), *(right for it in NODES for right in access.of_node(it, NAMES))}
        rules = "\n".join(right.rule for right in sorted(rights))
        server.ask("PUT", "/v1/acl/policy", {"Name": "prod", "Rules": rules})
        token = server.ask("PUT", "/v1/acl/token", {"Policies": [{"Name": "prod"}]})["SecretID"]
        yield Site(server, certificate, token, network, folder, count(2))


# --- the operator's side -------------------------------------------------------------------------------------------------


def test_a_run_does_all_over_https_with_a_client_certificate(site: Site) -> None:
    driver = site.driver()
    with driver.lock_cluster(site.cluster):  # type: ignore[union-attr]
        assert not driver.discover_masters(site.cluster).initialised
        assert list(driver.preflight([(it, boot_of(it)) for it in NODES])) == []
        assert driver.forget_cluster(site.cluster) is True


def test_a_certificate_for_another_name_is_taken_where_that_name_is_said(site: Site) -> None:
    driver = site.driver(consul_tls_server_name="server.dc1.consul")
    assert not driver.discover_masters(site.cluster).initialised


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"consul_tls_server_name": "server.dc2.consul"}, r"not trusted: Hostname mismatch.*consul_tls_server_name"),
        ({"consul_client_cert_file": None, "consul_client_key_file": None}, r"refuses this host .*demands a client cert"),
        ({"consul_token": "2a2b3c4d-0000-4000-8000-000000000000"}, "knows no such consul_token"),
    ],
)
def test_what_is_missing_or_wrong_is_told_in_one_line(site: Site, keys: dict[str, Any], line: str) -> None:
    with pytest.raises(DiscoveryError, match=line) as caught:
        site.driver(**keys).discover_masters(site.cluster)
    assert "\n" not in str(caught.value)


def test_an_authority_of_somebody_else_is_told(site: Site, tmp_path: Path) -> None:
    other = issue_certificate(tmp_path)
    keys = {"consul_client_cert_file": other.certificate, "consul_client_key_file": other.key}
    with pytest.raises(DiscoveryError, match=r"not trusted: .*Set consul_ca_file"):
        site.driver(consul_ca_file=other.ca_file, **keys).discover_masters(site.cluster)
    with pytest.raises(DiscoveryError, match=r"refuses this host .*demands a client cert"):
        site.driver(**keys).discover_masters(site.cluster)


def test_a_port_that_speaks_no_tls_is_told(site: Site, server: ConsulAgent) -> None:
    with pytest.raises(DiscoveryError, match=r"does not speak TLS there .*check the port in consul_ip"):
        site.driver(consul_ip=f"https://{server.address}:8500").discover_masters(site.cluster)
    with pytest.raises(DiscoveryError, match="HTTPS server"):
        site.driver(consul_ip=f"http://{site.server.address}:8501").discover_masters(site.cluster)


# --- several servers -----------------------------------------------------------------------------------------------------


def test_the_first_server_that_answers_is_asked(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    driver = make_consul(consul_ip=[NOBODY, server.address])
    assert driver.address == NOBODY
    with driver.lock_cluster(cluster):  # type: ignore[union-attr]
        assert not driver.discover_masters(cluster).initialised


def test_a_server_that_answered_is_asked_first_from_then_on(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next one when it answers no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        driver = make_consul(consul_ip=[f"127.0.0.1:{silent.getsockname()[1]}", server.address])
        driver.discover_masters(cluster)
        caplog.clear()
        with caplog.at_level("DEBUG"):
            driver.discover_masters(cluster)
        assert "http://127.0.0.1:" not in caplog.text
    driver._answered = Endpoint(NOBODY, 8500)
    assert not driver.discover_masters(cluster).initialised


def test_where_none_answers_each_is_named(make_consul: MakeConsul, cluster: Cluster) -> None:
    with pytest.raises(
        DiscoveryError, match=rf"Consul at {NOBODY}:8500 .*refused.*; Consul at {NOBODY}:1 .*refused"
    ) as caught:
        make_consul(consul_ip=[NOBODY, f"{NOBODY}:1"]).discover_masters(cluster)
    assert not isinstance(caught.value, ConfigError)


def test_a_lock_outlives_the_agent_that_was_asked_for_it(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster, tmp_path: Path
) -> None:
    """Its session is bound to no health of anybody."""
    with make_consul(consul_ip=server.address).lock_cluster(cluster):  # type: ignore[union-attr]
        name = f"kube-provision run for {cluster.name}"
        (session,) = (it for it in server.ask("GET", "/v1/session/list") if it["Name"] == name)
        assert not session.get("Checks")
        assert not session.get("NodeChecks")
        with pytest.raises(BusyError):
            make_consul(consul_ip=[NOBODY, server.address]).lock_cluster(cluster).__enter__()  # type: ignore[union-attr]


def test_a_name_that_does_not_resolve_is_bad_input(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match=r"consul\.invalid:8500 cannot be reached: its name does not resolve") as caught:
        make_consul(consul_ip="consul.invalid").discover_masters(cluster)
    assert isinstance(caught.value, DiscoveryError)
    driver = make_consul(consul_ip=[server.address, "consul.invalid"])
    assert not driver.discover_masters(cluster).initialised
    (line,) = driver.preflight([(node_of("m-prod-7"), boot_of(node_of("m-prod-7")))])
    assert line.startswith("consul_ip: consul.invalid: its name does not resolve here")


def test_a_token_for_a_consul_without_acls_is_refused(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster
) -> None:
    driver = make_consul(consul_ip=server.address, consul_token=ROOT)
    it = node_of("m-prod-7")
    for attempt in (driver.lock_cluster(cluster).__enter__, lambda: driver.preflight([(it, boot_of(it))])):  # type: ignore[union-attr]
        with pytest.raises(ConfigError, match=r"has no ACLs \(ACL support disabled\).*take consul_token out") as caught:
            attempt()
        assert ROOT not in str(caught.value)


# --- machines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("it", NODES, ids=NAMES)
def test_a_machines_agent_is_let_in_by_a_consul_that_demands_tls(site: Site, it: Node) -> None:
    with site.agent(it) as agent:
        assert agent.ask("GET", "/v1/status/leader") == f"{site.server.address}:8300"


def test_without_a_certificate_it_is_not(site: Site) -> None:
    """Gossip is open to it, and then no server answers."""
    with site.agent(NODES[1], "cert_file", "key_file", kind=Outsider) as agent:
        assert "bad certificate" in agent.said()
        with pytest.raises(ValueError, match="500"):
            agent.ask("GET", "/v1/status/leader")
