"""Probes of real kernels, real servers, and of tables as kernels write them."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.token_judge import api_server

from kube_provision_core.boot import kubelet
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_node import probes
from kube_provision_node.probes import Probes

HEADLINE = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
OWN = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
ZEROS = "0" * 32
DEFAULT6 = f"{ZEROS} 00 {ZEROS} 00 fd{'0' * 29}1 00000400 00000002 00000000 00000003     eth0\n"
REJECTED6 = f"{ZEROS} 00 {ZEROS} 00 {ZEROS} ffffffff 00000001 00000000 00200200       lo\n"


def machine(proc: Path, **tables: str) -> Probes:
    (proc / "net").mkdir(exist_ok=True)
    for name, text in tables.items():
        (proc / ("swaps" if name == "swaps" else f"net/{name}")).write_text(text)
    return Probes(proc)


class TestDefaultRoute:
    @pytest.mark.parametrize(
        ("route", "ipv6_route", "has"),
        [
            (HEADLINE + DEFAULT + OWN, REJECTED6, True),
            (HEADLINE + OWN, REJECTED6, False),
            (HEADLINE, "", False),
            ("", "", False),
            (HEADLINE, DEFAULT6 + REJECTED6, True),
            (HEADLINE + DEFAULT.replace("0003", "0203"), "", False),
            (HEADLINE + DEFAULT.replace("\t00000000\t0\t0\t0\n", "\t00000080\t0\t0\t0\n"), "", False),
        ],
        ids=["yes", "own-network-only", "none", "empty", "version-6", "rejecting", "half-of-the-world"],
    )
    def test_is_read_from_the_kernels_tables(self, tmp_path: Path, route: str, ipv6_route: str, has: bool) -> None:
        assert machine(tmp_path, route=route, ipv6_route=ipv6_route).has_default_route() is has

    def test_is_unknown_where_there_are_no_tables(self, tmp_path: Path) -> None:
        assert Probes(tmp_path).has_default_route() is None


@pytest.mark.parametrize(
    ("table", "swaps"),
    [
        ("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", ()),
        (
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
            "/dev/dm-1                               partition\t1048572\t\t1988\t\t-2\n/swapfile  file  2097148 0 -3\n",
            ("/dev/dm-1", "/swapfile"),
        ),
    ],
)
def test_swap_is_read_from_the_kernels_table(tmp_path: Path, table: str, swaps: tuple[str, ...]) -> None:
    assert machine(tmp_path, swaps=table).swaps() == swaps


def test_swap_is_not_seen_where_there_is_no_table(tmp_path: Path) -> None:
    assert Probes(tmp_path).swaps() == ()


BEGUN = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n"


@pytest.mark.parametrize(
    ("cluster", "own", "seen"),
    [
        (None, None, True),
        ("", None, True),
        ("failSwapOn: true\n", "maxPods: 9\n", True),
        ("failSwapOn: false\n", None, False),
        ("", "failSwapOn: false\nmaxPods: 9\n", False),
    ],
)
def test_swap_that_the_kubelet_is_told_to_run_beside_is_nothing_to_see(
    tmp_path: Path, cluster: str | None, own: str | None, seen: bool
) -> None:
    told = (tmp_path / "config.yaml", tmp_path / "50-kube-provision.conf")
    for path, text in zip(told, (cluster, own), strict=True):
        if text is not None:
            path.write_text(BEGUN + text)
    on = machine(tmp_path, swaps="Filename Type Size Used Priority\n/swapfile file 2097148 0 -3\n")
    assert replace(on, kubelet=told).swaps() == (("/swapfile",) if seen else ())


def test_what_a_kubelet_is_told_is_looked_for_where_it_is_written() -> None:
    assert str(Probes().kubelet[1]) == kubelet.SETTINGS


@contextmanager
def server(headers: dict[str, str], body: bytes = b"", *, delay: float = 0.0) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            time.sleep(delay)
            self.send_response_only(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/some/file"
        httpd.shutdown()


class TestClock:
    @pytest.mark.parametrize("off", [0.0, -7200.0, 90000.0])
    def test_is_compared_with_what_a_server_says(self, off: float) -> None:
        with server({"Date": formatdate(time.time() - off, usegmt=True)}) as url:
            ahead = Probes().clock_ahead([url])
        assert ahead == pytest.approx(off, abs=5)

    def test_an_answer_from_a_cache_is_as_old_as_it_says(self) -> None:
        with server({"Date": formatdate(time.time() - 3600, usegmt=True), "Age": "3600"}) as url:
            assert Probes().clock_ahead([url]) == pytest.approx(0, abs=5)

    def test_the_first_server_that_tells_is_believed(self) -> None:
        with server({}) as silent, server({"Date": "yesterday"}) as odd, server({"Date": formatdate(usegmt=True)}) as good:
            assert Probes().clock_ahead([silent, odd, good]) == pytest.approx(0, abs=5)

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:1/", "ftp://127.0.0.1/", "http://[", "https://", "http://127.0.0.1:x/"]
    )
    def test_nobody_who_answers_is_no_measurement(self, url: str) -> None:
        assert Probes().clock_ahead([url]) is None

    def test_a_server_that_hangs_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probes, "_LIMIT", 0.1)
        with server({"Date": formatdate(usegmt=True)}, delay=0.5) as url:
            assert Probes().clock_ahead([url]) is None


class TestAuthority:
    def test_of_the_cluster_that_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pki = create_pki("probed")
        encoded = base64.b64encode(pki.files["ca.crt"]).decode()
        body = f'{{"data": {{"kubeconfig": "clusters:\\n- cluster:\\n    certificate-authority-data: {encoded}\\n"}}}}'
        assert self.answered(body, monkeypatch) == pki.ca_pin

    @pytest.mark.parametrize("body", ["", "certificate-authority-data: AAAA", "certificate-authority-data: %"])
    def test_is_unknown_where_the_answer_holds_none(self, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.answered(body, monkeypatch) is None

    def answered(self, body: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
        """Over plain HTTP: that HTTPS is asked without verification is the choreography's test, on real nodes."""
        with server({}, body.encode()) as url:
            ask = probes._ask
            monkeypatch.setattr(probes, "_ask", lambda _, method: ask(url, method))
            return Probes().authority(8443)

    def test_is_unknown_where_nobody_answers(self) -> None:
        assert Probes().authority(1) is None


def pki_without_padding() -> Pki:
    """What follows its authority's base64 text is read as more of it."""
    return next(pki for _ in range(1000) if b"=" not in (pki := create_pki("probed")).files["ca.crt"])


class TestToken:
    """Asked of the API server, whose clock decides."""

    PKI = create_pki("probed")
    TOKEN = "5xf60f.0123456789abcdef"

    @pytest.mark.parametrize(("status", "accepted"), [(200, True), (403, True), (401, False), (503, None)])
    def test_is_accepted_or_not(self, tmp_path: Path, status: int, accepted: bool | None) -> None:
        with api_server(self.PKI, {"/api": status}) as (port, shown):
            assert self.probes(tmp_path).accepts_token(port, self.PKI.ca_pin) is accepted
        assert shown == [f"Bearer {self.TOKEN}"]

    def test_is_unknown_to_a_server_that_is_not_ready(self, tmp_path: Path) -> None:
        with api_server(self.PKI, {"/api": 401, "/readyz": 500}) as (port, _):
            assert self.probes(tmp_path).accepts_token(port, self.PKI.ca_pin) is None

    @pytest.mark.parametrize("pinned", [False, True], ids=["its-own", "the-pinned"])
    @pytest.mark.parametrize("own", [False, True], ids=["alone", "and-its-own"])
    def test_is_shown_to_no_other_cluster(self, tmp_path: Path, pinned: bool, own: bool) -> None:
        """Nor to one that names the pinned authority and has its own trusted beside it."""
        ours, theirs = pki_without_padding(), create_pki("theirs")
        claimed = (ours.files["ca.crt"] if pinned else b"") + (theirs.files["ca.crt"] if own or not pinned else b"")
        with api_server(theirs, {"/api": 401}, claims=claimed) as (port, shown):
            assert self.probes(tmp_path).accepts_token(port, ours.ca_pin) is None
        assert shown == []

    def test_of_a_machine_that_has_none_any_more(self, tmp_path: Path) -> None:
        with api_server(self.PKI, {"/api": 401}) as (port, shown):
            assert Probes(join=tmp_path / "gone").accepts_token(port, self.PKI.ca_pin) is None
        assert shown == []

    def probes(self, folder: Path) -> Probes:
        join = folder / "kubeadm-join.yaml"
        join.write_text(f"discovery:\n  bootstrapToken:\n    token: {self.TOKEN}\n    apiServerEndpoint: localhost:8443\n")
        return Probes(join=join)


@pytest.mark.parametrize(("target", "has"), [("resolv.real", True), ("nowhere", False)])
def test_a_resolver_file_may_be_a_link_that_leads_somewhere(tmp_path: Path, target: str, has: bool) -> None:
    (tmp_path / "resolv.real").touch()
    (tmp_path / "resolv.conf").symlink_to(target)
    assert Probes(resolver=tmp_path / "resolv.conf").has_resolver_file() is has


def test_a_real_machine_without_a_network_is_seen_as_one() -> None:
    program = (
        "from kube_provision_node.probes import Probes; p = Probes()\n"
        "print(p.has_default_route(), p.has_route_to('192.0.2.1'))"
    )
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False False\n", "")
