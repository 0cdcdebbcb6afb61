"""A Debian template from packages alone, baked at a site that has mirrors and archives, booted once under emulation.

One story of a few minutes: the tests run in their order and look at one template.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from machines.images import write_archive
from machines.packages import Package
from machines.repository import Mirror
from servers.debian import install, mirrors
from servers.qemu import end_processes

pytestmark = pytest.mark.e2e

PROGRAM = Path(sys.executable).with_name("kube-provision")
LIMIT = 1200.0
SITE = "127.81.0.1"
IMAGES = ("registry.k8s.io/kube-apiserver:v1.36.4", "registry.k8s.io/pause:3.10.2")
KUBEADM = f"""#!/bin/sh
case "$*" in
  version*) echo v1.36.4 ;;
  "config images list"*) printf '%s\\n' {" ".join(IMAGES)} ;;
  *) echo "this site has no registry" >&2; exit 1 ;;
esac
"""


@dataclass
class Baked:
    folder: Path
    disk: Path
    """A raw copy of the template's, to look into."""
    mirror: Mirror
    fetched: list[str]
    """What was asked for of the server of archives."""
    run: Callable[[], subprocess.CompletedProcess[str]]

    @property
    def template(self) -> Path:
        return self.folder / "images/debian-13.qcow2"

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.template.resolve().with_suffix(".json").read_text())
        return document

    def look(self, command: str) -> str:
        """What debugfs says to a command."""
        said = subprocess.run(
            ["/usr/sbin/debugfs", "-R", command, str(self.disk)], capture_output=True, text=True, check=True, timeout=60
        )
        return said.stdout

    def names(self, folder: str) -> set[str]:
        rows = (line.split("/") for line in self.look(f"ls -p {folder}").splitlines() if line.startswith("/"))
        return {row[5] for row in rows} - {".", ".."}


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Baked]:
    install("mmdebstrap", "qemu-system-x86", "qemu-utils", "e2fsprogs", "debian-archive-keyring", "gnupg")
    folder = tmp_path_factory.mktemp("bake")
    fetched: list[str] = []
    with Mirror(folder, SITE) as mirror, _archives(folder, fetched) as archives:
        _fill(mirror, folder)
        (folder / "config.yml").write_text(json.dumps(_config(folder, mirror, archives)))
        run = partial(
            subprocess.run,
            [str(PROGRAM), "bake", "--config", str(folder / "config.yml"), "--state", str(folder / "state"), "-o", "json"],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        try:
            ran = run()
            assert ran.returncode == 0, ran.stderr
            disk = folder / "look.raw"
            template = folder / "images/debian-13.qcow2"
            subprocess.run(["qemu-img", "convert", "-O", "raw", template, disk], check=True, timeout=300)
            yield Baked(folder, disk, mirror, fetched, run)
        finally:
            end_processes(folder / "vms/baking")


def _fill(mirror: Mirror, folder: Path) -> None:
    packages = [
        Package("cri-tools", "1.36.0-1.1"),
        Package("kubernetes-cni", "1.8.0-1.1"),
        Package("kubeadm", "1.36.4-1.1", {"/usr/bin/kubeadm": KUBEADM}, depends=("cri-tools",)),
        Package("kubectl", "1.36.4-1.1"),
        Package("kubelet", "1.36.4-1.1", depends=("kubernetes-cni",)),
    ]
    mirror.add_flat("kubernetes", [package.build(folder) for package in packages])
    consul = Package("consul", "1.22.1-1", {"/usr/bin/consul": "#!/bin/sh\n"})
    mirror.add_suite("consul", "trixie", "main", [consul.build(folder)])


def _config(folder: Path, mirror: Mirror, archives: str) -> dict[str, Any]:
    return {
        "target": "qemu",
        "os": "debian",
        "template": str(folder / "images/debian-13.qcow2"),
        "bake_from": "debian-13",
        "vm_dir": str(folder / "vms"),
        "image_archives": archives,
        "packages": ["jq"],
        "package_repositories": {
            "kubernetes": {"url": mirror.url("kubernetes") + "/", "key": mirror.key},
            "consul": {"url": mirror.url("consul"), "key": mirror.key},
            "os": {"url": mirrors()[0]},
        },
    }


class _archives:
    """Serves an archive of images to the machine, which reaches this host's loopback interface at the router's address."""

    def __init__(self, folder: Path, fetched: list[str]) -> None:
        (folder / "www").mkdir()
        write_archive(folder / "www/images.tar", IMAGES)

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                fetched.append(self.path)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder / "www")))

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return f"http://10.0.2.2:{self._server.server_port}/images.tar"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_the_template_is_known_by_what_is_in_it(baked: Baked) -> None:
    contents = baked.manifest["contents"]
    assert contents["versions"]["kubeadm"] == "1.36.4-1.1"
    assert contents["versions"].keys() >= {"containerd", "consul", "nginx", "jq", "qemu-guest-agent"}
    assert contents["images"] == list(IMAGES)
    assert contents["system"].startswith("Debian GNU/Linux 13")


def test_its_kernel_lies_beside_it(baked: Baked) -> None:
    manifest = baked.manifest
    assert all((baked.template.parent / manifest[key]).stat().st_size > 1024**2 for key in ("kernel", "initrd"))


def test_a_second_run_has_nothing_to_do(baked: Baked) -> None:
    before = sorted(baked.template.parent.iterdir())
    ran = baked.run()
    assert ran.returncode == 0, ran.stderr
    assert "holds what is wanted" in ran.stderr
    assert sorted(baked.template.parent.iterdir()) == before


def test_the_sites_mirrors_and_archives_were_used(baked: Baked) -> None:
    assert any("kubeadm_1.36.4" in path for path in baked.mirror.served)
    assert baked.fetched == ["/images.tar"]


def test_machines_know_what_was_imported(baked: Baked) -> None:
    assert baked.look("cat /var/lib/containerd/kube-provision-imported").startswith("k8s.io http://10.0.2.2:")


def test_it_knows_what_is_in_it_itself(baked: Baked) -> None:
    assert json.loads(baked.look("cat /etc/kube-provision/baked.json")) == baked.manifest["contents"]
    assert baked.names("/etc/kube-provision") == {"baked.json"}


def test_it_has_no_identity(baked: Baked) -> None:
    assert baked.look("cat /etc/machine-id") == ""
    assert not [name for name in baked.names("/etc/ssh") if name.startswith("ssh_host_")]
    assert "random-seed" not in baked.names("/var/lib/systemd")
    assert baked.names("/var/log/journal") == set()
    assert not baked.names("/etc/systemd/network")


def test_it_remembers_no_boot(baked: Baked) -> None:
    """Neither cloud-init's nor ours: a machine's first boot is a first one, and runs every step."""
    assert baked.names("/var/lib/cloud") <= {"seed"}
    assert "kube-provision" not in baked.names("/usr/local/lib") | baked.names("/var/lib")
    assert not [name for name in baked.names("/etc/systemd/system") if name.startswith("kube-provision")]


def test_caches_are_empty(baked: Baked) -> None:
    assert baked.names("/var/lib/apt/lists") <= {"lock", "partial", "auxfiles"}
    assert not [name for name in baked.names("/var/cache/apt/archives") if name.endswith(".deb")]
    assert baked.names("/var/tmp") == set()


def test_no_machine_is_left(baked: Baked) -> None:
    assert list((baked.folder / "vms/baking/machines").iterdir()) == []
