"""kubeadm's own documents as a user may write them: what is taken, and what is refused at its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import Role
from kube_provision_core.config import kubeadm_arguments, kubeadm_documents
from kube_provision_core.config.kubeadm_fields import VERSIONS, fields, read
from kube_provision_core.folder.x509 import create_authority

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
LINE = "\n"
PAGE = (Path(__file__).parents[3] / "docs/kubeadm.md").read_text()
KEYS = {
    "ClusterConfiguration": "kubeadm.cluster",
    "InitConfiguration": "kubeadm.init",
    "JoinConfiguration": "kubeadm.join",
    "KubeletConfiguration": "kubelet",
    "KubeProxyConfiguration": "kube_proxy",
}


def nested(place: str, value: object) -> Any:
    """`a.b` and 1 are `{a: {b: 1}}`."""
    for step in reversed(place.split(".")):
        value = {step: value}
    return value


def field_at(kind: str, place: str) -> Any:
    field: Any = fields(kind)
    for step in place.split("."):
        field = field[step]
    return field


def sample(field: Any) -> Any:
    """A value of the field's type."""
    if isinstance(field, Mapping):
        name, inner = next(iter(field.items()))
        return {"any" if name == "*" else name: sample(inner)}
    if isinstance(field, list):
        return [sample(field[0])]
    return {"text": "x", "int": 1, "number": 1.5, "bool": True}[field]


def refused() -> Iterator[tuple[str, str, str]]:
    for kind, places in kubeadm_documents.REFUSED.items():
        yield from ((kind, place, reason) for place, reason in places.items())


def refused_arguments() -> Iterator[tuple[str, str, str, str]]:
    for (kind, place), names in kubeadm_arguments.REFUSED.items():
        yield from ((kind, place, name, reason) for name, reason in names.items())


def test_what_is_written_is_read_by_the_types_of_its_fields(load_text) -> None:
    core = load_text(
        MINIMAL
        + "kubeadm:\n"
        + "  cluster:\n"
        + "    apiServer: {extraArgs: [{name: audit-log-maxage, value: 30}], certSANs: [api.example]}\n"
        + "    featureGates: {NodeLocalCRISocket: yes}\n"
        + "kubelet: {maxPods: '200', seccompDefault: true, memoryThrottlingFactor: 0.9,\n"
        + "  kubeReserved: {cpu: 1, memory: 0777}}\n"
    ).core
    assert core.kubeadm.cluster == {
        "apiServer": {"extraArgs": [{"name": "audit-log-maxage", "value": "30"}], "certSANs": ["api.example"]},
        "featureGates": {"NodeLocalCRISocket": True},
    }
    assert core.kubelet == {
        "maxPods": 200,
        "seccompDefault": True,
        "kubeReserved": {"cpu": "1", "memory": "0777"},
        "memoryThrottlingFactor": 0.9,
    }


def test_a_role_may_have_a_kubelet_of_its_own(load_text) -> None:
    by_role = load_text(MINIMAL + "kubelet: {maxPods: 200}\nmasters: {kubelet: {maxPods: 50}}\n").by_role
    assert (by_role[Role.MASTER].kubelet, by_role[Role.WORKER].kubelet) == ({"maxPods": 50}, {"maxPods": 200})


@pytest.mark.parametrize("mode", kubeadm_documents.MODES)
def test_the_mode_of_kube_proxy_may_stand_alone(load_text, mode: str) -> None:
    text = f"{MINIMAL}seed_manifests: []\nkube_proxy: "
    assert load_text(f"{text}{mode}\n").core.kube_proxy == load_text(f"{text}{{mode: {mode}}}\n").core.kube_proxy


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_document_may_say_which_it_is(kind: str) -> None:
    assert read(kind, {"apiVersion": VERSIONS[kind], "kind": kind}) == ({}, ())
    assert read(kind, {"kind": "Pod"})[1] == ((("kind",), f"must be {kind}"),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kubelet:\n  maxPods: many\n", "config.yml:7: kubelet.maxPods: must be a whole number"),
        ("kubelet:\n  maxPod: 9\n", "config.yml:7: kubelet.maxPod: no such key is known; did you mean maxPods?"),
        ("kubelet: 3\n", "config.yml:6: kubelet: must be a mapping of keys to values"),
        ("kubelet:\n  clusterDNS: 10.96.0.10\n", "config.yml:7: kubelet.clusterDNS: must be a list"),
        ("kubelet:\n  clusterDNS:\n", "config.yml:7: kubelet.clusterDNS: has no value"),
        ("kubelet: {featureGates: {A: perhaps}}\n", "config.yml:6: kubelet.featureGates.A: must be true or false"),
        ("kubelet: {logging: 3}\n", "config.yml:6: kubelet.logging: must be a mapping of keys to values"),
        ("kubelet: {tlsMinVersion: [a]}\n", "config.yml:6: kubelet.tlsMinVersion: must be text"),
        (
            "kubelet: {memoryThrottlingFactor: much}\n",
            "config.yml:6: kubelet.memoryThrottlingFactor: must be a number",
        ),
        (
            "kubeadm:\n  cluster:\n    apiServer:\n      extraArgs:\n      - {name: v}\n",
            "config.yml:10: kubeadm.cluster.apiServer.extraArgs[0]: must be a name and a value, both text",
        ),
        (
            "kubeadm:\n  cluster:\n    scheduler:\n      extraArgs:\n      - {name: --v, value: 4}\n",
            "config.yml:10: kubeadm.cluster.scheduler.extraArgs[0].name: must be an argument's name, without dashes before "
            "it",
        ),
        ("kube_proxy: userspace\n", "config.yml:6: kube_proxy: must be none, iptables, nftables or ipvs"),
        (
            "seed_manifests: []\nkube_proxy: {mode: none, metricsBindAddress: '0.0.0.0:10249'}\n",
            "config.yml:7: kube_proxy.mode: is none: nothing reads the other keys",
        ),
        (
            "kube_proxy: none\n",
            "config.yml:6: kube_proxy: none leaves services to the network plugin, and the default one serves none; name "
            "one in seed_manifests that does, or [] to bring it later",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(complaints, text: str, said: str) -> None:
    assert complaints(MINIMAL + text) == [said]


@pytest.mark.parametrize(
    ("component", "name", "value", "reason"),
    [
        ("apiServer", "authorization-mode", "RBAC", "must name Node and RBAC"),
        ("apiServer", "enable-admission-plugins", "AlwaysPullImages", "must name NodeRestriction too"),
        ("apiServer", "disable-admission-plugins", "A, NodeRestriction", "must not name NodeRestriction"),
        *(
            ("apiServer", "anonymous-auth", value, "must not be false")
            for value in ("false", "False", "FALSE", "f", "F", "0")
        ),
        ("controllerManager", "controllers", "*,-cloud-node-lifecycle-controller", "must name bootstrap-signer-controller"),
    ],
)
def test_an_argument_that_takes_the_place_of_kubeadms_own_must_hold_what_is_needed(
    complaints, component: str, name: str, value: str, reason: str
) -> None:
    arguments = {component: {"extraArgs": [{"name": name, "value": value}]}}
    (line,) = complaints(MINIMAL + yaml.safe_dump({"kubeadm": {"cluster": arguments}}))
    assert f"extraArgs[0]: {name} {reason}" in line


def test_arguments_that_hold_what_is_needed_are_taken(load_text) -> None:
    text = """
kubeadm:
  cluster:
    apiServer:
      extraArgs:
      - {name: authorization-mode, value: "Node,RBAC,Webhook"}
      - {name: enable-admission-plugins, value: "NodeRestriction, AlwaysPullImages"}
      - {name: anonymous-auth, value: "true"}
    controllerManager:
      extraArgs: [{name: controllers, value: "*,bootstrapsigner,token-cleaner-controller"}]
"""
    assert len(load_text(MINIMAL + text).core.kubeadm.cluster) == 2


@pytest.mark.parametrize(("kind", "place", "reason"), list(refused()))
def test_what_others_decide_is_refused_with_the_reason(complaints, kind: str, place: str, reason: str) -> None:
    written = f"{KEYS[kind]}.{place}"
    lines = complaints(MINIMAL + yaml.safe_dump(nested(written, sample(field_at(kind, place)))))
    assert f"config.yml:{MINIMAL.count(LINE) + written.count('.') + 1}: {written}: {reason}" in lines


@pytest.mark.parametrize(("kind", "place", "name", "reason"), list(refused_arguments()))
def test_arguments_that_others_decide_on_are_refused_with_the_reason(
    complaints, kind: str, place: str, name: str, reason: str
) -> None:
    document = nested(f"{KEYS[kind]}.{place}", [{"name": name, "value": "x"}])
    (line,) = complaints(MINIMAL + yaml.safe_dump(document))
    assert line.endswith(f"{KEYS[kind]}.{place}[0]: {name} {reason}")


def test_settings_of_the_kubelet_make_another_machine_and_none_leaves_it_as_it_was(load_text) -> None:
    plain, tuned = load_text(MINIMAL), load_text(MINIMAL + "kubelet: {maxPods: 200}\n")
    joined = load_text(MINIMAL + "kubeadm: {join: {nodeRegistration: {ignorePreflightErrors: [Mem]}}}\n")
    cluster = load_text(MINIMAL + "kubeadm: {cluster: {encryptionAlgorithm: ECDSA-P256}}\nkube_proxy: ipvs\n")
    for role in (Role.MASTER, Role.WORKER):
        assert len({config.spec(role) for config in (plain, tuned, joined)}) == 3
        assert cluster.spec(role) == plain.spec(role)
    assert len({config.spec(Role.DISCOVERY) for config in (plain, tuned, joined, cluster)}) == 1


def test_a_stamp_of_a_machine_without_these_keys_is_the_one_that_it_always_was(load_text) -> None:
    assert load_text(MINIMAL).spec(Role.MASTER) == "73c84d5b102a"


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_pages_examples_are_configurations(load_text, folder: Path, text: str) -> None:
    (folder / "site-ca.pem").write_bytes(create_authority("site", "example").certificate)
    (folder / "patches").mkdir()
    (folder / "patches/kube-apiserver.yaml").write_text("spec: {priority: 2000001000}\n")
    (folder / "audit-policy.yaml").write_text(PAGE.partition("secrets' neither:\n\n```\n")[2].partition("```")[0])
    load_text(MINIMAL + text)
