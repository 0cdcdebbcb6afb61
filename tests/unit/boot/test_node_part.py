"""What walks a machine through its boot is on every machine; the rest goes where it is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core import Boot, BootError, Cluster, Node, Role
from kube_provision_core.boot import node as node_programs_folder
from kube_provision_core.boot.node_part import NodePart
from kube_provision_core.pki import JoinSecrets

Render = Callable[..., Boot]
Content = Callable[[Boot, str], str]


def node_file(rendered: Boot) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(
        next(str(f.content) for f in rendered.files if f.path == "/etc/kube-provision/node.json")
    )
    return values


def units(rendered: Boot) -> set[str]:
    return {Path(file.path).name for file in rendered.files if Path(file.path).parent == Path("/etc/systemd/system")}


PROXY = {"kube-provision.service", "kube-provision-proxy.service", "kube-provision-follower.service"}
RECORD = {"kube-provision-record.service", "kube-provision-record.timer"}


@pytest.mark.parametrize(
    ("role", "expected"),
    [(Role.DISCOVERY, {"kube-provision.service"}), (Role.WORKER, PROXY), (Role.MASTER, PROXY | RECORD)],
)
def test_each_role_gets_the_units_that_it_needs(
    render: Render, make_node: Callable[..., Node], role: Role, expected: set[str]
) -> None:
    assert units(render(make_node(role))) == expected


def test_every_program_is_delivered(render: Render) -> None:
    (folder,) = node_programs_folder.__path__
    programs = {path.name for path in Path(folder).iterdir() if path.suffix in (".py", ".conf")}
    assert {"runner.py", "choreography.py", "follower.py"} <= programs
    delivered = {Path(file.path).name for file in render().files if file.path.startswith("/usr/local/lib/kube-provision/")}
    assert programs <= delivered


def test_a_node_knows_itself_and_no_secret(render: Render, make_node: Callable[..., Node], secrets: JoinSecrets) -> None:
    known = node_file(render(make_node(carries_ca=True)))
    assert known["name"] == "m-prod-1"
    assert known["role"] == "master"
    assert known["may_init"] is True
    assert known["ca_pin"] == secrets.pki.ca_pin
    assert known["discovery_address"] == "10.0.0.9"
    assert not {secrets.token, secrets.certificate_key} & {str(value) for value in known.values()}
    assert node_file(render(make_node(index=2)))["may_init"] is False


def test_seed_manifests_go_to_who_may_initialise(render: Render, make_node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "cni.yaml").write_text("kind: List\n")
    sources = ["https://example/ingress.yaml", str(tmp_path / "cni.yaml")]
    carrier = render(make_node(carries_ca=True), seed_manifests=sources)
    path = "/etc/kube-provision/manifests/01-cni.yaml"
    assert node_file(carrier)["seed_manifests"] == [sources[0], path]
    assert next(file.content for file in carrier.files if file.path == path) == b"kind: List\n"
    other = render(make_node(index=2), seed_manifests=sources)
    assert node_file(other)["seed_manifests"] == []
    assert path not in {file.path for file in other.files}


def test_a_seed_manifest_that_is_gone_says_so(
    configure: Callable[..., Any], make_node: Callable[..., Node], cluster: Cluster, secrets: JoinSecrets, tmp_path: Path
) -> None:
    (tmp_path / "cni.yaml").touch()
    part = NodePart(configure(seed_manifests=[str(tmp_path / "cni.yaml")]).by_role, secrets.pki)
    (tmp_path / "cni.yaml").unlink()
    with pytest.raises(BootError, match=r"^seed_manifests: .*cni\.yaml: cannot be read"):
        part.render_boot(node=make_node(carries_ca=True), cluster=cluster)


def test_the_runner_comes_after_cloud_init_and_keeps_nobody_waiting(render: Render, content: Content) -> None:
    unit = content(render(), "/etc/systemd/system/kube-provision.service").splitlines()
    assert {"After=multi-user.target", "After=cloud-final.service", "TimeoutStartSec=infinity"} <= set(unit)


def test_the_runner_walks_through_the_steps_in_order(render: Render) -> None:
    rendered = render(pre_commands=["true"])
    listed = json.loads(next(str(f.content) for f in rendered.files if f.path == "/etc/kube-provision/steps.json"))
    stages = [step["stage"] for step in listed]
    assert stages == sorted(stages, key=["prepare", "install", "discover", "join", "finish"].index)
    delivered = {file.path: file for file in rendered.files}
    assert all(delivered[step["path"]].mode == 0o700 for step in listed)
    (membership,) = (step for step in listed if step["name"] == "membership")
    assert membership["plugin"] == "kubeadm"


def test_an_instance_is_always_a_new_one(render: Render) -> None:
    first, second = render(), render()
    assert first.instance_id != second.instance_id
    assert first.user_data == second.user_data
