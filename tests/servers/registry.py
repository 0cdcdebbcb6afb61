"""Debian's registry of container images, with a certificate of its site's own authority and a password.

with registry(tmp_path, ["team/app:1"]) as images:
    config = {"registries": {images.host: images.entry}}
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

from machines.images import layer_and_config
from servers.certificates import ServerCertificate, issue_certificate
from servers.debian import unpacked
from servers.process import ServerProcess
from servers.tokens import SERVICE, basic, token_server

USERNAME = "robot$kube"
PASSWORD = "it is-S3cret"
_HTPASSWD = f"{USERNAME}:$2b$05$R/64GzvciEyfwTiRXVmifO0PA.FvU5M4BQ.InrlJ5DWWP10TzI7ES\n"
"""The only digest that it takes is bcrypt's, which nothing here can make."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Registry:
    """One that runs."""

    host: str
    """With its port, as images name it."""
    ca_file: Path
    log: Path

    @property
    def entry(self) -> dict[str, str]:
        """What a configuration says of it, under `registries`."""
        return {"ca": str(self.ca_file), "username": USERNAME, "password": PASSWORD}

    @property
    def requests(self) -> list[str]:
        """What was asked for and answered: method and path."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        answered = [line for line in lines if line.get("msg") == "response completed"]
        return [f"{line['http.request.method']} {line['http.request.uri']}" for line in answered]


@contextmanager
def registry(
    folder: Path, images: Iterable[str], address: str = "127.0.0.1", names: Sequence[str] = (), *, tokens: bool = False
) -> Iterator[Registry]:
    """`names`: what else its certificate is for. `tokens`: a server of its own takes the password, and hands out those."""
    folder.mkdir(parents=True)
    certificate = issue_certificate(folder, (address, *names))
    host = f"{address}:{_free_port(address)}"
    (folder / "htpasswd").write_text(_HTPASSWD)
    plain = {"htpasswd": {"realm": "site", "path": str(folder / "htpasswd")}}
    with _running(folder, host, certificate, plain) as running:
        for image in images:
            _push(running, image)
        if not tokens:
            yield running
            return
    with token_server(address, certificate, basic(USERNAME, PASSWORD)) as realm:
        auth = {"realm": realm, "service": SERVICE, "issuer": SERVICE, "rootcertbundle": str(certificate.certificate)}
        with _running(folder, host, certificate, {"token": auth}) as running:
            yield running


@contextmanager
def _running(
    folder: Path, host: str, certificate: ServerCertificate, auth: Mapping[str, Mapping[str, str]]
) -> Iterator[Registry]:
    settings = folder / "config.yml"
    settings.write_text(json.dumps({
        "version": 0.1,
        "log": {"formatter": "json", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": host, "tls": {"certificate": str(certificate.certificate), "key": str(certificate.key)}},
        "auth": auth,
    }))  # fmt: skip
    program = unpacked("docker-registry") / "usr/bin/docker-registry"
    server = ServerProcess([str(program), "serve", str(settings)], folder / "log")
    try:
        server.wait_until(lambda: _listens(host))
        yield Registry(host, certificate.ca_file, folder / "log")
    finally:
        server.stop()


def _push(running: Registry, name: str) -> None:
    """A tiny image, as `team/app:1`."""
    repository, _, tag = name.rpartition(":")
    layer, config = layer_and_config()
    described = [_upload(running, repository, kind, blob) for kind, blob in ((_CONFIG, config), (_LAYER, layer))]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described[0], "layers": described[1:]}
    _call(running, "PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), _MANIFEST)


def _upload(running: Registry, repository: str, kind: str, blob: bytes) -> dict[str, object]:
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    location = _call(running, "POST", f"/v2/{repository}/blobs/uploads/", b"").partition(running.host)[2]
    _call(running, "PUT", f"{location}&digest={digest}", blob, "application/octet-stream")
    return {"mediaType": kind, "digest": digest, "size": len(blob)}


def _call(running: Registry, method: str, path: str, content: bytes, kind: str = "") -> str:
    """Where it says that things go on."""
    connection = HTTPSConnection(running.host, context=ssl.create_default_context(cafile=running.ca_file), timeout=60)
    connection.request(method, path, content, {"Authorization": basic(USERNAME, PASSWORD), "Content-Type": kind})
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status < 300, f"{method} {path}: {answer.status} {said!r}"
    return answer.getheader("Location", "")


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _listens(host: str) -> bool:
    address, _, port = host.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((address, int(port))) == 0
