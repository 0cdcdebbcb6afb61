"""A folder for real hosts is filled from servers of upstream's shape: signed packages, a registry that sends elsewhere."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from machines.images import layer_and_config
from machines.kubernetes import IMAGES, VARIABLE, WANTED, kubernetes, successors
from machines.packages import Package, architecture
from machines.real.fetch import Upstream, fetch
from machines.real.registry import INDEXES, MANIFESTS
from machines.repository import KUBERNETES, Mirror

ADDRESS = "127.0.96.1"
MINOR = KUBERNETES.strip("/").rpartition("/")[2]
NEWEST = f"{MINOR}.10"
OCI = MANIFESTS[0].partition(".manifest")[0]
NAMES = ("pause:3.10.2", "coredns/coredns:v1.14.2")
KUBEADM = f"""\
#!/bin/sh
[ "$*" = "config images list --kubernetes-version v{NEWEST}" ] && printf 'registry.k8s.io/%s\\n' {" ".join(NAMES)}
"""


class Content:
    """What a registry serves, by path; blobs lie elsewhere. The images of other machines come first."""

    def __init__(self) -> None:
        self.served: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        for name in NAMES:
            repository, _, tag = name.rpartition(":")
            manifests = [self._manifest(repository, "s390x"), self._manifest(repository, architecture())]
            index = json.dumps({"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": manifests}).encode()
            self.served[f"/v2/{repository}/manifests/{tag}"] = (INDEXES[0], index)

    def _manifest(self, repository: str, machine: str) -> dict[str, Any]:
        layer, config = layer_and_config()
        config = json.dumps(json.loads(config) | {"architecture": machine}).encode()
        parts = [
            self._blob(f"{OCI}.{kind}", content) for kind, content in (("config.v1+json", config), ("layer.v1.tar", layer))
        ]
        content = json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": parts[0], "layers": parts[1:]}
        ).encode()
        described = _described(MANIFESTS[0], content)
        self.served[f"/v2/{repository}/manifests/{described['digest']}"] = (MANIFESTS[0], content)
        return described | {"platform": {"os": "linux", "architecture": machine}}

    def _blob(self, kind: str, content: bytes) -> dict[str, Any]:
        described = _described(kind, content)
        self.blobs[described["digest"]] = content
        return described


def _described(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


class Registry(ThreadingHTTPServer):
    def __init__(self, content: Content) -> None:
        self.content = content
        super().__init__((ADDRESS, 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        digest = self.path.rpartition("/")[2]
        if self.path in self.server.content.served:
            self._answer(200, *self.server.content.served[self.path])
        elif self.path.startswith("/elsewhere/"):
            self._answer(200, "application/octet-stream", self.server.content.blobs[digest])
        elif "/blobs/" in self.path:
            self._answer(307, "text/plain", b"", f"/elsewhere/{digest}")
        else:
            self._answer(404, "text/plain", b"")

    def _answer(self, status: int, kind: str, content: bytes, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    """Two releases of one minor, and what is released by itself."""
    folder = tmp_path_factory.mktemp("mirror")
    made = [
        Package(name, f"{version}-1.1", {"/usr/bin/kubeadm": KUBEADM} if name == "kubeadm" else {}).build(folder)
        for name in ("kubeadm", "kubelet", "kubectl")
        for version in (f"{MINOR}.9", NEWEST)
    ]
    made += [Package(name, "1.8.0-1.1", depends=("iptables",)).build(folder) for name in ("cri-tools", "kubernetes-cni")]
    with Mirror(folder, ADDRESS) as mirror:
        mirror.add_kubernetes(made)
        shutil.copy(mirror.folder / "site.asc", mirror.folder / KUBERNETES / "Release.key")
        yield mirror


@pytest.fixture
def registry() -> Iterator[Registry]:
    with Registry(Content()) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def upstream(mirror: Mirror, registry: Registry) -> Upstream:
    return Upstream(mirror.url("kubernetes/{minor}/"), registry.url)


def test_takes_the_newest_release_of_a_minor_and_its_images(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, work = tmp_path / "kubernetes", tmp_path / "work"
    fetch(folder, MINOR, upstream)
    assert {path.name.split("_")[0] for path in folder.glob("*.deb")} == WANTED
    work.mkdir()
    monkeypatch.setenv(VARIABLE, str(folder))
    taken = kubernetes(work)
    assert taken.version == NEWEST
    assert taken.layer
    archives = sorted(path.name for path in (taken.layer / IMAGES[1:]).iterdir())
    assert archives == ["coredns_coredns_v1.14.2.tar", "pause_3.10.2.tar"]
    assert "image: registry.k8s.io/pause:3.10.2" in taken.manifests[0].read_text()


def test_of_two_folders_hosts_install_the_first_and_have_images_of_both(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, work = tmp_path / "kubernetes", tmp_path / "work"
    fetch(folder, MINOR, upstream)
    work.mkdir()
    monkeypatch.setenv(VARIABLE, f"{folder}:{folder}")
    taken = kubernetes(work)
    (later,) = successors(work)
    assert taken.layer
    for release in (taken, later):
        images = taken.layer / release.settings["image_archives"][1:]
        assert sorted(path.name for path in images.iterdir()) == ["coredns_coredns_v1.14.2.tar", "pause_3.10.2.tar"]
    assert later.settings["image_archives"] != taken.settings["image_archives"]


def test_of_one_folder_nothing_is_upgraded(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/srv/kubernetes")
    with pytest.raises(RuntimeError, match="KUBERNETES=/srv/kubernetes: a second folder is needed for upgrades"):
        successors(tmp_path)


def test_takes_the_release_that_is_asked_for(upstream: Upstream, tmp_path: Path) -> None:
    with pytest.raises(
        RuntimeError, match=rf"apt-get download failed: E: Version '{MINOR}\.4-\*' for 'kubeadm' was not found"
    ):
        fetch(tmp_path, f"{MINOR}.4", upstream)


def test_fetches_nothing_twice(upstream: Upstream, tmp_path: Path) -> None:
    fetch(tmp_path, MINOR, upstream)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    fetch(tmp_path, MINOR, Upstream("http://127.0.96.2/", "http://127.0.96.2"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("name", sorted(WANTED))
def test_fills_what_an_interrupted_call_has_left_half_filled(upstream: Upstream, tmp_path: Path, name: str) -> None:
    fetch(tmp_path, MINOR, upstream)
    whole = {path.name for path in tmp_path.rglob("*.*")}
    for package in tmp_path.glob(f"{name}_*.deb"):
        package.unlink()
    (tmp_path / f"kubelet_{MINOR}.1-1.1_{architecture()}.deb").touch()  # of an earlier release, unless it was lost
    fetch(tmp_path, MINOR, upstream)
    assert {path.name for path in tmp_path.rglob("*.*")} == whole


def test_refuses_content_that_is_not_what_its_digest_says(upstream: Upstream, registry: Registry, tmp_path: Path) -> None:
    registry.content.blobs = dict.fromkeys(registry.content.blobs, b"something else")
    with pytest.raises(RuntimeError, match="is something else"):
        fetch(tmp_path, MINOR, upstream)
    assert list((tmp_path / "images").glob("*.tar")) == []


def test_refuses_packages_that_nobody_vouches_for(mirror: Mirror, upstream: Upstream, tmp_path: Path) -> None:
    key = mirror.folder / KUBERNETES / "Release.key"
    right = key.read_text()
    key.write_text("")
    try:
        with pytest.raises(RuntimeError, match=r"apt-get update failed: (.|\n)*not signed"):
            fetch(tmp_path, MINOR, upstream)
    finally:
        key.write_text(right)
    assert list(tmp_path.glob("*.deb")) == []


def test_leaves_no_half_archive_where_an_image_is_not_there(upstream: Upstream, registry: Registry, tmp_path: Path) -> None:
    registry.content.served.clear()
    with pytest.raises(HTTPError, match="404"):
        fetch(tmp_path, MINOR, upstream)
    assert list((tmp_path / "images").glob("*.tar")) == []
