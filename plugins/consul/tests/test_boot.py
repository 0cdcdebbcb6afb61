"""What the driver adds to a node's boot, read by the programs that will read it."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.certificates import issue_certificate
from servers.consul import consul_binary
from servers.debian import require

from kube_provision_consul import layout
from kube_provision_consul.config import new_gossip_key
from kube_provision_consul.node import agent, version
from kube_provision_consul.node.api import UnavailableError
from kube_provision_consul.node.closed import closed_configuration
from kube_provision_consul.node.server import server_configuration
from kube_provision_consul.seed import new_seed
from kube_provision_core import BootFragment, Cluster, ConfigError, File, Role, Stage
from kube_provision_core.testing import node_of

from .conftest import MakeConsul

KEY = new_gossip_key()
SEED = new_seed()
TOKEN = "5b1f7a1e-0c55-4d8e-9a59-2d5a4f6f9d55"
CLUSTER = Cluster("prod", "id-1", "1.36.4", frozenset(), discovery_address="10.0.0.9", peers=("10.0.0.11", "10.0.0.21"))
NAMES = {Role.MASTER: "m-prod-1", Role.WORKER: "w-prod-1", Role.DISCOVERY: "consul-prod"}


def render(make: MakeConsul, role: Role, cluster: Cluster = CLUSTER, **keys: Any) -> BootFragment:
    return make(**keys).render_boot(node_of(NAMES[role], role, cluster="prod", cluster_id="id-1"), cluster)


def file(fragment: BootFragment, path: str) -> File:
    return next(file for file in fragment.files if file.path == path)


def document(fragment: BootFragment, path: str) -> dict[str, Any]:
    return json.loads(file(fragment, path).content)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Of an existing Consul that demands certificates."""
    files = issue_certificate(tmp_path_factory.mktemp("tls"))
    return {
        "consul_ip": "10.9.9.9,consul.example.org",
        "consul_ca_file": files.ca_file,
        "consul_client_cert_file": files.certificate,
        "consul_client_key_file": files.key,
    }


@pytest.mark.usefixtures("network_of_the_machine")
@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_consul_accepts_the_configuration_of_an_agent_with_a_certificate(
    tmp_path: Path, make_consul: MakeConsul, role: Role, tls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "PROGRAM", str(consul_binary()))
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    fragment = render(make_consul, role, **tls)
    for found in (found for found in fragment.files if found.path.startswith("/etc/kube-provision/")):
        path = tmp_path / found.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(found.content).replace("/etc/", f"{tmp_path}/etc/"))
    own = tmp_path / "etc/kube-provision"
    agent.configure(own, tmp_path / "machine.json")
    command = [consul_binary(), "validate", own / "consul", tmp_path / "machine.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Configuration is valid!"), done.stderr


def test_agents_join_all_servers_that_are_named_and_show_a_certificate(make_consul: MakeConsul, tls: dict[str, Any]) -> None:
    fragment = render(make_consul, Role.WORKER, **tls)
    hosts = ["10.9.9.9", "consul.example.org"]
    assert document(fragment, layout.AGENT_FILE)["retry_join"] == hosts
    told = document(fragment, layout.CLIENT_DATA)
    settings = {"ca_file": layout.CA_FILE, "cert_file": layout.CERT_FILE, "key_file": layout.KEY_FILE}
    assert (told["servers"], told["tls"]) == (hosts, settings | {"verify_outgoing": True})


def test_a_key_is_a_secret_file_of_the_machines_own(make_consul: MakeConsul, tls: dict[str, Any], tmp_path: Path) -> None:
    """Also where the certificate's file holds it."""
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(tls[name].read_bytes() for name in ("consul_client_key_file", "consul_client_cert_file")))
    fragment = render(make_consul, Role.WORKER, **tls | {"consul_client_cert_file": both})
    holding = [found for found in fragment.files if "PRIVATE KEY" in str(found.content)]
    assert [(it.path, it.mode, it.secret, it.own_key) for it in holding] == [(layout.KEY_FILE, 0o600, True, True)]


def test_a_file_that_has_gone_meanwhile_is_told(make_consul: MakeConsul, tls: dict[str, Any], tmp_path: Path) -> None:
    copied = {key: shutil.copy(value, tmp_path) if isinstance(value, Path) else value for key, value in tls.items()}
    driver = make_consul(**copied)
    for name in (name for name in copied if name.endswith("_file")):
        Path(copied[name]).unlink()
        with pytest.raises(ConfigError, match=f"{re.escape(str(copied[name]))}: cannot be read: No such file"):
            driver.render_boot(node_of("w-prod-1", Role.WORKER, cluster="prod"), CLUSTER)
        shutil.copy(tls[name], tmp_path)


@pytest.mark.parametrize(("installed", "nested"), [((1, 8), False), ((1, 11), False), ((1, 12), True), ((2, 0), True)])
def test_tls_is_written_as_the_installed_version_takes_it(installed: tuple[int, int], *, nested: bool) -> None:
    settings = {"ca_file": "ca.pem"}
    assert version.tls_settings(settings, installed) == ({"tls": {"defaults": settings}} if nested else settings)


def test_the_installed_version_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "PROGRAM", str(consul_binary()))
    assert version.installed_version() == (1, 8)


@pytest.mark.parametrize(
    ("program", "reason"), [("/bin/false", "does not tell"), ("/bin/true", "tells none"), ("/no", "No such")]
)
def test_a_version_that_cannot_be_told_is_no_guess(monkeypatch: pytest.MonkeyPatch, program: str, reason: str) -> None:
    monkeypatch.setattr(version, "PROGRAM", program)
    with pytest.raises(UnavailableError, match=reason):
        version.installed_version()


@pytest.fixture
def user_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests, with the Consul of the tests."""
    monkeypatch.setattr("shutil.chown", lambda *_: None)
    monkeypatch.setattr(version, "PROGRAM", str(consul_binary()))


def configured(fragment: BootFragment, folder: Path) -> dict[str, Any]:
    """What the machine adds itself, beside the agent's configuration in `folder`; files that it names lie elsewhere."""
    for path in (layout.AGENT_FILE, layout.SECRETS_FILE):
        for found in (found for found in fragment.files if found.path == path):
            (folder / Path(path).name).write_text(str(found.content))
    own, run = folder.with_name("etc"), folder.with_name("run")
    own.mkdir()
    for path in (layout.CLIENT_DATA, layout.IDENTITY_FILE):
        for found in (found for found in fragment.files if found.path == path):
            (own / Path(path).name).write_text(str(found.content))
    agent.configure(own, run / "machine.json")
    for told in run.glob("*.json"):
        shutil.copy(told, folder)
    return {key: value for told in sorted(run.glob("*.json")) for key, value in json.loads(told.read_text()).items()}


@pytest.mark.usefixtures("network_of_the_machine", "user_of_the_agent")
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"consul_encrypt": KEY},
        {"consul_encrypt": KEY, "consul_token": TOKEN, "consul_ip": "10.200.200.1"},
        {"consul_encrypt": KEY, "consul_seed": SEED},
        {"consul_encrypt": KEY, "consul_seed": SEED, "consul_closing": True},
    ],
)
def test_consul_accepts_the_configuration(tmp_path: Path, make_consul: MakeConsul, role: Role, keys: dict[str, Any]) -> None:
    tmp_path = tmp_path / "consul"
    tmp_path.mkdir()
    configured(render(make_consul, role, **keys), tmp_path)
    done = subprocess.run([consul_binary(), "validate", tmp_path], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "Configuration is valid!"), done.stderr


@pytest.mark.parametrize("role", Role)
def test_systemd_accepts_the_unit(tmp_path: Path, make_consul: MakeConsul, role: Role) -> None:
    require("systemd-analyze")
    unit = render(make_consul, role).units[0]
    text = unit.content.replace("/usr/bin/consul", "/bin/true")
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert complaints == []


def test_shellcheck_accepts_the_step(make_consul: MakeConsul) -> None:
    require("shellcheck")
    step = render(make_consul, Role.MASTER).steps[0]
    done = subprocess.run(
        ["shellcheck", "--shell=bash", "-"], input=step.script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == ""


@pytest.mark.parametrize("role", Role)
def test_the_agent_is_started_in_the_stage_discover(make_consul: MakeConsul, role: Role) -> None:
    assert [step.stage for step in render(make_consul, role).steps] == [Stage.DISCOVER]


def test_agents_join_the_server_that_was_provisioned(make_consul: MakeConsul) -> None:
    agent = document(render(make_consul, Role.WORKER), layout.AGENT_FILE)
    assert (agent["server"], agent["retry_join"], agent["rejoin_after_leave"]) == (False, ["10.0.0.9"], True)


def test_agents_join_the_existing_server_where_one_is_named(make_consul: MakeConsul) -> None:
    fragment = render(make_consul, Role.MASTER, replace(CLUSTER, discovery_address="10.9.9.9"), consul_ip="10.9.9.9")
    assert document(fragment, layout.AGENT_FILE)["retry_join"] == ["10.9.9.9"]


def test_a_server_joins_the_machines_that_were_observed(make_consul: MakeConsul) -> None:
    server = document(render(make_consul, Role.DISCOVERY), layout.AGENT_FILE)
    assert (server["server"], server["bootstrap_expect"], server["retry_join"]) == (True, 1, list(CLUSTER.peers))


def test_one_of_several_servers_joins_the_others_too(make_consul: MakeConsul) -> None:
    cluster = replace(CLUSTER, discovery_others=("10.0.0.8",))
    fragment = render(make_consul, Role.DISCOVERY, cluster, consul_servers=3)
    server = document(fragment, layout.AGENT_FILE)
    assert (server["bootstrap_expect"], server["retry_join"]) == (3, ["10.0.0.9", "10.0.0.8", *CLUSTER.peers])
    assert document(fragment, layout.CLIENT_DATA)["servers"] == ["10.0.0.9", "10.0.0.8"]


def test_agents_join_every_server_that_was_provisioned(make_consul: MakeConsul) -> None:
    cluster = replace(CLUSTER, discovery_others=("10.0.0.8", "10.0.0.7"))
    fragment = render(make_consul, Role.WORKER, cluster, consul_servers=3)
    known = ["10.0.0.9", "10.0.0.8", "10.0.0.7"]
    assert document(fragment, layout.AGENT_FILE)["retry_join"] == document(fragment, layout.CLIENT_DATA)["servers"] == known


def test_nodes_bear_their_host_names_and_say_whose_they_are(make_consul: MakeConsul) -> None:
    agent = document(render(make_consul, Role.MASTER), layout.AGENT_FILE)
    assert agent["node_name"] == "m-prod-1"
    assert agent["node_meta"] == {
        "kube-provision-cluster": "prod",
        "kube-provision-cluster-id": "id-1",
        "kube-provision-role": "master",
    }


@pytest.mark.parametrize("role", Role)
def test_secrets_lie_in_one_secret_file_only(make_consul: MakeConsul, role: Role) -> None:
    fragment = render(make_consul, role, consul_encrypt=KEY, consul_token=TOKEN, consul_ip="10.200.200.1")
    telling = [found for found in fragment.files if KEY in str(found.content) or TOKEN in str(found.content)]
    assert [(found.path, found.mode, found.secret) for found in telling] == [(layout.SECRETS_FILE, 0o600, True)]
    assert KEY not in repr(fragment)
    assert TOKEN not in "".join(step.script for step in fragment.steps)


def test_without_secrets_there_is_no_secret_file(make_consul: MakeConsul) -> None:
    assert layout.SECRETS_FILE not in {found.path for found in render(make_consul, Role.MASTER).files}


def test_a_version_pins_the_component(make_consul: MakeConsul) -> None:
    fragment = render(make_consul, Role.MASTER, consul_version="1.22.1")
    assert (fragment.components, dict(fragment.versions)) == (frozenset({"consul"}), {"consul": "1.22.1"})


def test_rendering_is_the_same_every_time(make_consul: MakeConsul) -> None:
    assert render(make_consul, Role.MASTER) == render(make_consul, Role.MASTER)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("keys", "told"), [({}, "eth0"), ({"consul_bind_interface": "eth1"}, "eth1")])
def test_an_address_is_that_of_the_interface_that_the_target_names(
    make_consul: MakeConsul, role: Role, keys: dict[str, str], told: str
) -> None:
    node = replace(node_of(NAMES[role], role), interface="eth0")
    assert document(make_consul(**keys).render_boot(node, CLUSTER), layout.CLIENT_DATA)["interface"] == told


def test_a_server_answers_the_operator_and_an_agent_only_its_own_machine(tmp_path: Path, make_consul: MakeConsul) -> None:
    answers = {}
    for role in Role:
        fragment = render(make_consul, role, consul_bind_interface="lo")
        (tmp_path / "discovery.json").write_text(str(file(fragment, layout.CLIENT_DATA).content))
        agent.configure(tmp_path, tmp_path / "machine.json")
        answers[role] = json.loads((tmp_path / "machine.json").read_text())
    on_node = {"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1"}
    server = {"bind_addr": "127.0.0.1", "client_addr": "127.0.0.1 127.0.0.1"}
    assert answers == {Role.MASTER: on_node, Role.WORKER: on_node, Role.DISCOVERY: server}


def test_what_an_agent_has_kept_is_not_baked(make_consul: MakeConsul, tmp_path: Path) -> None:
    (step,) = make_consul().seal_image()
    for folder in ("opt/consul/serf", "var/lib/kube-provision-consul", "etc/consul.d"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "node-id").touch()
    removing = step.script.splitlines()[-1].replace(" /", f" {tmp_path}/")
    subprocess.run(["bash", "-euo", "pipefail", "-c", removing], check=True, timeout=60)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("node-id")}
    assert left == {"etc/consul.d/node-id"}


# --- a Consul that is closed ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("network_of_the_machine", "user_of_the_agent")
@pytest.mark.parametrize("role", Role)
def test_http_without_tls_is_for_the_machine_itself(tmp_path: Path, make_consul: MakeConsul, role: Role) -> None:
    folder = tmp_path / "consul"
    folder.mkdir()
    told = configured(render(make_consul, role, consul_encrypt=KEY, consul_seed=SEED), folder)
    assert told["client_addr"] == "127.0.0.1"
    addresses = {"https": told["bind_addr"]} if role is Role.DISCOVERY else None
    assert told.get("addresses") == addresses
    names = {"machine.json", "authority.pem", "certificate.pem", "key.pem"}
    names |= {"server.json"} if role is Role.DISCOVERY else set()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").iterdir()}
    assert modes == dict.fromkeys(names, 0o640)


def test_a_token_is_for_what_the_agent_does_itself() -> None:
    """As a default, it would be whoever's asks on this machine."""
    assert closed((1, 8))["acl"]["tokens"] == {"agent": "t"}


def closed(version: tuple[int, int]) -> dict[str, Any]:
    return closed_configuration(
        {"token": "t"}, {name: Path("/run/it.pem") for name in ("authority", "certificate", "key")}, version
    )


@pytest.mark.parametrize(
    ("version", "first_token", "tls", "ports"),
    [
        ((1, 8), "master", "verify_incoming_rpc", {"https"}),
        ((1, 10), "master", "verify_incoming_rpc", {"https"}),
        ((1, 11), "initial_management", "verify_incoming_rpc", {"https"}),
        ((1, 12), "initial_management", "tls", {"https"}),
        ((1, 14), "initial_management", "tls", {"https", "grpc_tls"}),
        ((1, 22), "initial_management", "tls", {"https", "grpc_tls"}),
    ],
)
def test_each_version_has_its_own_words(version: tuple[int, int], first_token: str, tls: str, ports: set[str]) -> None:
    told, server = closed(version), server_configuration("10.0.0.9", "t", version)
    assert server["acl"]["tokens"].keys() == {first_token}
    assert [key for key in ("verify_incoming_rpc", "tls") if key in told] == [tls]
    assert server["ports"].keys() == ports


@pytest.mark.parametrize(
    ("version", "unverified"),
    [((1, 8), {"verify_incoming_rpc": False}), ((1, 12), {"tls": {"internal_rpc": {"verify_incoming": False}}})],
)
def test_a_server_is_told_to_take_machines_without_a_token_while_it_is_closing(
    version: tuple[int, int], unverified: dict[str, Any]
) -> None:
    closed, closing = (server_configuration("10.0.0.9", "t", version, closing=it) for it in (False, True))
    assert closing == {**closed, **unverified, "acl": {**closed["acl"], "default_policy": "allow"}}


def test_closing_is_told_to_servers_alone(make_consul: MakeConsul) -> None:
    keys = {"consul_seed": SEED, "consul_closing": True}
    told = {role: document(render(make_consul, role, **keys), layout.IDENTITY_FILE).get("closing") for role in Role}
    assert told == {Role.DISCOVERY: True, Role.MASTER: None, Role.WORKER: None}


def test_rights_are_given_by_the_server_alone(make_consul: MakeConsul) -> None:
    steps = {role: [step.name for step in render(make_consul, role, consul_seed=SEED).steps] for role in Role}
    assert steps == {Role.DISCOVERY: ["agent", "rights"], Role.MASTER: ["agent"], Role.WORKER: ["agent"]}


@pytest.mark.parametrize("role", Role)
def test_without_a_seed_nothing_is_closed(make_consul: MakeConsul, role: Role) -> None:
    """As for the nodes of a cluster whose Consul an earlier version has made."""
    fragment = render(make_consul, role, consul_encrypt=KEY)
    assert layout.IDENTITY_FILE not in {file.path for file in fragment.files}
    assert document(fragment, layout.SECRETS_FILE) == {"encrypt": KEY}


@pytest.mark.parametrize("role", Role)
def test_who_a_machine_is_nobody_else_reads(make_consul: MakeConsul, role: Role) -> None:
    own = file(render(make_consul, role, consul_seed=SEED), layout.IDENTITY_FILE)
    assert (own.mode, own.secret) == (0o600, True)
    assert SEED not in str(own.content)
