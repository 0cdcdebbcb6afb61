"""What is said of an open Consul that is being closed, and where there is none to close."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping

import pytest

from kube_provision_consul import layout, openness
from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_consul.seed import Seed, new_seed
from kube_provision_core import Cluster, Role
from kube_provision_core.testing import boot_of, node_of

SEED = Seed(new_seed())
NODES = {"m-prod-1": Role.MASTER, "m-prod-2": Role.MASTER, "w-prod-1": Role.WORKER, "gpu-prod-1": Role.of_pool("gpu")}
SERVERS = ("consul-prod", "consul-prod-2", "consul-prod-3")
CLUSTER = Cluster("prod", "id", "1.36.4", frozenset((*SERVERS, *NODES)), nodes=NODES)


def shown(*names: str) -> dict[str, Mapping[str, str]]:
    """As these machines, which have a token, show themselves."""
    return {name: {layout.CLOSED_META: SEED.mark(name)} for name in names}


def told(listed: Mapping[str, Mapping[str, str]], cluster: Cluster = CLUSTER) -> str:
    return openness.remaining(listed, cluster, SEED)


def test_machines_that_a_new_server_does_not_list_yet_have_no_token() -> None:
    for listed in ({}, shown(*SERVERS), {name: {} for name in (*SERVERS, *NODES)}):
        assert f"kube-provision replace {' '.join(NODES)} --name prod" in told(listed)


def test_servers_are_told_though_none_is_listed() -> None:
    wanted = "then kube-provision destroy --name prod --node consul-prod --node consul-prod-2 --node consul-prod-3, and run"
    assert wanted in told(shown(*NODES))


def test_names_of_others_are_in_no_command() -> None:
    others: dict[str, Mapping[str, str]] = {"$(touch /tmp/x)": {}, "m-other-1": {layout.ROLE_META: Role.DISCOVERY}}
    everyone = told(shown(*NODES))
    assert told(shown(*NODES) | others) == everyone
    assert told(others) == told({})


@pytest.mark.parametrize(
    "mark",
    ["yes", "", SEED.mark("m-prod-2"), Seed(new_seed()).mark("m-prod-1")],
    ids=["a word", "nothing", "another machine's", "another seed's"],
)
def test_nobody_can_say_for_a_machine_that_it_has_its_token(mark: str) -> None:
    listed = shown(*NODES) | {"m-prod-1": {layout.CLOSED_META: mark}}
    assert told(listed).endswith("Make them anew: kube-provision replace m-prod-1 --name prod")


def test_a_machine_that_is_no_longer_asked_for_is_removed() -> None:
    """`replace` would refuse it."""
    cluster = Cluster("prod", "id", "1.36.4", CLUSTER.names - {"w-prod-1", "m-prod-2"}, nodes=NODES)
    line = told(shown("m-prod-1", "gpu-prod-1", "m-prod-2"), cluster)
    assert line.endswith(
        "w-prod-1 have no token yet, or are off. Remove what is not asked for any more: "
        "kube-provision destroy --name prod --node w-prod-1"
    )
    assert "replace m-prod-1 --name prod. Remove" in told(shown("gpu-prod-1", "m-prod-2"), cluster)


def test_commands_are_quoted() -> None:
    odd = "a b;c"
    line = told({}, Cluster("prod", "id", "1.36.4", frozenset([odd]), nodes={odd: Role.WORKER}))
    assert shlex.split(line.partition("anew: ")[2]) == ["kube-provision", "replace", odd, "--name", "prod"]


def closing() -> Consul:
    return Consul(dict.fromkeys(Role, ConsulConfig.model_validate({"consul_seed": new_seed(), "consul_closing": True})))


def test_a_cluster_that_is_founded_has_no_consul_to_close() -> None:
    nodes = [node_of("consul-prod", Role.DISCOVERY), node_of("m-prod-1", Role.MASTER, carries_ca=True), node_of("w-prod-1")]
    assert closing().preflight([(node, boot_of(node)) for node in nodes]) == (openness.FOUNDED,)


def test_a_server_that_is_made_for_closing_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could tell whether the one before was closed."""
    with caplog.at_level(logging.WARNING):
        for nodes in ([], [node_of("w-prod-1")]):
            assert closing().preflight([(node, boot_of(node)) for node in nodes]) == ()
        assert not caplog.records
        node = node_of("consul-prod", Role.DISCOVERY)
        assert closing().preflight([(node, boot_of(node))]) == ()
    assert "consul-prod is made as a server that takes whoever reaches it" in caplog.text
