"""Pods that are started anew by a mark in their manifest: with a kubelet in its place, and programs that really serve."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kube_provision_core.folder.pki import create_pki
from kube_provision_core.folder.x509 import sign_client, sign_server
from kube_provision_node.settings import Places
from kube_provision_node.static_pods import ANNOTATION, PodError, StaticPod, StaticPods, annotated

SERVER = """
import http.server, ssl, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
context.verify_mode = ssl.CERT_REQUIRED if sys.argv[5] else ssl.CERT_OPTIONAL
context.load_verify_locations(sys.argv[4])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
MANIFEST = "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    tier: control-plane\n  name: it\nspec: {}\n"
LIMIT = 60.0


class Kubelet:
    """Runs a manifest's program as often as the manifest changes."""

    def __init__(self, root: Path, wants: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.name = f"kp-{port}"
        self.pod = StaticPod(self.name, port, "/readyz", "apiserver.crt", wants)
        self.kubernetes = root / "etc/kubernetes"
        self.manifest = self.kubernetes / f"manifests/{self.name}.yaml"
        self.manifest.parent.mkdir(parents=True)
        self.manifest.write_text(MANIFEST)
        self.pki = create_pki("prod")
        self.issue()
        self.starts, self.heeds = 0, True
        self._program: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def issue(self) -> None:
        folder = self.kubernetes / "pki"
        folder.mkdir(exist_ok=True)
        server = sign_server(self.pki.authority("ca"), "kube-apiserver", ["127.0.0.1"], timedelta(days=1))
        client = sign_client(self.pki.authority("etcd/ca"), "kube-apiserver-etcd-client", None, timedelta(days=1))
        (folder / "ca.crt").write_bytes(self.pki.ca)
        (folder / "etcd-ca.crt").write_bytes(self.pki.etcd_ca)
        for name, pair in {"apiserver": server, "apiserver-etcd-client": client}.items():
            (folder / f"{name}.crt").write_bytes(pair.certificate)
            (folder / f"{name}.key").write_bytes(pair.key)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._stop()

    def _watch(self) -> None:
        known = ""
        while not self._over.wait(0.05):
            text = self.manifest.read_text()
            if text != known and self.heeds:
                known = text
                self._stop()
                self._start()

    def _start(self) -> None:
        pair = [str(self.kubernetes / "pki/apiserver.crt"), str(self.kubernetes / "pki/apiserver.key")]
        authority = self.kubernetes / f"pki/{'etcd-' if self.pod.wants else ''}ca.crt"
        command = [self.name, "-c", SERVER, str(self.pod.port), *pair, str(authority), self.pod.wants]
        self._program = subprocess.Popen(command, executable=sys.executable)
        self.starts += 1

    def _stop(self) -> None:
        if self._program:
            self._program.kill()
            self._program.wait()


@pytest.fixture(params=["", "apiserver-etcd-client.crt"], ids=["as-anybody", "with-a-certificate"])
def kubelet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kubelet]:
    """Like the real ones, its program refuses whom its own authority has not signed."""
    kubelet = Kubelet(tmp_path, request.param)
    yield kubelet
    kubelet.close()


@pytest.fixture
def pods(tmp_path: Path, kubelet: Kubelet) -> StaticPods:
    """They are looked at again more often than once a second, and not before the program of before had time to go."""
    return StaticPods(Places(tmp_path), sleep=lambda seconds: time.sleep(seconds / 4))


def test_a_pod_is_started_anew_and_serves_what_is_on_the_disk(kubelet: Kubelet, pods: StaticPods) -> None:
    pods.restart(kubelet.pod, "1", LIMIT)
    kubelet.issue()
    pods.restart(kubelet.pod, "2", LIMIT)
    assert pods.trouble(kubelet.pod) == ""


def test_one_mark_starts_it_once(kubelet: Kubelet, pods: StaticPods) -> None:
    pods.restart(kubelet.pod, "1", LIMIT)
    before = kubelet.starts
    pods.restart(kubelet.pod, "1", LIMIT)
    assert kubelet.starts == before


def test_one_that_still_runs_as_it_did_is_not_healthy(
    kubelet: Kubelet, pods: StaticPods, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is fast comes here within the second that is tolerated elsewhere."""
    pods.restart(kubelet.pod, "1", LIMIT)
    kubelet.heeds = False
    monkeypatch.setattr("kube_provision_node.static_pods._TOLERANCE", 0.0)
    with pytest.raises(PodError, match=rf"{kubelet.name} is not healthy 1 s after .*: it has not been started again yet"):
        pods.restart(kubelet.pod, "2", 1)


def test_one_that_serves_another_certificate_is_not_healthy(kubelet: Kubelet, pods: StaticPods) -> None:
    pods.restart(kubelet.pod, "1", LIMIT)
    kubelet.issue()
    assert pods.trouble(kubelet.pod) == f"port {kubelet.pod.port} shows another certificate than apiserver.crt"


def test_one_whose_page_says_no_is_not_healthy(kubelet: Kubelet, pods: StaticPods) -> None:
    pods.restart(kubelet.pod, "1", LIMIT)
    other = replace(kubelet.pod, page="/healthz")
    assert pods.trouble(other) == f"https://127.0.0.1:{kubelet.pod.port}/healthz answers 404"


def test_one_that_does_not_run_is_not_healthy(kubelet: Kubelet, pods: StaticPods) -> None:
    kubelet.heeds = False
    kubelet.manifest.with_name("gone.yaml").write_text(MANIFEST)
    assert pods.trouble(StaticPod("gone", kubelet.pod.port)) == "it does not run"


def test_nothing_else_is_written_beside_manifests(kubelet: Kubelet, pods: StaticPods) -> None:
    pods.restart(kubelet.pod, "1", LIMIT)
    assert [path.name for path in kubelet.manifest.parent.iterdir()] == [kubelet.manifest.name]


@pytest.mark.parametrize(
    "manifest",
    [
        MANIFEST,
        MANIFEST.replace("  labels", "  annotations:\n    kubeadm.kubernetes.io/x: 10.0.0.1:6443\n  labels"),
        MANIFEST.replace("  labels", f'  annotations:\n    {ANNOTATION}: "1"\n  labels'),
    ],
)
def test_a_manifest_bears_one_mark(manifest: str) -> None:
    found = annotated(manifest, "2")
    assert re.findall(rf"^    {ANNOTATION}: (.*)$", found, re.MULTILINE) == ['"2"']
    assert found.count("annotations:") == 1
    assert annotated(found, "2") == found


def test_what_is_no_manifest_is_left_alone() -> None:
    with pytest.raises(PodError, match="has no metadata as kubeadm writes them"):
        annotated("kind: Pod\n", "1")
