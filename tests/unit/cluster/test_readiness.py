"""Why finished nodes are not ready, in a line."""

from __future__ import annotations

from pathlib import Path

from kube_provision_core.cluster import Readiness, hint
from kube_provision_core.cluster.cluster_node import ClusterNode

KUBECONFIG = Path("/state/prod/kubeconfig")
NO_NETWORK = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns "
    "error: cni plugin not initialized"
)


def say(*nodes: tuple[str, str], finished: tuple[str, ...] = ("m-prod-1", "w-prod-1"), network_plugin: bool = False) -> str:
    """Nodes by name with the message of their condition; `ready` for those that are."""
    known = tuple(ClusterNode(name, text == "ready", (), None, "" if text == "ready" else text) for name, text in nodes)
    return hint(Readiness(known), finished, network_plugin=network_plugin, kubeconfig=KUBECONFIG)


def test_no_network_plugin_is_named_with_the_command_that_helps() -> None:
    said = say(("m-prod-1", NO_NETWORK), ("w-prod-1", NO_NETWORK))
    assert said == (
        "m-prod-1, w-prod-1: not Ready: the cluster has no network plugin, because seed_manifests is empty. Apply one: "
        "kubectl --kubeconfig /state/prod/kubeconfig apply -f MANIFEST"
    )


def test_a_network_plugin_that_was_applied_may_only_not_run_yet() -> None:
    assert "does not run there yet" in say(("m-prod-1", NO_NETWORK), network_plugin=True)


def test_another_reason_is_told_in_the_kubelets_words() -> None:
    assert say(("m-prod-1", "PLEG is not healthy")) == "m-prod-1: not Ready: PLEG is not healthy"


def test_an_unknown_reason_is_not_blamed_on_the_network_where_there_is_a_plugin() -> None:
    assert "does not say why" in say(("m-prod-1", ""), network_plugin=True)


def test_ready_nodes_need_no_hint() -> None:
    assert say(("m-prod-1", "ready"), ("w-prod-1", "ready")) == ""


def test_nodes_that_are_still_booting_need_none_yet() -> None:
    assert say(("w-prod-1", NO_NETWORK), finished=("m-prod-1",)) == ""


def test_where_nobody_was_asked_nothing_is_said() -> None:
    assert hint(Readiness(), ("m-prod-1",), network_plugin=False, kubeconfig=KUBECONFIG) == ""
