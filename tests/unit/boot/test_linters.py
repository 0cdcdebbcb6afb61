"""Everything rendered is read by the tools that will read it on a machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, File, Node, Role
from kube_provision_core.boot.kubeadm_checks import check_documents

Tool = Callable[..., subprocess.CompletedProcess[str]]

MACHINES = {
    "carrier": (Role.MASTER, True),
    "master": (Role.MASTER, False),
    "worker": (Role.WORKER, False),
    "discovery": (Role.DISCOVERY, False),
}


@pytest.fixture(params=["plain", "everything", "centos", "debian"])
def keys(request: pytest.FixtureRequest, tmp_path: Path, authority: str) -> dict[str, Any]:
    """A configuration that says nothing, one that says all there is to say, and one for each other system."""
    if request.param == "plain":
        return {}
    if request.param in ("centos", "debian"):
        return {"os": request.param, "package_repositories": {"os": {"url": f"http://mirror.example/{request.param}"}}}
    (tmp_path / "file").write_text("a file\n")
    (tmp_path / "manifest").write_text("apiVersion: v1\nkind: List\n")
    (tmp_path / "binary").write_bytes(b"\0\xff")
    (tmp_path / "template").write_text("{{ node.name }} of {{ cluster.name }} at {{ env_vars.SITE }}\n")
    return {
        "ntp_servers": ["10.0.0.1"],
        "timezone": "Europe/Berlin",
        "http_proxy": "http://proxy:3128",
        "https_proxy": "http://proxy:3128",
        "proxy_username": "me",
        "proxy_password": "pass word",
        "no_proxy": ["10.0.0.0/8"],
        "image_repository": "registry.example/k8s",
        "swap": 4,
        "docker_proxy": "https://mirror.example/hub",
        "registries": {
            "quay.io": {"mirrors": ["https://a.example/v2/quay", "https://b.example"], "ca": authority},
            "b.example": {"username": "robot$kube", "password": "it's \"\\ ${HOME}"},
        },
        "trusted_ca": authority * 2,
        "image_archives": "https://mirror.example/images.tar",
        "seed_manifests": ["https://mirror.example/cni.yaml", str(tmp_path / "manifest")],
        "package_repositories": {
            "kubernetes": {"url": "http://mirror.example/k8s/", "key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"},
            "container-runtime": {"url": "http://mirror.example/containerd/"},
            "os": {"url": "http://mirror.example/ubuntu", "key": "https://mirror.example/key.asc"},
        },
        "files": {
            "/srv/file": {"source": tmp_path / "file", "owner": "app:app", "mode": "0600"},
            "/srv/a b/binary": tmp_path / "binary",
        },
        "templates": {"/etc/motd": tmp_path / "template"},
        "pre_commands": ["echo 'before'"],
        "commands": ["echo after"],
        "phone_home": ["curl --silent https://home.example"],
        "packages": ["htop"],
        "containers": [
            {
                "image": "nginx:1.27",
                "service": "web",
                "env": {"PASSWORD": "geheim"},
                "args": ["--say", "it's 100% $HOME \"\\"],
                "volumes": ["/srv:/srv:ro"],
            }
        ],
        "sysctls": {"vm.max_map_count": "262144"},
        "env_vars": {"SITE": "the north's"},
        "mounts": {"/mnt/a b": "files.example:/export", "/mnt/usb-1": "/dev/disk/by-label/usb"},
        "volumes": [{"dev": "/dev/sdc", "mount": "/var/lib/my-app", "format": "xfs", "owner": "app"}],
        "data_volumes": [{"size": 10, "mount": "/a b"}, {"size": 20, "mount": "/srv", "format": "xfs"}],
        "users": [{"name": "ann", "ssh_keys": ["ssh-ed25519 AAAA ann"]}, {"name": "bob"}],
        "cloud_init": {"write_files": [{"path": "/etc/mine", "content": "x"}], "runcmd": ["true"], "locale": "C.UTF-8"},
    }


@pytest.fixture(params=MACHINES)
def rendered(
    request: pytest.FixtureRequest, render: Callable[..., Boot], make_node: Callable[..., Node], keys: dict[str, Any]
) -> Boot:
    role, carries_ca = MACHINES[request.param]
    return render(make_node(role, carries_ca=carries_ca), **keys)


def unpack(rendered: Boot, root: Path, *, below: str = "/") -> list[Path]:
    """Write the delivered files below a folder that stands for the machine's root."""
    paths = []
    for file in rendered.files:
        if file.path.startswith(below):
            path = root / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_bytes(file))
            path.chmod(file.mode)
            paths.append(path)
    return paths


def _bytes(file: File) -> bytes:
    return file.content.encode() if isinstance(file.content, str) else file.content


def test_cloud_init_accepts_the_user_data(rendered: Boot, tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "user-data").write_text(rendered.user_data)
    checked = tool("cloud-init", "schema", "--config-file", str(tmp_path / "user-data"))
    assert (checked.returncode, checked.stdout.strip()) == (0, f"Valid cloud-config: {tmp_path}/user-data"), checked.stderr


def test_shellcheck_has_no_objections(rendered: Boot, tmp_path: Path, tool: Tool) -> None:
    delivered = unpack(rendered, tmp_path)
    scripts = [path for path in delivered if path.read_bytes().startswith(b"#!")]
    assert len(scripts) >= 4
    profiles = [path for path in delivered if path.parent.name == "profile.d"]
    for options, paths in ((["--norc"], scripts), (["--norc", "--shell=sh"], profiles)):
        checked = tool("shellcheck", *options, *map(str, paths)) if paths else None
        assert checked is None or checked.returncode == 0, checked.stdout


COMMANDS = (
    "/bin/kill",
    "/bin/sh",
    "/usr/bin/bash",
    "/usr/bin/ctr",
    "/usr/bin/python3",
    "/usr/sbin/nginx",
    "/usr/local/lib/kube-provision/direct-networks.sh",
)
"""What our units start. A container has few of them, and other versions."""
FOREIGN_UNITS = {
    "containerd.service": "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    "kubelet.service": "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
}


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units that a distribution brings, with cloud-init's enabled."""
    distributed = tmp_path_factory.mktemp("distributed") / "system"
    shutil.copytree("/lib/systemd/system", distributed, symlinks=True)
    for wanting, wanted in (("multi-user.target", "cloud-init.target"), ("cloud-init.target", "cloud-final.service")):
        assert (distributed / wanted).is_file(), f"{wanted} is missing: apt-get install cloud-init"
        _want(distributed, wanting, wanted)
    for name, text in FOREIGN_UNITS.items():
        (distributed / name).write_text(text)
    return distributed


@pytest.fixture
def root(distributed: Path, tmp_path: Path) -> Path:
    """A root folder on which systemd finds what our units refer to."""
    root = tmp_path / "root"
    (root / "lib/systemd").mkdir(parents=True)
    (root / "lib/systemd/system").symlink_to(distributed)
    for command in (*COMMANDS, "/bin/true"):
        path = root / command.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o755)
    return root


def deliver_units(rendered: Boot, root: Path) -> list[Path]:
    """Enabled as on the machine."""
    units = unpack(rendered, root, below="/etc/systemd/system/")
    for command in yaml.safe_load(rendered.user_data)["runcmd"]:
        for name in command[2:] if command[:2] == ["systemctl", "enable"] else ():
            _enable(root / "etc/systemd/system", name)
    return [unit for unit in units if unit.parent.name == "system"]


def _enable(folder: Path, name: str) -> None:
    (target,) = (line[9:] for line in (folder / name).read_text().splitlines() if line.startswith("WantedBy="))
    _want(folder, target, name)


def _want(folder: Path, wanting: str, wanted: str) -> None:
    (folder / f"{wanting}.wants").mkdir(exist_ok=True)
    (folder / f"{wanting}.wants" / wanted).symlink_to(f"../{wanted}")


def test_systemd_has_no_objections(rendered: Boot, root: Path, tool: Tool) -> None:
    units = deliver_units(rendered, root)
    names = [f"/etc/systemd/system/{unit.name}" for unit in units]
    checked = tool("systemd-analyze", "verify", "--man=no", f"--root={root}", *names, package="systemd")
    ours = [line for line in checked.stderr.splitlines() if any(name.rpartition("/")[2] in line for name in names)]
    assert (checked.returncode, ours) == (0, []), checked.stderr


def test_nothing_waits_for_itself_at_boot(rendered: Boot, root: Path, tool: Tool) -> None:
    """cloud-init's last stage comes after multi-user.target, the runner after both, and yet the target wants the runner."""
    deliver_units(rendered, root)
    checked = tool("systemd-analyze", "verify", "--man=no", f"--root={root}", "multi-user.target")
    assert "ordering cycle" not in checked.stderr


def test_the_container_runtimes_configuration_is_toml(rendered: Boot) -> None:
    documents = [tomllib.loads(str(file.content)) for file in rendered.files if file.path.endswith(".toml")]
    for document in documents:
        if "version" in document:
            runc = document["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["runc"]
            assert runc["options"]["SystemdCgroup"] is True


def test_kubeadms_configuration_passes_our_checks_as_it_is_delivered(rendered: Boot) -> None:
    for file in rendered.files:
        if "/kubeadm-" in file.path and file.path.endswith(".yaml"):
            check_documents(list(yaml.safe_load_all(_bytes(file))), "1.36.4")


def test_json_is_json(rendered: Boot) -> None:
    for file in rendered.files:
        if file.path.endswith(".json"):
            json.loads(_bytes(file))


def test_openssl_accepts_the_delivered_authorities(
    render: Callable[..., Boot], make_node: Callable[..., Node], tmp_path: Path, tool: Tool
) -> None:
    unpack(render(make_node(carries_ca=True)), tmp_path, below="/var/lib/kube-provision/ca/")
    folder = tmp_path / "var/lib/kube-provision/ca"
    for stem in ("ca", "etcd/ca", "front-proxy-ca"):
        certificate = str(folder / f"{stem}.crt")
        verified = tool("openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", certificate, certificate)
        assert verified.returncode == 0, verified.stderr
        public = tool("openssl", "x509", "-in", certificate, "-noout", "-pubkey").stdout
        assert public == tool("openssl", "pkey", "-in", str(folder / f"{stem}.key"), "-pubout").stdout
    assert (folder / "sa.pub").read_text() == tool("openssl", "pkey", "-in", str(folder / "sa.key"), "-pubout").stdout


def test_nginx_accepts_the_delivered_template(render: Callable[..., Boot], tmp_path: Path, tool: Tool) -> None:
    """Filled in by the delivered program itself, for no master, for one and for three."""
    unpack(render(), tmp_path, below="/usr/local/lib/kube-provision/")
    programs = tmp_path / "usr/local/lib/kube-provision"
    fill = (
        "import sys, json; from pathlib import Path\n"
        "from kube_provision_node.proxy import Proxy; from kube_provision_node.settings import Places\n"
        "print(Proxy(Places(Path(sys.argv[1])), 18443).render(json.loads(sys.argv[2])))"
    )
    for masters in ([], ["10.0.0.1"], ["10.0.0.1", "10.0.0.2", "fd00::3"]):
        filled = tool("python3", "-c", fill, str(tmp_path), json.dumps(masters), cwd=programs)
        assert filled.returncode == 0, filled.stderr
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(filled.stdout)
        (tmp_path / "run/kube-provision").mkdir(parents=True, exist_ok=True)
        checked = tool("nginx", "-t", "-c", str(configuration), package="nginx libnginx-mod-stream")
        assert checked.returncode == 0, checked.stderr
