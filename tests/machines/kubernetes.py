"""The Kubernetes that hosts install: stand-ins, or real packages and images where the environment names a folder of them.

    KUBERNETES=/srv/kubernetes pytest tests/e2e/test_failover.py
    KUBERNETES=/srv/1.36:/srv/1.37 pytest tests/e2e/test_upgrade.py

A folder holds the packages of one release as .deb files, and in `images` archives of the images that its kubeadm asks for.
Of two the first is what hosts install, and the second what they are upgraded to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from machines.network import Network
from machines.packages import KUBERNETES, UPGRADES, kubernetes_packages, put

VARIABLE = "KUBERNETES"
WANTED = {"cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"}
REAL = Path(__file__).parent / "real"
LIBRARY = "/usr/local/lib/kube-provision-tests"
KUBELET = (
    *("--cgroups-per-qos=false", "--enforce-node-allocatable="),
    *("--image-gc-high-threshold=100", "--eviction-hard=memory.available<100Mi"),  # others fill the disk that hosts share
)
IMAGES = "/srv/kubernetes-images"
"""Where hosts have the archives, as a template may have them."""


@dataclass(frozen=True)
class Kubernetes:
    """What a lab serves, and what its hosts and its configuration need for that."""

    version: str
    packages: tuple[Path, ...]
    layer: Path | None = None
    """A folder of files that hosts have besides those of their image."""
    manifests: tuple[Path, ...] = ()
    """Of the network plugin."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the configuration."""

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]


def kubernetes(folder: Path, *, upgrades: bool = False) -> Kubernetes:
    """What the environment asks for; made in `folder`. Raises `RuntimeError` for a folder that lacks something."""
    sources = _sources()
    return _real(sources, folder) if sources else _stand_ins(folder, UPGRADES[0] if upgrades else KUBERNETES)


def successors(folder: Path) -> list[Kubernetes]:
    """What that may be upgraded to. Raises `RuntimeError` as `kubernetes` does, and where there is none."""
    sources = _sources()
    if len(sources) == 1:
        raise RuntimeError(f"{VARIABLE}={sources[0]}: a second folder is needed for upgrades, as in OLD:NEW")
    if not sources:
        return [_stand_ins(folder, version) for version in UPGRADES[1:]]
    return [_release(source, f"{IMAGES}-{number}") for number, source in enumerate(sources[1:], 1)]


def _sources() -> list[Path]:
    return [Path(named) for named in os.environ.get(VARIABLE, "").split(":") if named]


def _stand_ins(folder: Path, version: str) -> Kubernetes:
    return Kubernetes(version, tuple(kubernetes_packages(folder, version)))


def _real(sources: Sequence[Path], folder: Path) -> Kubernetes:
    """The first of them; its hosts have the images of all."""
    first = _release(sources[0], IMAGES)
    pause = next(name for path in _archives(sources[0]) for name in _images(path) if "/pause:" in name)
    network = folder / "network.yaml"
    network.write_text(_network(pause))
    archives = {f"{IMAGES}-{number}" if number else IMAGES: _archives(source) for number, source in enumerate(sources)}
    return replace(first, layer=_layer(folder / "layer", archives), manifests=(network,))


def _archives(source: Path) -> list[Path]:
    return sorted((source / "images").glob("*.tar"))


def _release(source: Path, kept: str) -> Kubernetes:
    """`kept`: where hosts have its images."""
    packages = {package_field(path, "Package"): path for path in sorted(source.glob("*.deb"))}
    archives = _archives(source)
    images = [name for path in archives for name in _images(path)]
    pause = next((name for name in images if "/pause:" in name), "")
    if WANTED - packages.keys() or not pause:
        raise RuntimeError(
            f"{VARIABLE}={source}: {', '.join(sorted(WANTED - packages.keys())) or 'an archive with the image of pause'} "
            "is missing; docs/testing.md says how such a folder is filled"
        )
    version = package_field(packages["kubeadm"], "Version").partition("-")[0]
    settings = {"kubernetes_version": version.rpartition(".")[0], "image_archives": kept}
    return Kubernetes(version, tuple(packages.values()), settings=settings)


def package_field(package: Path, name: str) -> str:
    """What a .deb says of itself."""
    command = ["dpkg-deb", "--field", str(package), name]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def _images(archive: Path) -> Iterator[str]:
    """Names of the images in an OCI archive."""
    with tarfile.open(archive) as opened:
        index = opened.extractfile("index.json")
        assert index
        for manifest in json.load(index)["manifests"]:
            yield manifest["annotations"]["io.containerd.image.name"]


def _network(image: str) -> str:
    """The manifest of the network plugin. Its program comes with it and runs on the host's own Python, in any image."""
    documents = list(yaml.safe_load_all((REAL / "network.yaml").read_text()))
    program, daemons = documents[-2:]
    program["data"] = {"network.py": (REAL / "network.py").read_text()}
    daemons["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return yaml.safe_dump_all(documents)


def _layer(folder: Path, archives: Mapping[str, list[Path]]) -> Path:
    """With archives by the folder that they are to be in. Owned by who runs hosts, which a checkout need not be."""
    folder.mkdir(mode=0o755)
    for path, content in _files().items():
        put(folder / path.lstrip("/"), content)
    for place, found in archives.items():
        images = folder / place.lstrip("/")
        images.mkdir(parents=True)
        for archive in found:
            _link(archive, images / archive.name)
    return folder


def _files() -> dict[str, str | Path]:
    standins = REAL.with_name("standins")
    return {
        "/usr/local/sbin/kubeadm": f'#!/bin/sh\nPYTHONPATH={LIBRARY} exec python3 -m machines.real.kubeadm "$@"\n',
        "/usr/local/sbin/runc": (REAL / "runc.py").read_text(),
        f"{LIBRARY}/machines/real/kubeadm.py": REAL / "kubeadm.py",
        **{f"{LIBRARY}/machines/standins/{name}.py": standins / f"{name}.py" for name in ("faults", "places", "calls")},
        f"{LIBRARY}/prepare-kubelet": (REAL / "prepare-kubelet.sh").read_text(),
        f"{LIBRARY}/kubelet.env": f"KUBELET_EXTRA_ARGS={' '.join(KUBELET)}\n",
        "/etc/resolv.conf": f"# Nobody answers there.\nnameserver {Network.gateway}\n",
        "/etc/systemd/system/kubelet.service.d/20-host.conf": (
            f"[Service]\nExecStartPre={LIBRARY}/prepare-kubelet\nEnvironmentFile={LIBRARY}/kubelet.env\n"
        ),
    }


def _link(source: Path, target: Path) -> None:
    with suppress(OSError):  # it lies on another file system
        os.link(source, target)
        return
    shutil.copy(source, target)
