"""Kubeconfigs that are made are used, from their fields alone, with an API server under the cluster's authority."""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from doubles.site import Site
from servers.control_plane import ControlPlaneServer

from kube_provision_core.contract.errors import ConfigError, ControlPlaneError
from kube_provision_core.contract.machines import Endpoint
from kube_provision_core.folder.kubeconfig import Access, Server
from kube_provision_core.folder.pki import create_pki
from kube_provision_core.verbs.kubeconfig import Made, Wish, kubeconfig

pytestmark = pytest.mark.usefixtures("look_often")

FIRST, SECOND, SITES = "127.68.1.1", "127.68.1.2", "127.68.1.3"
TWO = {"masters": 2, "workers": 0}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses |= {"m-prod-1": FIRST, "m-prod-2": SECOND}
    site.provision(**TWO)
    return site


@pytest.fixture
def second(site: Site) -> Iterator[ControlPlaneServer]:
    """The only one that answers."""
    with ControlPlaneServer(pki_of(site), SECOND) as server:
        yield server


def pki_of(site: Site) -> Any:
    assert site.folder
    return site.folder.pki


def make(site: Site, **wish: Any) -> Made:
    with site.session(**TWO) as session:
        return kubeconfig(session, Wish(**wish))


def certificate(access: Access) -> x509.Certificate:
    return x509.load_pem_x509_certificate(access.credential.certificate)


def ask(access: Access, folder: Path) -> tuple[int, Any]:
    """As any client does."""
    cluster, user = access.document["clusters"][0]["cluster"], access.document["users"][0]["user"]
    credential = folder / "credential.pem"
    credential.write_bytes(b64decode(user["client-certificate-data"]) + b64decode(user["client-key-data"]))
    context = ssl.create_default_context(cadata=b64decode(cluster["certificate-authority-data"]).decode())
    context.load_cert_chain(credential)
    at = access.server.at
    connection = http.client.HTTPSConnection(at.host, at.port, timeout=60)
    connection.connect = lambda: _connect(connection, context, access.server.name or at.host)  # type: ignore[method-assign]
    connection.request("GET", "/api/v1/nodes")
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    return answer.status, document


def _connect(connection: http.client.HTTPSConnection, context: ssl.SSLContext, name: str) -> None:
    http.client.HTTPConnection.connect(connection)
    connection.sock = context.wrap_socket(connection.sock, server_hostname=name)


def test_the_operators_leads_to_a_master_that_answers(site: Site, second: ControlPlaneServer, tmp_path: Path) -> None:
    access = make(site).access
    assert access.server.url == f"https://{SECOND}:6443"
    assert (access.cluster, access.user) == ("prod", "prod")
    assert ask(access, tmp_path)[0] == 200
    assert second.requests[-1].user == "kube-provision-operator"


def test_somebody_elses_lets_in_as_user_and_groups_for_thirty_days(
    site: Site, second: ControlPlaneServer, tmp_path: Path
) -> None:
    access = make(site, user="jane", groups=("shop", "kubeadm:cluster-admins")).access
    assert (access.cluster, access.user) == ("prod", "jane@prod")
    assert certificate(access).subject.rfc4514_string() == "CN=jane,O=kubeadm:cluster-admins,O=shop"
    assert timedelta(days=29) < certificate(access).not_valid_after_utc - datetime.now(UTC) <= timedelta(days=30)
    assert ask(access, tmp_path)[0] == 200
    assert second.requests[-1].user == "jane"


def test_who_is_in_no_group_may_do_nothing_yet(site: Site, second: ControlPlaneServer, tmp_path: Path) -> None:
    assert ask(make(site, user="jane").access, tmp_path)[0] == 403


def test_nothing_of_it_stays_in_the_folder(site: Site, second: ControlPlaneServer) -> None:
    assert site.folder
    before = {path: path.read_bytes() for path in site.folder.path.rglob("*") if path.is_file()}
    make(site)
    make(site, user="jane", days=3)
    assert {path: path.read_bytes() for path in site.folder.path.rglob("*") if path.is_file()} == before


def test_where_no_master_answers_that_is_said(site: Site) -> None:
    with pytest.raises(ControlPlaneError, match="no master can be asked"):
        make(site)


# --- a name of the site's own -------------------------------------------------------------------------------------------


def test_a_name_that_the_certificate_bears_needs_no_other(site: Site, tmp_path: Path) -> None:
    with ControlPlaneServer(pki_of(site), SITES):
        access = make(site, server=SITES).access
        assert (access.server.url, access.server.name) == (f"https://{SITES}:6443", "")
        assert ask(access, tmp_path)[0] == 200


def test_a_name_that_the_certificate_lacks_comes_with_one_that_it_bears(site: Site, tmp_path: Path) -> None:
    with ControlPlaneServer(pki_of(site), SITES, certificate_for="kubernetes") as server:
        made = make(site, server=f"{SITES}:{server.port}")
        assert (made.access.server, made.notes) == (Server(Endpoint(SITES, 6443), "kubernetes"), ())
        assert ask(made.access, tmp_path)[0] == 200


def test_a_name_that_is_silent_here_is_taken_with_a_note_and_needs_no_machine(site: Site) -> None:
    made = make(site, server="api.prod.invalid")
    assert (made.access.server.url, made.access.server.name) == ("https://api.prod.invalid:6443", "kubernetes")
    assert made.notes[0].startswith("no handshake with api.prod.invalid:6443: ")
    assert made.notes[0].endswith(": from here it could not be seen that this is the cluster")


def test_another_clusters_is_refused(site: Site) -> None:
    with ControlPlaneServer(create_pki("prod"), SITES), pytest.raises(ConfigError) as raised:
        make(site, server=SITES)
    assert str(raised.value) == f"--server: {SITES} shows a certificate that this cluster's authority has not signed"
