"""Fills a folder with one release of Kubernetes: packages from upstream's repository, images from upstream's registry.

    python -m machines.real.fetch FOLDER --version 1.36

For machines with a way to the internet that run Debian or Ubuntu. apt verifies the packages, digests verify the images. What
a folder holds already is not fetched again; one that an interrupted call has left half filled is filled.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from machines.kubernetes import WANTED, package_field
from machines.packages import architecture
from machines.real.registry import Registry

PACKAGES = "https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"
IMAGES = "https://registry.k8s.io"
TOGETHER = ("kubeadm", "kubelet", "kubectl")
"""Released together; the others have versions of their own."""
LIMIT = 600.0


@dataclass(frozen=True)
class Upstream:
    packages: str = PACKAGES
    """`{minor}` stands for the release's."""
    images: str = IMAGES


def fetch(folder: Path, version: str, upstream: Upstream) -> None:
    """`version`: a minor, for its newest release, or a release."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    if not _is_whole(folder):
        _fetch_packages(folder, version, upstream.packages.format(minor=".".join(version.split(".")[:2])))
    registry = Registry(upstream.images)
    for image in _images(folder):
        _, _, name = image.partition("/")
        archive = folder / "images" / f"{name.replace('/', '_').replace(':', '_')}.tar"
        if not archive.exists():
            registry.save(name, image, archive)


def _fetch_packages(folder: Path, version: str, url: str) -> None:
    pinned = f"{version}-*" if version.count(".") == 2 else f"{version}.*"
    wanted = [f"{name}={pinned}" if name in TOGETHER else name for name in sorted(WANTED)]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        apt = Path(work)
        apt.chmod(0o755)
        (apt / "lists/partial").mkdir(parents=True)
        with urllib.request.urlopen(f"{url}Release.key", timeout=60) as response:
            (apt / "key.asc").write_bytes(response.read())
        (apt / "sources.list").write_text(f"deb [arch={architecture()} signed-by={apt}/key.asc] {url} /\n")
        (apt / "status").touch()
        _apt_get(apt, "update")
        _apt_get(apt, "download", *wanted)
        for left in (file for name in WANTED for file in _packages(folder, name)):
            left.unlink()  # of a call that was interrupted: the newest release may be another one since
        for package in apt.glob("*.deb"):
            package.rename(folder / package.name)


def _is_whole(folder: Path) -> bool:
    found = {name: _packages(folder, name) for name in WANTED}
    releases = {file.name.split("_")[1].partition("-")[0] for name in TOGETHER for file in found[name]}
    return all(found.values()) and len(releases) == 1


def _packages(folder: Path, name: str) -> list[Path]:
    return list(folder.glob(f"{name}_*.deb"))


def _apt_get(folder: Path, *arguments: str) -> None:
    """With lists and sources of its own: the machine's are neither used nor changed."""
    places = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder,
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "",
    }
    options = [f"--option={name}={value}" for name, value in places.items()]
    done = subprocess.run(
        ["apt-get", "--quiet", *options, *arguments], cwd=folder, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"apt-get {arguments[0]} failed: {done.stderr.strip()}")


def _images(folder: Path) -> list[str]:
    """Those that this release's kubeadm asks for."""
    (package,) = folder.glob("kubeadm_*.deb")
    version = package_field(package, "Version").partition("-")[0]
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True, timeout=LIMIT)
        command = [f"{unpacked}/usr/bin/kubeadm", "config", "images", "list", "--kubernetes-version", f"v{version}"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT).stdout.split()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--version", required=True, help="minor or release, such as 1.36 or 1.36.2")
    arguments.add_argument("--packages", default=PACKAGES, help="default: %(default)s")
    arguments.add_argument("--images", default=IMAGES, help="default: %(default)s")
    chosen = arguments.parse_args()
    fetch(chosen.folder, chosen.version, Upstream(chosen.packages, chosen.images))


if __name__ == "__main__":
    main()
