"""Labels, taints and names of servers: what is taken, and what is refused at its line."""

from __future__ import annotations

import pytest

from kube_provision_core import Role
from kube_provision_core.config.node_words import taint_parts

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
LONG = "a" * 64
IS_NONE = "must be a label's name such as disk or example.com/disk"
VALUE = "must be at most 63 letters, digits, `-`, `_` and `.`, a letter or a digit at both ends; or empty"
TAINT = "must be key=value:Effect or key:Effect, the effect NoSchedule, PreferNoSchedule or NoExecute"
SERVER = "must be a name such as api.example or *.example, in lower case, or an IP address"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("labels: {a/b/c: x}", f"labels.a/b/c: is no key here: it {IS_NONE}"),
        ("labels: {Example.com/disk: x}", f"labels.Example.com/disk: is no key here: it {IS_NONE}"),
        ("labels: {-disk: x}", f"labels.-disk: is no key here: it {IS_NONE}"),
        (f"labels: {{{LONG}: x}}", f"labels.{LONG}: is no key here: it {IS_NONE}"),
        ("labels: {disk: very fast}", f"labels.disk: {VALUE}"),
        (f"labels: {{disk: {LONG}}}", f"labels.disk: {VALUE}"),
        ("labels: {disk: }", "labels.disk: has no value"),
        (
            "labels: {kubernetes.io/os: linux}",
            "labels.kubernetes.io/os: is no key here: it is what each kubelet finds out itself",
        ),
        (
            "labels: {node-role.kubernetes.io/control-plane: ''}",
            "labels.node-role.kubernetes.io/control-plane: is no key here: it makes a node a master: kubeadm gives it to "
            "masters, and to them alone",
        ),
        ("taints: [dedicated]", f"taints[0]: {TAINT}"),
        ("taints: ['dedicated=gpu:NoSchedul']", f"taints[0]: {TAINT}"),
        ("taints: ['a=b c:NoSchedule']", f"taints[0]: {TAINT}"),
        ("taints: ['a=1:NoSchedule', 'a=2:NoSchedule']", "taints: a:NoSchedule is given twice"),
        ("api_server_sans: [API.example]", f"api_server_sans[0]: {SERVER}"),
        ("api_server_sans: [api.example, 10.0.0]", f"api_server_sans[1]: {SERVER}"),
        ("api_server_sans: ['https://api.example']", f"api_server_sans[0]: {SERVER}"),
        ("cloud_provider: vsphere", "cloud_provider: must be one of 'external'"),
        ("workers: {cloud_provider: external}", "cloud_provider cannot differ per role; write it outside of workers"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(complaints, text: str, said: str) -> None:
    assert complaints(f"{MINIMAL}{text}\n") == [f"config.yml:6: {said}"]


def test_what_kubernetes_takes_is_taken(load_text) -> None:
    text = """
api_server_sans: [api.example, "*.k8s.example", 10.0.0.5, "2001:DB8::5"]
labels: {disk: fast, example.com/tier: 1, topology.kubernetes.io/zone: a, node-role.kubernetes.io/worker: ""}
taints: ["dedicated=gpu:NoSchedule", "dedicated=gpu:NoExecute", "example.com/maintenance:PreferNoSchedule"]
masters: {taints: []}
"""
    config = load_text(MINIMAL + text)
    assert config.core.api_server_sans == ["api.example", "*.k8s.example", "10.0.0.5", "2001:db8::5"]
    assert config.core.labels["example.com/tier"] == "1"
    assert config.by_role[Role.MASTER].taints == []
    assert len(config.by_role[Role.WORKER].taints or ()) == 3


@pytest.mark.parametrize(
    ("taint", "parts"),
    [
        ("dedicated=gpu:NoSchedule", {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}),
        ("dedicated=:NoExecute", {"key": "dedicated", "effect": "NoExecute"}),
        ("example.com/x:PreferNoSchedule", {"key": "example.com/x", "effect": "PreferNoSchedule"}),
    ],
)
def test_a_taint_has_the_parts_that_kubernetes_names(taint: str, parts: dict[str, str]) -> None:
    assert taint_parts(taint) == parts


def test_taints_make_another_machine_and_labels_do_not(load_text) -> None:
    plain, tainted = load_text(MINIMAL), load_text(MINIMAL + "workers: {taints: ['a:NoSchedule']}\n")
    labelled = load_text(MINIMAL + "labels: {disk: fast}\napi_server_sans: [api.example]\n")
    assert tainted.spec(Role.WORKER) != plain.spec(Role.WORKER)
    assert [tainted.spec(role) for role in (Role.MASTER, Role.DISCOVERY)] == [
        plain.spec(role) for role in (Role.MASTER, Role.DISCOVERY)
    ]
    assert {role: labelled.spec(role) for role in Role} == {role: plain.spec(role) for role in Role}
