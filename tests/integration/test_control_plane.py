"""Calls to a living cluster's API, against a stand-in that speaks HTTPS under the cluster's real PKI."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from servers.cluster_objects import NODES, RBAC, SECRETS
from servers.control_plane import ControlPlaneServer, Fault, server_context

from kube_provision_core.cluster import answers
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.https_client import HttpsClient
from kube_provision_core.cluster.living import look
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract import kept_files
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Endpoint, Power, Role, Stamp, Vm
from kube_provision_core.folder.kubeconfig import API_PORT, render_kubeconfig
from kube_provision_core.folder.pki import Pki, create_certificate_key, create_pki
from kube_provision_core.folder.x509 import sign_client, sign_server
from kube_provision_core.testing import cluster_of

FIRST, SECOND, NOBODY = "127.62.0.1", "127.62.0.2", "127.62.0.9"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def other() -> Pki:
    return create_pki("prod")


@pytest.fixture
def server(pki: Pki) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, FIRST) as server:
        yield server


@pytest.fixture
def second(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, SECOND, objects=server.objects) as second:
        yield second


@pytest.fixture
def api(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlane]:
    with ControlPlane([server.address], pki) as api:
        yield api


def nobody(reasons: str) -> str:
    return f"no master can be asked ({reasons}): start one, or mend the way to it, and run again"


def trouble(call: Callable[[], object]) -> str:
    with pytest.raises(ControlPlaneError) as raised:
        call()
    return str(raised.value)


# --- what is asked and stored --------------------------------------------------------------------------------------


def test_a_ready_master_is_ready(api: ControlPlane) -> None:
    api.check()


def test_a_master_that_is_not_ready_says_why(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.ready = False
    assert trouble(api.check) == nobody(f"{FIRST}:6443 answers 500 ([-]etcd failed: reason withheld)")


def test_a_master_tells_the_version_of_kubernetes(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.version = "v1.35.9"
    assert api.version() == "1.35.9"


@pytest.mark.parametrize("written", ["localhost:8443", '"localhost:8443"'])
def test_kubeadms_configuration_tells_where_nodes_look_for_an_api_server(
    api: ControlPlane, server: ControlPlaneServer, written: str
) -> None:
    assert api.kubeadm_configuration().endpoint == ""
    server.objects.configure("controlPlaneEndpoint", written)
    assert api.kubeadm_configuration().endpoint == "localhost:8443"


@pytest.mark.parametrize("written", ["v1.36.2", '"v1.36.2"', "1.36.2"])
def test_kubeadms_configuration_tells_the_version_of_the_whole_cluster_whichever_master_answers(
    api: ControlPlane, server: ControlPlaneServer, written: str
) -> None:
    server.version = "v1.37.1"
    assert api.kubeadm_configuration().version == ""
    server.objects.configure("kubernetesVersion", written)
    assert api.kubeadm_configuration().version == "1.36.2"


def test_a_node_tells_the_version_of_its_kubelet_once_it_has_joined(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.add_node("w-prod-1", "127.0.0.21")
    server.objects.add_node("w-prod-2", "127.0.0.22", kubelet="v1.36.2")
    assert {node.name: node.kubelet for node in api.nodes() if node.name[0] == "w"} == {"w-prod-1": "", "w-prod-2": "1.36.2"}


def test_a_minted_token_is_stored_with_its_end(api: ControlPlane, server: ControlPlaneServer) -> None:
    identity, secret = api.mint_token(1800).split(".")
    stored = server.objects.secret(f"bootstrap-token-{identity}")
    assert stored["token-secret"].decode() == secret
    end = datetime.strptime(stored["expiration"].decode(), "%Y-%m-%dT%H:%M:%S%z")
    assert timedelta(seconds=1780) < end - datetime.now(UTC) <= timedelta(seconds=1800)


def test_a_token_whose_name_exists_is_made_anew(
    api: ControlPlane, server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(["aaaaaa." + "1" * 16, "aaaaaa." + "2" * 16, "bbbbbb." + "3" * 16])
    monkeypatch.setattr("kube_provision_core.cluster.api.create_token", lambda: next(tokens))
    assert api.mint_token(60) == "aaaaaa." + "1" * 16
    assert api.mint_token(60) == "bbbbbb." + "3" * 16
    assert server.objects.secret("bootstrap-token-aaaaaa")["token-secret"] == b"1" * 16


def test_uploaded_certificates_can_be_fetched_as_a_joining_master_does(
    api: ControlPlane, server: ControlPlaneServer, pki: Pki
) -> None:
    key = create_certificate_key()
    api.upload_certificates(key)
    cipher = AESGCM(bytes.fromhex(key))
    uploaded = server.objects.secret("kubeadm-certs")
    assert {name: cipher.decrypt(content[:12], content[12:], None) for name, content in uploaded.items()} == {
        path.replace("/", "-"): content for path, content in pki.files.items()
    }


def test_an_upload_belongs_to_a_token_that_ends_in_two_hours(api: ControlPlane, server: ControlPlaneServer) -> None:
    api.upload_certificates(create_certificate_key())
    stored = server.objects.all(SECRETS)
    (owner,) = stored["kubeadm-certs"]["metadata"]["ownerReferences"]
    assert owner["uid"] == stored[owner["name"]]["metadata"]["uid"]
    assert "usage-bootstrap-authentication" not in stored[owner["name"]]["data"]


def test_a_later_upload_replaces_the_earlier_one(api: ControlPlane, server: ControlPlaneServer) -> None:
    first, second = create_certificate_key(), create_certificate_key()
    api.upload_certificates(first)
    api.upload_certificates(second)
    content = server.objects.secret("kubeadm-certs")["ca.key"]
    assert AESGCM(bytes.fromhex(second)).decrypt(content[:12], content[12:], None)


def test_an_upload_of_kubeadms_own_is_replaced(api: ControlPlane, server: ControlPlaneServer) -> None:
    metadata = {"name": "kubeadm-certs", "namespace": "kube-system"}
    server.objects.create(SECRETS, {"kind": "Secret", "metadata": metadata, "type": "Opaque", "data": {"ca.crt": "AAAA"}})
    api.upload_certificates(create_certificate_key())
    assert len(server.objects.secret("kubeadm-certs")) == 8


def test_an_upload_may_be_read_by_joining_nodes(api: ControlPlane, server: ControlPlaneServer) -> None:
    api.upload_certificates(create_certificate_key())
    assert set(server.objects.all(f"{RBAC}/roles")) == {"kubeadm:kubeadm-certs"}
    assert set(server.objects.all(f"{RBAC}/rolebindings")) == {"kubeadm:kubeadm-certs"}


def test_nodes_are_told_with_role_readiness_and_address(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.add_node("m-prod-1", "10.0.0.1", master=True)
    server.objects.add_node("w-prod-1", "10.0.0.2", ready=False)
    master, worker = api.nodes()
    assert replace(master, labels={}) == ClusterNode("m-prod-1", ready=True, roles=("control-plane",), address="10.0.0.1")
    assert replace(worker, labels={}) == ClusterNode("w-prod-1", ready=False, roles=(), address="10.0.0.2")
    assert worker.labels == {"kubernetes.io/hostname": "w-prod-1"}


def test_a_node_that_has_told_nothing_yet_is_a_node(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.create(NODES, {"metadata": {"name": "w-prod-1"}})
    assert api.nodes() == (ClusterNode("w-prod-1", ready=False, roles=(), address=None),)


def test_many_nodes_come_in_pages(api: ControlPlane, server: ControlPlaneServer) -> None:
    for index in range(501):
        server.objects.add_node(f"w-prod-{index:03}", "10.0.0.1")
    assert [node.name for node in api.nodes()] == [f"w-prod-{index:03}" for index in range(501)]
    assert len(server.requests) == 3


def test_more_pages_than_are_read_are_no_whole_list(
    api: ControlPlane, server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as may be are a whole one."""
    monkeypatch.setattr(answers, "MOST_PAGES", 2)
    for index in range(500):
        server.objects.add_node(f"w-prod-{index:03}", "10.0.0.1")
    assert len(api.nodes()) == 500
    server.objects.add_node("w-prod-500", "10.0.0.1")
    with pytest.raises(ControlPlaneError, match=r"^the cluster does not list its nodes to the end: it has more than 500$"):
        api.nodes()


def test_a_deleted_node_is_gone_and_may_be_deleted_again(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.add_node("w-prod-1", "10.0.0.1")
    api.delete_node("w-prod-1")
    api.delete_node("w-prod-1")
    assert server.objects.all(NODES) == {}


def test_the_audit_log_tells_us_from_the_operator(api: ControlPlane, server: ControlPlaneServer) -> None:
    api.check()
    assert {request.user for request in server.requests} == {"kube-provision"}


# --- several masters -----------------------------------------------------------------------------------------------


def test_the_next_master_is_asked_if_one_is_gone(pki: Pki, second: ControlPlaneServer) -> None:
    with ControlPlane([NOBODY, SECOND], pki) as api:
        api.check()


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=500), Fault(status=429), Fault(delay=30)])
def test_the_next_master_is_asked_if_one_fails(
    pki: Pki, server: ControlPlaneServer, second: ControlPlaneServer, fault: Fault
) -> None:
    server.faults.append(fault)
    with ControlPlane([FIRST, SECOND], pki, timeout=5) as api:
        assert api.mint_token(60)
    assert len(second.requests) == 1


def test_the_master_that_answered_is_asked_first_next_time(
    pki: Pki, server: ControlPlaneServer, second: ControlPlaneServer
) -> None:
    server.faults.append(Fault(status=503))
    with ControlPlane([FIRST, SECOND], pki) as api:
        api.check()
        api.check()
    assert (len(server.requests), len(second.requests)) == (1, 2)


def test_a_call_that_breaks_off_after_it_was_carried_out_is_made_again(
    api: ControlPlane, server: ControlPlaneServer
) -> None:
    server.faults.extend([Fault(break_off=True), Fault(), Fault(break_off=True)])
    api.upload_certificates(create_certificate_key())
    assert len(server.objects.secret("kubeadm-certs")) == 8


def test_a_connection_that_was_closed_meanwhile_is_opened_again(pki: Pki) -> None:
    with ControlPlane([FIRST], pki) as api:
        for _ in range(2):
            with ControlPlaneServer(pki, FIRST):
                api.check()


def test_if_nobody_answers_each_address_is_named_with_its_reason(pki: Pki, server: ControlPlaneServer) -> None:
    server.faults.append(Fault(status=503))
    with ControlPlane([NOBODY, FIRST], pki) as api:
        message = trouble(api.check)
    assert message == nobody(
        f"{NOBODY}:6443 cannot be reached (Connection refused); {FIRST}:6443 answers 503 (told to fail)"
    )


def test_without_addresses_nothing_can_be_asked(pki: Pki) -> None:
    with ControlPlane([], pki) as api:
        assert trouble(api.check) == nobody("no address is known")


# --- time ----------------------------------------------------------------------------------------------------------


def test_a_silent_master_is_given_up_in_time(pki: Pki, server: ControlPlaneServer) -> None:
    server.faults.append(Fault(delay=600))
    begin = time.monotonic()
    with ControlPlane([FIRST], pki, timeout=0.5) as api:
        assert trouble(api.check) == nobody(f"{FIRST}:6443 is there, but does not answer in time")
    assert time.monotonic() - begin < 60


def test_a_slow_master_is_waited_for_where_one_that_is_off_is_not(pki: Pki, server: ControlPlaneServer) -> None:
    """Its etcd takes 10 s for a write; nobody listens at the other address, which is known at once."""
    server.objects.add_node("w-prod-1", "127.62.0.7")
    server.faults.append(Fault(delay=10))
    with ControlPlane([NOBODY, FIRST], pki) as api:
        api.delete_node("w-prod-1")
        assert api.nodes() == ()


def test_of_workers_that_come_and_go_etcd_is_asked_nothing(pki: Pki, server: ControlPlaneServer) -> None:
    """There is none here, and its API server is not ready without it."""
    server.ready = False
    server.objects.add_node("m-prod-1", FIRST, master=True)
    stamp = Stamp("prod", "id", Role.MASTER, "0" * 12)
    seen = Observation(cluster_of("m-prod-1", name="prod"), (Vm("m-prod-1", "id", Power.ON, stamp, (FIRST,)),))
    assert look(seen, pki, etcd=False).node("m-prod-1")


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something on the API's port that is no API server."""
    with socket.create_server((SECOND, API_PORT)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield SECOND
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(60)


def test_a_master_that_drips_is_given_up_in_time(pki: Pki) -> None:
    context = server_context(sign_server(pki.authority("ca"), "drip", [SECOND], HOUR), pki.ca)

    def drip(connection: socket.socket) -> None:
        connection.settimeout(60)
        with context.wrap_socket(connection, server_side=True) as encrypted:
            encrypted.recv(65536)
            encrypted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(6000):
                encrypted.sendall(b"x")
                time.sleep(0.1)

    begin = time.monotonic()
    with listener(drip) as address, ControlPlane([address], pki, timeout=0.5) as api:
        assert trouble(api.check) == nobody(f"{SECOND}:6443 is there, but does not answer in time")
    assert time.monotonic() - begin < 60


def test_a_flood_is_not_read_to_its_end(
    api: ControlPlane, server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_provision_core.cluster.https_client.LARGEST_ANSWER", 100)
    server.objects.add_node("m-prod-1", "10.0.0.1")
    assert trouble(api.nodes) == nobody(f"{FIRST}:6443 gives no usable answer (the answer is too large)")


# --- who answers there ---------------------------------------------------------------------------------------------


def test_another_cluster_at_the_address_is_told(other: Pki, server: ControlPlaneServer) -> None:
    with ControlPlane([FIRST], other) as api:
        assert trouble(api.check) == nobody(
            f"{FIRST}:6443 has a certificate that this cluster's authority has not signed: another cluster answers there"
        )
    assert server.requests == []


def test_another_machine_of_the_cluster_at_the_address_is_told(pki: Pki) -> None:
    with ControlPlaneServer(pki, FIRST, certificate_for=SECOND), ControlPlane([FIRST], pki) as api:
        assert "has a certificate for other addresses" in trouble(api.check)


def test_an_expired_certificate_is_told(pki: Pki) -> None:
    expired = timedelta(minutes=-1)
    with ControlPlaneServer(pki, FIRST, certificate_lifetime=expired), ControlPlane([FIRST], pki) as api:
        assert "has a certificate that is not valid now" in trouble(api.check)


def test_something_that_speaks_no_tls_is_told(pki: Pki) -> None:
    with (
        listener(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as address,
        ControlPlane([address], pki) as api,
    ):
        assert trouble(api.check) == nobody(f"{SECOND}:6443 does not speak TLS as a master does")


def test_a_cluster_that_refuses_our_certificate_is_told(pki: Pki, other: Pki, server: ControlPlaneServer) -> None:
    foreign = sign_client(other.authority("ca"), "someone", "kubeadm:cluster-admins", HOUR)
    client = HttpsClient([FIRST], API_PORT, pki.ca, foreign, timeout=60)
    assert "refuses our certificate" in trouble(lambda: client.call("GET", "/api/v1/nodes"))
    client.close()


def test_what_administrators_may_do_others_may_not(pki: Pki, server: ControlPlaneServer) -> None:
    anybody = sign_client(pki.authority("ca"), "someone", "system:authenticated", HOUR)
    client = HttpsClient([FIRST], API_PORT, pki.ca, anybody, timeout=60)
    assert client.call("GET", "/api/v1/nodes").status == 403
    client.close()


def test_a_master_that_is_just_starting_and_forbids_all_is_passed_over(
    pki: Pki, server: ControlPlaneServer, second: ControlPlaneServer
) -> None:
    server.faults.extend([Fault(status=403)] * 2)
    with ControlPlane([FIRST, SECOND], pki, timeout=5) as api:
        api.nodes()
        assert api.answering == SECOND


def test_a_master_that_has_just_started_when_it_is_asked_why_it_forbids_is_asked_again(
    pki: Pki, server: ControlPlaneServer
) -> None:
    server.faults.append(Fault(status=403, path=NODES))
    with ControlPlane([FIRST], pki, timeout=5) as api:
        assert api.nodes() == ()
        assert api.answering == FIRST


@pytest.mark.parametrize(
    ("status", "advice"), [(403, "ClusterRoleBinding kubeadm:cluster-admins"), (401, "compare its clock"), (404, "(404: ")]
)
def test_a_refusal_says_who_refused_what_and_what_to_look_at(
    api: ControlPlane, server: ControlPlaneServer, status: int, advice: str
) -> None:
    server.faults.extend([Fault(status=status, path=NODES)] * 2)
    message = trouble(api.nodes)
    assert message.startswith(f"the master at {FIRST}:6443 does not list its nodes ({status}: told to fail)")
    assert advice in message


# --- keys and proxies ----------------------------------------------------------------------------------------------


def test_proxies_of_the_environment_are_ignored(api: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{NOBODY}:1")
    api.check()


def test_our_key_is_on_no_disk_in_the_clear_and_its_file_is_gone_at_once(
    api: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[Path, bytes]] = []
    write = kept_files.create_file

    def watched(path: Path, content: bytes) -> None:
        written.append((path, content))
        write(path, content)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(kept_files, "create_file", watched)
    api.check()
    ((path, content),) = written
    assert path.is_relative_to(tmp_path)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
    assert content.count(b"PRIVATE KEY-----") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_operators_kubeconfig_works(pki: Pki, server: ControlPlaneServer, tmp_path: Path) -> None:
    """As any client of it does: from the file's fields alone."""
    document = yaml.safe_load(render_kubeconfig("prod", FIRST, pki))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    credential = tmp_path / "credential.pem"
    credential.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    context.load_cert_chain(credential)
    url = urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(str(url.hostname), url.port, context=context, timeout=5)
    connection.request("GET", "/api/v1/nodes")
    assert json.loads(connection.getresponse().read())["items"] == []
    connection.close()
    assert server.requests[-1].user == "kube-provision-operator"


def test_a_master_that_this_host_reaches_elsewhere_is_verified_by_its_own_address(pki: Pki) -> None:
    inside = "10.0.2.11"
    with ControlPlaneServer(pki, FIRST, certificate_for=inside) as server:
        forwarded = {API_PORT: Endpoint(server.address, server.port)}
        with ControlPlane([inside], pki, endpoint=lambda address, port: forwarded[port]) as api:
            api.check()
        with (
            ControlPlane([SECOND], pki, endpoint=lambda address, port: forwarded[port]) as api,
            pytest.raises(ControlPlaneError, match="certificate for other addresses"),
        ):
            api.check()
