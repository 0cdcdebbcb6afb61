"""A template as an operator has it: Debian 13, baked by the command line at a site with a mirror and an archive of images.

The configuration is the one of docs/air-gap.md, with addresses of this machine. Kubernetes' packages are the stand-ins,
Consul is a real one. It takes minutes, so it is made once of whatever goes into it, and kept outside of the checkout. The
site is gone then: what is made from the template finds nothing to install.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from machines.images import served_archive
from machines.lab import SEED_MANIFEST
from machines.packages import KUBERNETES, consul_package, kubernetes_packages, kubernetes_sources
from machines.repository import Mirror
from servers.cache import cache_folder, locked
from servers.debian import install, mirrors
from servers.qemu import end_processes

PROGRAM = Path(sys.executable).with_name("kube-provision")
ROOT = Path(__file__).parents[2]
LIMIT = 1500.0
"""Seconds for baking it, on a slow line and a slow machine."""
PAGE, DOCUMENTED = ROOT / "docs/air-gap.md", "http://mirror.site.example"
SITE = "127.81.0.1"
IMAGES = (
    *(f"registry.k8s.io/kube-{name}:v{KUBERNETES}" for name in ("apiserver", "controller-manager", "scheduler", "proxy")),
    *("registry.k8s.io/coredns/coredns:v1.14.2", "registry.k8s.io/pause:3.10.2", "registry.k8s.io/etcd:3.6.8-0"),
)

_SOURCES = (
    "plugins/qemu/kube_provision_qemu/baking/**/*",
    "kube_provision_core/boot/bake*.py",
    "kube_provision_core/boot/templates/etc/systemd/system/kube-provision-bake.service",
    "tests/machines/template.py",
    "tests/machines/images.py",
    "tests/machines/packages.py",
)
"""What makes the template besides the script that a machine bakes itself with."""


@dataclass(frozen=True)
class BakedTemplate:
    """Never written to."""

    folder: Path
    packages_served: tuple[str, ...]
    """Paths that were asked for of the mirror."""
    images_served: tuple[str, ...]
    """And of the server of archives."""

    @property
    def disk(self) -> Path:
        return self.folder / "images/debian-13.qcow2"

    @property
    def options(self) -> list[str]:
        """Of the command line: the configuration that it was baked with."""
        return ["--config", str(self.folder / "config.yml"), "--config", str(self.folder / "more.yml")]


def baked_template() -> BakedTemplate:
    """Bake it if there is none. Raises `RuntimeError` with what the program says where that fails."""
    install("mmdebstrap", "qemu-system-x86", "qemu-utils", "e2fsprogs", "debian-archive-keyring", "gnupg")
    folder = cache_folder() / f"baked-{_recipe()}"
    with locked("baked"):
        if not folder.exists():
            for old in cache_folder().glob("baked-*"):
                shutil.rmtree(old)
            part = folder.with_suffix(".part")
            _bake(part)
            part.rename(folder)
    told = json.loads((folder / "site.json").read_text())
    return BakedTemplate(folder, tuple(told["packages"]), tuple(told["images"]))


def _recipe() -> str:
    """A hash of all that goes into it. Keys and ports are others each time, and nothing depends on them."""
    with tempfile.TemporaryDirectory() as folder:
        made = BakedTemplate(Path(folder), (), ())
        _configure(
            made, "http://mirror.invalid", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "http://archives.invalid/images.tar"
        )
        script = _run(*made.options, "--script", limit=60)
    digest = hashlib.sha256(script.encode())
    for path in [*kubernetes_sources(), *_sources()]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    for pattern in _SOURCES:
        yield from (path for path in sorted(ROOT.glob(pattern)) if path.is_file() and path.suffix != ".pyc")


def _bake(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    made, site, vms = BakedTemplate(folder, (), ()), folder / "site", folder / "vms"
    with Mirror(site, SITE) as mirror, served_archive(site, IMAGES) as (archive, images):
        mirror.add_kubernetes(kubernetes_packages(site))
        mirror.add_suite("hashicorp", "trixie", "main", [consul_package()])
        _configure(made, mirror.url("").rstrip("/"), mirror.key, archive)
        try:
            _run(*made.options, "--state", str(folder / "state"), "-e", f"vm_dir={vms}", limit=LIMIT)
        finally:
            end_processes(vms / "baking")
        (folder / "site.json").write_text(json.dumps({"packages": mirror.served, "images": images}))
    left = list((vms / "baking/machines").iterdir())
    assert left == [], f"the machine that baked is still there: {left}"
    assert not (folder / "state").exists(), "a run that has ended leaves nothing of its locks"
    for path in (site, vms):
        shutil.rmtree(path)


def _configure(made: BakedTemplate, mirror: str, key: str, archive: str) -> None:
    """The files that an operator writes."""
    (written,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    addresses = {
        f"{DOCUMENTED}/images.tar": archive,
        f"{DOCUMENTED}/debian": mirrors()[0],
        DOCUMENTED: mirror,
    }
    for documented, address in addresses.items():
        assert documented in written, f"{PAGE.name} no longer names {documented}"
        written = written.replace(documented, address)
    (made.folder / "config.yml").write_text(written)
    (made.folder / "site.asc").write_text(key)
    (made.folder / "network.yaml").write_text(SEED_MANIFEST)
    (made.folder / "more.yml").write_text(json.dumps({"qemu_accelerator": "tcg", "packages": ["jq", "xfsprogs"]}))


def _run(*arguments: str, limit: float) -> str:
    """What `kube-provision bake` prints."""
    command = [str(PROGRAM), "bake", "--output", "json", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(f"template: {baked_template().disk}")
