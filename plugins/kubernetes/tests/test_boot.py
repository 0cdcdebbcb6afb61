"""What machines are given, and what the configuration may say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from pydantic import ValidationError

from kube_provision_core import BootError, Cluster, File, Role
from kube_provision_core.testing import cluster_of, node_of
from kube_provision_kubernetes import tokens
from kube_provision_kubernetes.config import KubernetesConfig
from kube_provision_kubernetes.driver import Kubernetes

SEED = "0123456789abcdef" * 4
CLUSTER = replace(cluster_of(name="prod", address=None), ca="the authority", discovery_on_masters=True)
TOKEN, RIGHTS = "/etc/kube-provision/discovery-token", "/etc/kube-provision/discovery-rights.json"


def files(role: Role, cluster: Cluster = CLUSTER, *, carries_ca: bool = False, **keys: object) -> Mapping[str, File]:
    config = KubernetesConfig.model_validate({"kubernetes_seed": SEED} | keys)
    fragment = Kubernetes(dict.fromkeys(Role, config)).render_boot(node_of("x", role, carries_ca=carries_ca), cluster)
    return {file.path: file for file in fragment.files}


@pytest.mark.parametrize(("role", "asker"), [(Role.MASTER, tokens.Asker.MASTERS), (Role.WORKER, tokens.Asker.WORKERS)])
def test_a_machine_has_the_token_of_its_role_and_no_other(role: Role, asker: tokens.Asker) -> None:
    given = files(role)
    token = given[TOKEN]
    assert (token.content, token.mode, token.secret) == (tokens.token(SEED, asker) + "\n", 0o600, True)
    everything = "".join(str(file.content) for file in given.values())
    assert not [other for other in tokens.Asker if other is not asker and tokens.token(SEED, other) in everything]
    assert SEED not in everything


def test_the_machine_that_carries_the_authorities_alone_makes_rights() -> None:
    assert RIGHTS not in files(Role.MASTER)
    given = files(Role.MASTER, carries_ca=True)[RIGHTS]
    assert (given.mode, given.secret) == (0o600, True)
    assert json.loads(str(given.content)) == {"apiVersion": "v1", "kind": "List", "items": tokens.rights(SEED)}
    assert SEED not in str(given.content)


def test_machines_are_told_the_masters_that_were_seen_and_static_ones() -> None:
    seen = replace(CLUSTER, discovery_address="192.0.2.1", discovery_others=("192.0.2.2",))
    told = json.loads(str(files(Role.WORKER, seen, kubernetes_seeds=["192.0.2.2", "192.0.2.3"])[DATA].content))
    assert told == {
        "seeds": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "port": 6443,
        "ca": "the authority",
        "interface": "",
    }


def test_the_first_machine_is_told_of_nobody() -> None:
    assert json.loads(str(files(Role.MASTER, carries_ca=True)[DATA].content))["seeds"] == []


def test_nothing_is_rendered_for_a_cluster_that_was_made_with_another_discovery() -> None:
    config = KubernetesConfig()
    with pytest.raises(BootError, match=r"made with another discovery\. Name that one"):
        Kubernetes(dict.fromkeys(Role, config)).render_boot(node_of("m-1", Role.MASTER), CLUSTER)


def test_a_seed_is_made_for_a_new_cluster_alone() -> None:
    made = KubernetesConfig().founding()["kubernetes_seed"]()
    assert KubernetesConfig.model_validate({"kubernetes_seed": made}).founding() == {}
    assert KubernetesConfig().generated() == {}


@pytest.mark.parametrize(
    "keys",
    [
        {"kubernetes_seeds": ["masters.example.org"]},
        {"kubernetes_seeds": ["2001:db8::1"]},
        {"kubernetes_bind_interface": "eth0; reboot"},
        {"kubernetes_seed": "short"},
    ],
)
def test_bad_input_is_refused_at_its_key(keys: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        KubernetesConfig.model_validate(keys)
    assert [error["loc"][0] for error in caught.value.errors()] == list(keys)


def test_an_interface_is_told_to_machines() -> None:
    assert json.loads(str(files(Role.WORKER, kubernetes_bind_interface="eth1")[DATA].content))["interface"] == "eth1"


@pytest.mark.parametrize(("keys", "told"), [({}, "eth0"), ({"kubernetes_bind_interface": "eth1"}, "eth1")])
def test_else_the_one_that_the_target_names(keys: Mapping[str, str], told: str) -> None:
    driver = Kubernetes(dict.fromkeys(Role, KubernetesConfig.model_validate({"kubernetes_seed": SEED, **keys})))
    fragment = driver.render_boot(replace(node_of("w-1"), interface="eth0"), CLUSTER)
    assert [json.loads(str(it.content))["interface"] for it in fragment.files if it.path == DATA] == [told]


DATA = "/etc/kube-provision/discovery.json"
