"""What containerd is told of registries, and who can read it."""

from __future__ import annotations

import base64
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import Boot, Image, Node, Role

Render = Callable[..., Boot]
Content = Callable[[Boot, str], str]
FOLDER = "/etc/containerd/certs.d"
LOGINS = "/etc/kube-provision/registry-logins.toml"
LOGIN = {"username": "robot$kube", "password": "it's \"\\ hunter2"}
BASIC = base64.b64encode(b"robot$kube:it's \"\\ hunter2").decode()
WEB = {"image": "quay.io/team/web:1", "service": "web"}


@pytest.fixture
def hosts(render: Render, content: Content) -> Callable[..., dict[str, Any]]:
    """What `hosts.toml` of quay.io says for such an entry."""

    def hosts(entry: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
        registries = {"quay.io": entry, **{name.replace("_", "."): it for name, it in others.items()}}
        return tomllib.loads(content(render(registries=registries), f"{FOLDER}/quay.io/hosts.toml"))

    return hosts


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://m.example", False),
        ("https://m.example/hub", False),
        ("https://harbor.example/v2/hub-cache", True),
        ("https://m.example/a/v2", True),
        ("https://m.example/a/v2/b", True),
        ("https://m.example/v2ray", False),
    ],
)
def test_a_path_that_says_where_the_api_is_is_kept(hosts: Callable[..., Any], url: str, kept: bool) -> None:
    """To any other one containerd adds `/v2`, as documented."""
    assert hosts({"mirrors": [url]})["host"][url].get("override_path", False) is kept


def test_nobody_but_the_mirrors_is_asked(hosts: Callable[..., Any]) -> None:
    """containerd goes on to `server`, or to the registry itself if there is none, unless that is only pushed to."""
    said = hosts({"mirrors": ["https://a.example/v2/quay", "http://b.example:5000"]})
    assert (said["server"], said["capabilities"]) == ("https://quay.io", ["push"])
    assert list(said["host"]) == ["https://a.example/v2/quay", "http://b.example:5000"]
    assert {tuple(host["capabilities"]) for host in said["host"].values()} == {("pull", "resolve")}


def test_each_server_has_its_own_authority_and_login(hosts: Callable[..., Any], authority: str) -> None:
    said = hosts({"mirrors": ["https://a.example", "https://b.example"], "ca": authority}, a_example=LOGIN)
    first, second = said["host"].values()
    assert first["header"] == {"Authorization": f"Basic {BASIC}"}
    assert "ca" not in first
    assert second["ca"] == f"{FOLDER}/quay.io/ca-2.pem"
    assert "header" not in second


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_only_root_reads_a_password(render: Render, make_node: Callable[..., Node], role: Role) -> None:
    rendered = render(make_node(role), registries={"quay.io": LOGIN, "ghcr.io": {"mirrors": ["https://m.example"]}})
    holding = [file for file in rendered.files if BASIC in str(file.content) or "hunter2" in str(file.content)]
    assert sorted(file.path for file in holding) == [f"{FOLDER}/quay.io/hosts.toml", LOGINS]
    assert all(file.secret and file.mode == 0o600 for file in holding)
    (open_one,) = (file for file in rendered.files if file.path == f"{FOLDER}/ghcr.io/hosts.toml")
    assert (open_one.secret, open_one.mode) == (False, 0o644)


def test_the_authority_lies_where_it_is_looked_for(render: Render, content: Content, authority: str) -> None:
    rendered = render(registries={"registry.example:5000": {"ca": authority}})
    said = tomllib.loads(content(rendered, f"{FOLDER}/registry.example:5000/hosts.toml"))
    assert content(rendered, said["host"]["https://registry.example:5000"]["ca"]) == authority


def test_containers_go_the_same_way_on_every_machine(
    render: Render, content: Content, make_node: Callable[..., Node]
) -> None:
    for role in Role:
        rendered = render(make_node(role), containers=[WEB], registries={"quay.io": LOGIN})
        assert f"images pull --hosts-dir {FOLDER} " in content(rendered, "web.service")
        assert BASIC in content(rendered, f"{FOLDER}/quay.io/hosts.toml")
        assert BASIC not in content(rendered, "web.service")


def test_where_nothing_is_said_nothing_is_delivered(render: Render) -> None:
    assert not [file.path for file in render().files if "certs.d" in file.path or file.path == LOGINS]


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1", True),
        ("containerd containerd.io v1.7.27 05044ec", True),
        ("containerd github.com/containerd/containerd/v2 2.0.7", True),
        ("containerd github.com/containerd/containerd/v2 2.1.0", False),
        ("containerd github.com/containerd/containerd/v2 v2.2.1 dea7da5", False),
    ],
)
def test_a_runtime_that_sends_headers_to_token_servers_needs_no_more(
    render: Render, tmp_path: Path, version: str, told: bool
) -> None:
    rendered = render(registries={"quay.io": {"mirrors": ["https://m.example:5000/v2/quay"]} | LOGIN})
    configuration = configured_by(rendered, tmp_path, version)
    registry = tomllib.loads(configuration.read_text())["plugins"]["io.containerd.grpc.v1.cri"]["registry"]
    assert registry["config_path"] == FOLDER
    assert registry.get("configs") == ({"m.example:5000": {"auth": {"auth": BASIC}}} if told else None)
    assert (configuration.stat().st_mode & 0o077 == 0) is told


@pytest.mark.parametrize("version", ["containerd containerd.io v1.7.27 05044ec", "containerd containerd.io v2.2.1 dea7da5"])
@pytest.mark.parametrize(
    "registries",
    [
        {"quay.io": {"mirrors": ["https://m.example"]}},
        {"quay.io": {"mirrors": ["https://m.example"]} | LOGIN, "m.example": {"ca": "AUTHORITY"}},
        {"quay.io": {"mirrors": ["https://m.example"]} | LOGIN, "m.example": LOGIN},
        {"quay.io": LOGIN},
    ],
)
def test_the_runtime_starts_whoever_logs_in_where(
    render: Render, tmp_path: Path, authority: str, version: str, registries: dict[str, dict[str, Any]]
) -> None:
    """The step reads what is delivered, and nothing else."""
    entries = {name: {**entry, **({"ca": authority} if "ca" in entry else {})} for name, entry in registries.items()}
    assert tomllib.loads(configured_by(render(registries=entries), tmp_path, version).read_text())


def configured_by(rendered: Boot, folder: Path, version: str) -> Path:
    """containerd's configuration on a machine with this containerd, when the step that starts it has run twice."""
    files = {file.path: str(file.content) for file in rendered.files}
    (script,) = (text for path, text in files.items() if path.endswith("/kubeadm-container-runtime.sh"))
    for path in ("/etc/containerd/config.toml", LOGINS):
        script = script.replace(path, str(folder / Path(path).name))
        if path in files:
            (folder / Path(path).name).write_text(files[path])
    for name, text in {
        "kubeadm": "case $* in version*) echo v1.36.4 ;; *) echo r.example/pause:3.10 ;; esac",
        "containerd": f"echo '{version}'",
        "systemctl": "",
        "ctr": "",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    for _ in range(2):
        subprocess.run(["bash", "-c", script], env={"PATH": f"{folder}:{os.environ['PATH']}"}, check=True, timeout=60)
    return folder / "config.toml"


REGISTRIES: dict[str, Any] = {"quay.io": LOGIN, "registry.k8s.io": {"mirrors": ["https://m.example/v2/k8s"]}}


class TestBaking:
    def test_the_script_holds_no_password_and_says_what_it_lacks(self, bake: Callable[..., Image]) -> None:
        image = bake(registries=REGISTRIES)
        assert BASIC not in image.script
        assert "hunter2" not in image.script
        assert f"file {FOLDER}/registry.k8s.io/hosts.toml 0644" in image.script
        assert f"[ -e {FOLDER}/quay.io/hosts.toml ] || refuse " in image.script

    def test_the_boot_data_brings_it(self, bake: Callable[..., Image]) -> None:
        held = {file.path: file for file in bake(registries=REGISTRIES).boot.files if BASIC in str(file.content)}
        assert held.keys() == {f"{FOLDER}/quay.io/hosts.toml", LOGINS}
        assert all(file.secret and file.mode == 0o600 for file in held.values())

    def test_a_new_password_makes_no_template_old(self, bake: Callable[..., Image]) -> None:
        changed = {**REGISTRIES, "quay.io": LOGIN | {"password": "another"}}
        assert bake(registries=changed).spec == bake(registries=REGISTRIES).spec

    def test_the_seal_takes_all_of_it_out(self, bake: Callable[..., Image]) -> None:
        script = bake(registries=REGISTRIES).script
        seal = script[script.index("seal/seal") :]
        for name in REGISTRIES:
            assert f"{FOLDER}/{name}/hosts.toml" in seal
        assert "Logins of registries" in seal
