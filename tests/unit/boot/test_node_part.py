"""What walks a machine through its boot is on every machine; the rest goes where it is needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import kube_provision_node
from kube_provision_core import Boot, BootError, Cluster, File, Node, Role
from kube_provision_core.boot.node_part import NodePart
from kube_provision_core.folder.pki import JoinSecrets

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
TASKS = {"kube-provision-tasks.service"}
TIMED = {f"kube-provision-{what}.{kind}" for what in ("record", "certificates") for kind in ("service", "timer")}


@pytest.mark.parametrize(
    ("role", "expected"),
    [(Role.DISCOVERY, {"kube-provision.service"}), (Role.WORKER, PROXY | TASKS), (Role.MASTER, PROXY | TASKS | TIMED)],
)
def test_each_role_gets_the_units_that_it_needs(
    render: Render, make_node: Callable[..., Node], role: Role, expected: set[str]
) -> None:
    assert units(render(make_node(role))) == expected


BY_TASKS = {"encryption.py", "expiry.py", "leadership.py", "results.py", "upgrade.py", "upgrading.py"}


def test_every_program_is_delivered_but_what_comes_when_it_is_needed(render: Render) -> None:
    (folder,) = kube_provision_node.__path__
    programs = {path.name for path in Path(folder).iterdir() if path.suffix in (".py", ".conf")}
    assert {"runner.py", "choreography.py", "follower.py"} | BY_TASKS <= programs
    delivered = {Path(file.path).name for file in render().files if "/kube_provision_node/" in file.path}
    assert delivered == programs - BY_TASKS - {"restore.py", "ipv6.py"}


@pytest.mark.parametrize(("networks", "wanted"), [("10.244.0.0/16", False), ("10.244.0.0/16,fd00:10:244::/56", True)])
def test_what_looks_for_an_ipv6_address_is_delivered_in_a_dual_stack_cluster(
    render: Render, cluster: Cluster, networks: str, wanted: bool
) -> None:
    delivered = {Path(file.path).name for file in render(cluster=replace(cluster, pod_subnet=networks)).files}
    assert ("ipv6.py" in delivered) is wanted


@pytest.mark.parametrize("role", Role)
def test_what_an_upgrade_needs_is_in_nobodys_boot_data(render: Render, make_node: Callable[..., Node], role: Role) -> None:
    assert not BY_TASKS & {Path(file.path).name for file in render(make_node(role)).files}


@pytest.mark.parametrize("role", [Role.WORKER, Role.DISCOVERY])
def test_what_masters_alone_do_is_delivered_to_them_alone(
    render: Render, make_node: Callable[..., Node], role: Role
) -> None:
    delivered = {Path(file.path).name for file in render(make_node(role)).files}
    assert not {"certificates.py", "cluster_dns.py", "static_pods.py", "validity.py"} & delivered
    assert "runner.py" in delivered


@pytest.mark.parametrize("role", Role)
def test_what_is_started_by_name_lies_where_it_is_started(
    render: Render, make_node: Callable[..., Node], role: Role
) -> None:
    """By `python3 -m`, in a unit that works in the folder of the programs, or in a step that has gone there."""
    delivered = {str(file.path): str(file.content) for file in render(make_node(role)).files}
    started = {(path, name) for path, text in delivered.items() for name in re.findall(r"python3 -m ([\w.]+)", text)}
    assert started
    for path, name in started:
        assert f"/usr/local/lib/kube-provision/{name.replace('.', '/')}.py" in delivered, f"{path} starts {name}"
        gone_there = r"WorkingDirectory=/usr/local/lib/kube-provision\n|cd /usr/local/lib/kube-provision && exec "
        assert re.search(gone_there, delivered[path]), f"{path} starts {name} from elsewhere"


def test_a_node_knows_itself_and_no_secret(render: Render, make_node: Callable[..., Node], secrets: JoinSecrets) -> None:
    known = node_file(render(make_node(carries_ca=True)))
    assert known["name"] == "m-prod-1"
    assert known["role"] == "master"
    assert known["may_init"] is True
    assert known["ca_pin"] == secrets.pki.ca_pin
    assert known["discovery_address"] == "10.0.0.9"
    assert not {secrets.token, secrets.certificate_key} & {str(value) for value in known.values()}
    assert node_file(render(make_node(index=2)))["may_init"] is False


def machine_key(rendered: Boot) -> list[File]:
    return [file for file in rendered.files if file.path == "/etc/kube-provision/machine.key"]


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
def test_each_member_is_given_a_key_of_its_own(
    render: Render, make_node: Callable[..., Node], secrets: JoinSecrets, role: Role
) -> None:
    one, another = (make_node(role), make_node(role, index=2))
    (key,), (others,) = machine_key(render(one)), machine_key(render(another))
    assert str(key.content).strip() == secrets.pki.machine_key(one.stamp.cluster_id, one.name, one.stamp.instance)
    assert key.content != others.content
    assert (key.mode, key.secret) == (0o600, True)


def test_a_machine_that_is_made_anew_is_given_another_key(render: Render, make_node: Callable[..., Node]) -> None:
    node = make_node(Role.WORKER)
    anew = replace(node, stamp=replace(node.stamp, instance="5f0d"))
    assert machine_key(render(node))[0].content != machine_key(render(anew))[0].content


def test_the_discovery_machine_is_no_member_and_has_no_key(render: Render, make_node: Callable[..., Node]) -> None:
    assert not machine_key(render(make_node(Role.DISCOVERY)))


def test_seed_manifests_go_to_who_may_initialise(render: Render, make_node: Callable[..., Node], tmp_path: Path) -> None:
    (tmp_path / "cni.yaml").write_text("apiVersion: v1\nkind: List\n")
    sources = ["https://example/ingress.yaml", str(tmp_path / "cni.yaml")]
    carrier = render(make_node(carries_ca=True), seed_manifests=sources)
    path = "/etc/kube-provision/manifests/01-cni.yaml"
    assert node_file(carrier)["seed_manifests"] == [sources[0], path]
    assert next(file.content for file in carrier.files if file.path == path) == b"apiVersion: v1\nkind: List\n"
    other = render(make_node(index=2), seed_manifests=sources)
    assert node_file(other)["seed_manifests"] == []
    assert path not in {file.path for file in other.files}


def test_a_seed_manifest_that_is_gone_says_so(
    configure: Callable[..., Any], make_node: Callable[..., Node], cluster: Cluster, secrets: JoinSecrets, tmp_path: Path
) -> None:
    (tmp_path / "cni.yaml").write_text("apiVersion: v1\nkind: List\n")
    part = NodePart(configure(seed_manifests=[str(tmp_path / "cni.yaml")]).by_role)
    (tmp_path / "cni.yaml").unlink()
    with pytest.raises(BootError, match=r"^seed_manifests: .*cni\.yaml: cannot be read"):
        part.render_boot(make_node(carries_ca=True), cluster, secrets)


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
