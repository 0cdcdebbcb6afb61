"""A site with a registry that wants a password, and authorities of its own: hosts boot there, and one is baked."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from machines.image import image
from machines.lab import TESTS, Lab
from machines.network import Network
from machines.nspawn import Host
from machines.repository import KUBERNETES
from servers import cri
from servers.certificates import issue_certificate
from servers.registry import PASSWORD, USERNAME, Registry, registry

from kube_provision_core import Role
from kube_provision_core.config import load
from kube_provision_core.engine.session import open_session

IMAGES = ("team/app:1", "hub-cache/library/nginx:1.27", "quay-cache/team/app:2")
SECRETS = (PASSWORD.encode(), base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()))
"""As it is written, and as it travels."""
SCRIPT = "/usr/local/lib/kube-provision/bake.sh"
STORE = "/usr/local/share/ca-certificates/kube-provision-1.crt"


@contextmanager
def served_by_tls(folder: Path, content: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a folder, which only those reach who trust an authority of the site's, and that authority."""
    folder.mkdir()
    certificate = issue_certificate(folder, (Network.gateway,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with ThreadingHTTPServer((Network.gateway, 0), partial(_Quiet, directory=str(content))) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield f"https://{Network.gateway}:{server.server_port}", certificate.ca_file
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Nothing."""


@dataclass(frozen=True)
class Site:
    lab: Lab
    images: Registry

    @property
    def wanted(self) -> tuple[str, ...]:
        """By a registry's own name, by the short form, and by the mirror of another one."""
        return (f"{self.images.host}/team/app:1", "docker.io/library/nginx:1.27", "quay.io/team/app:2")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Workers run Debian 12, whose containerd is a 1.6; everybody else 13, whose is a 1.7."""
    folder = tmp_path_factory.mktemp("site")
    with (
        Lab(folder, bookworm={"w-prod-1"}) as lab,
        registry(folder / "registry", IMAGES, Network.gateway) as images,
        served_by_tls(folder / "tls", lab.mirror.folder) as (url, authority),
    ):
        paths = {"kubernetes": KUBERNETES, "consul": "hashicorp", "os": "debian"}
        lab.settings |= {
            "package_repositories": {name: {"url": f"{url}/{path}", "key": lab.mirror.key} for name, path in paths.items()},
            "trusted_ca": str(authority),
            "docker_proxy": f"https://{images.host}/v2/hub-cache",
            "registries": {
                images.host: images.entry,
                "quay.io": {"mirrors": [f"https://{images.host}/v2/quay-cache"]},
            },
            "containers": [
                {"image": f"{images.host}/team/app:1", "service": "own"},
                {"image": "nginx:1.27", "service": "hub"},
                {"image": "quay.io/team/app:2", "service": "quay"},
            ],
        }
        yield Site(lab, images)


def runtime(host: Host) -> Path:
    """Where its containerd listens, seen from here."""
    return host.path("/run/containerd/containerd.sock")


def holding_secrets(host: Host) -> dict[str, int]:
    """Files of the host's disk that hold the password, and their modes."""
    disk = host.folder / "disk/upper"
    files = [path for path in disk.rglob("*") if path.is_file() and not path.is_symlink()]
    found = [path for path in files if any(secret in path.read_bytes() for secret in SECRETS)]
    return {f"/{path.relative_to(disk)}": path.stat().st_mode & 0o777 for path in found}


@pytest.fixture(scope="module")
def cluster(site: Site) -> Lab:
    run = site.lab.provision("--wait", masters=1, workers=1)
    assert run.code == 0, run.errors + run.output
    return site.lab


@pytest.fixture(scope="module")
def template(site: Site) -> Iterator[Host]:
    """Baked by the very boot data that a target delivers, but for who starts the script; it is off."""
    lab = site.lab
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TESTS / "machines/site"))
        config = load([lab.config], flags={"name": lab.name, "masters": 1, "workers": 1}, environ={})
        with open_session(config, lab.state) as session:
            boot = session.image({Role.MASTER, Role.WORKER}, "trixie").boot
    host = Host("bake", lab.folder, image(), lab.network.link("bake", "10.77.0.50"))
    host.insert_seed(boot.instance_id, _without_start(boot.user_data))
    host.start()
    try:
        host.wait_until_booted()
        host.run("bash", SCRIPT, "packages", "images", timeout=300)
        assert cri.pull(runtime(host), "quay.io/team/app:2").startswith("sha256:")
        assert holding_secrets(host)
        host.run("bash", SCRIPT, "seal", timeout=60)
        host.stop()
        yield host
    finally:
        host.destroy()


class TestACluster:
    def test_packages_came_by_tls_that_only_the_site_vouches_for(self, cluster: Lab) -> None:
        for host in cluster.hosts.values():
            sources = host.run("cat", "/etc/apt/sources.list.d/kube-provision-os.sources")
            assert sources.startswith("Types: deb\nURIs: https://")
            assert host.run("cat", STORE).startswith("-----BEGIN CERTIFICATE-----")

    def test_containers_of_every_machine_were_pulled(self, cluster: Lab, site: Site) -> None:
        for host in cluster.hosts.values():
            found = host.run("ctr", "--namespace", "kube-provision", "images", "list", "--quiet").split()
            assert set(found) >= set(site.wanted)

    @pytest.mark.parametrize("name", ["m-prod-1", "w-prod-1"])
    def test_kubernetes_pulls_the_same_way(self, cluster: Lab, site: Site, name: str) -> None:
        for wanted in site.wanted:
            assert cri.pull(runtime(cluster.hosts[name]), wanted).startswith("sha256:")

    def test_nobody_but_root_reads_the_password(self, cluster: Lab, site: Site) -> None:
        for host in cluster.hosts.values():
            found = holding_secrets(host)
            assert f"/etc/containerd/certs.d/{site.images.host}/hosts.toml" in found
            assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}
            assert not [path for path in found if path.startswith("/var/log/")]

    def test_it_is_not_shown(self, site: Site, tmp_path: Path) -> None:
        shown = site.lab.run("render", str(tmp_path / "boot"))
        assert shown.code == 0, shown.errors
        texts = [path.read_bytes() for path in (tmp_path / "boot").rglob("*") if path.is_file()]
        assert texts
        assert not [text for text in (*texts, (shown.output + shown.errors).encode()) if any(it in text for it in SECRETS)]


class TestATemplate:
    def test_the_password_is_not_in_it(self, template: Host) -> None:
        assert holding_secrets(template) == {}

    def test_its_runtime_knows_nothing_of_registries(self, template: Host) -> None:
        containerd = template.folder / "disk/upper/etc/containerd"
        assert not list(containerd.rglob("hosts.toml"))
        assert "configs" not in (containerd / "config.toml").read_text()
        assert (containerd / "config.toml").stat().st_mode & 0o777 == 0o644

    def test_it_trusts_the_sites_authority(self, template: Host) -> None:
        assert (template.folder / f"disk/upper{STORE}").exists()


def _without_start(user_data: str) -> str:
    document: dict[str, Any] = yaml.safe_load(user_data)
    del document["runcmd"]
    return f"#cloud-config\n{yaml.safe_dump(document)}"
