"""Debian packages made by tests, as a site that has no way to the internet has them: on its own mirror."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from machines.standins.release import VARIABLE
from servers.cache import cache_folder, locked
from servers.consul import RELEASE, consul_binary

KUBERNETES = "1.37.1"
UPGRADES = ("1.36.2", "1.36.3", "1.37.1")
"""What a cluster is made of that is upgraded, and what to: a patch, and the next minor."""
MAINTAINER = "Tests of kube-provision <tests@kube-provision.invalid>"
SOURCES = Path(__file__).parent / "standins"
LIBRARY = "/usr/lib/kubernetes-stand-in"
SERVERS = ("control_plane", "cluster_objects", "refusals", "workloads")
"""Of the tests' servers those that its API server is made of."""
ETCD_STAYS_OFF = """\
systemctl mask etcd.service
if [ -d /run/systemd/system ]; then
  systemctl stop etcd.service
fi
"""
"""Debian starts one of the machine's own; the kubelet is to run it."""
KUBELET_STARTS = """\
systemctl enable kubelet.service
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl restart kubelet.service
fi
"""
"""As packages do it that may also be installed in a tree where nothing runs."""


@dataclass(frozen=True)
class Package:
    """What a .deb is made of."""

    name: str
    version: str
    files: Mapping[str, str | Path] = field(default_factory=dict)
    """By path on the machine: text, or a file or folder to copy. What begins with `#!` is made executable."""
    depends: tuple[str, ...] = ()
    after_install: str = ""
    """A shell script."""
    architecture: str = "all"

    def build(self, folder: Path) -> Path:
        """The .deb, in that folder."""
        with tempfile.TemporaryDirectory(dir=folder) as work:
            tree = Path(work)
            tree.chmod(0o755)
            for path, content in self.files.items():
                put(tree / path.lstrip("/"), content)
            (tree / "DEBIAN").mkdir()
            (tree / "DEBIAN/control").write_text(self._control)
            if self.after_install:
                put(tree / "DEBIAN/postinst", f"#!/bin/sh\nset -e\n{self.after_install}")
            package = folder / self.file
            command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(package)]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        return package

    @property
    def file(self) -> str:
        """What it is called in a folder."""
        return f"{self.name}_{self.version}_{self.architecture}.deb"

    @property
    def _control(self) -> str:
        lines = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": MAINTAINER,
            "Depends": ", ".join(self.depends),
            "Description": f"{self.name}, for tests",
        }
        return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)


def kubernetes_packages(folder: Path, version: str = KUBERNETES) -> list[Path]:
    """Stand-ins for what upstream's repository of a minor has, under its names and with its dependencies.

    Those that upstream has once for several releases are made once in a folder.
    """
    revision = f"{version}-1.1"
    packages = [
        Package("cri-tools", f"{version.rpartition('.')[0]}.0-1.1", {"/usr/bin/crictl": _program("crictl")}),
        Package(
            "kubernetes-cni",
            "1.8.0-1.1",
            _library(),
            depends=("etcd-server", "python3-cryptography", "python3-yaml"),
            after_install=ETCD_STAYS_OFF,
        ),
        Package(
            "kubeadm",
            revision,
            {"/usr/bin/kubeadm": _program("kubeadm", version)},
            depends=("cri-tools (>= 1.30)", "kubernetes-cni"),
        ),
        Package("kubectl", revision, {"/usr/bin/kubectl": _program("kubectl", version)}, depends=("kubernetes-cni",)),
        Package(
            "kubelet",
            revision,
            {
                "/usr/bin/kubelet": _program("kubelet", version),
                "/usr/bin/kube-apiserver": _program("apiserver", name="kube-apiserver"),
                "/usr/bin/kube-controller-manager": _program("controller", name="kube-controller-manager"),
                "/usr/bin/kube-scheduler": _program("controller", name="kube-scheduler"),
                "/usr/lib/systemd/system/kubelet.service": SOURCES / "kubelet.service",
            },
            depends=("kubernetes-cni", "conntrack", "ethtool", "iptables", "socat"),
            after_install=KUBELET_STARTS,
        ),
    ]
    return [built if (built := folder / package.file).exists() else package.build(folder) for package in packages]


def consul_package() -> Path:
    """Consul of Debian 11, packed as its makers pack it: with a user and a service that nobody has asked for."""
    program = consul_binary()
    with locked("consul-package") as cache:
        folder = cache / f"consul-package-{RELEASE}"
        built = next(folder.glob("*.deb"), None) if folder.exists() else None
        if built is None:
            folder.mkdir(exist_ok=True)
            built = _consul(program).build(folder)
    return built


def _consul(program: Path) -> Package:
    version = _output(str(program), "version").split()[1].removeprefix("v").partition("+")[0]
    service = "[Service]\nUser=consul\nExecStart=/usr/bin/consul agent -config-dir=/etc/consul.d\n"
    files: dict[str, str | Path] = {
        "/usr/bin/consul": program,
        "/etc/consul.d/consul.hcl": 'data_dir = "/opt/consul"\n',
        "/usr/lib/systemd/system/consul.service": f"{service}[Install]\nWantedBy=multi-user.target\n",
    }
    user = "getent passwd consul >/dev/null || useradd --system --user-group --home-dir /opt/consul consul\n"
    return Package("consul", f"{version}-1", files, after_install=user, architecture=architecture())


def architecture() -> str:
    """Debian's name for what this machine and its hosts are."""
    return _output("dpkg", "--print-architecture").strip()


def kubernetes_sources() -> list[Path]:
    """What the stand-ins are made of."""
    return sorted(path for path in [*_library().values(), SOURCES / "kubelet.service"] if isinstance(path, Path))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _library() -> dict[str, str | Path]:
    """The stand-ins' own modules, and those of ours that they share with the servers on loopback."""
    tests, root = SOURCES.parents[1], SOURCES.parents[2]
    modules: dict[str, Path] = {f"machines/standins/{path.name}": path for path in SOURCES.glob("*.py")}
    modules |= {f"servers/{name}.py": tests / "servers" / f"{name}.py" for name in SERVERS}
    modules |= {
        f"kube_provision_core/{name}.py": root / "kube_provision_core" / f"{name}.py"
        for name in ("folder/x509", "folder/pki", "cluster/kubeadm_objects")
    }
    return {f"{LIBRARY}/{name}": path for name, path in modules.items()}


def _program(module: str, version: str = "", name: str = "python3") -> str:
    """`name` is what its process is called. What comes in an image is told its version by the kubelet."""
    release = f"{VARIABLE}=v{version} " if version else ""
    return f'#!/bin/bash\n{release}PYTHONPATH={LIBRARY} exec -a {name} python3 -m machines.standins.{module} "$@"\n'


def put(path: Path, content: str | Path) -> None:
    """Write text, or copy a file; what begins with `#!` is made executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
        path.chmod(0o755 if content.startswith("#!") else 0o644)
    else:
        shutil.copy(content, path)


if __name__ == "__main__":
    print(f"Consul's package: {consul_package()}; in {cache_folder()}")
