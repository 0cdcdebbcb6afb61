"""Which labels of the configuration the run itself gives to nodes: what they lack, or may not give themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..cluster import Living
from ..contract.kubeadm_limits import node_label_fault
from ..contract.machines import Node
from ..engine.facts import Facts, Known
from ..engine.nodes import LabelNode
from ..engine.plan import Action, AwaitBoot, AwaitMasters, keys


def labelled(facts: Facts, nodes: Iterable[Node], looks: Collection[Action]) -> Iterator[LabelNode]:
    """Of nodes that live, and of those whose boot this run awaits. The cluster is asked only where labels are wished for.

    Where it does not answer, nothing is known to be lacking: a later run sees to that.
    """
    labels_of = {node: labels for node in nodes if (labels := wished(facts, node))}
    if not labels_of:
        return
    living = facts.nodes.value if isinstance(facts.nodes, Known) else Living()
    boots = {action.node.name: action for action in looks if isinstance(action, AwaitBoot)}
    for node, labels in labels_of.items():
        known = living.node(node.name) if node.name in facts.seen.ours else None
        if known:
            yield from _given(node, {key: value for key, value in labels.items() if known.labels.get(key) != value})
        elif node.name in boots:
            yield from after_boot(node, labels, boots[node.name], awaited_masters(looks))


def wished(facts: Facts, node: Node) -> Mapping[str, str]:
    """What the configuration, or else the failure domain that it stands in, says of it."""
    return node.labels(facts.core(node.role).labels)


def awaited_masters(looks: Iterable[Action]) -> frozenset[str]:
    """The key of what awaits them, if anything does: while they join, the API may give no answer."""
    return keys(action for action in looks if isinstance(action, AwaitMasters))


def after_boot(
    node: Node, labels: Mapping[str, str], boot: AwaitBoot, after: frozenset[str] = frozenset()
) -> Iterator[LabelNode]:
    """Of a machine that is made: with the others its kubelet comes."""
    restricted = {key: value for key, value in labels.items() if node_label_fault(key)}
    yield from _given(node, restricted, "its kubelet may not give them to it", after | {boot.key})


def postponed(facts: Facts, nodes: Iterable[Node]) -> Iterator[str]:
    """What a run that awaits no boot leaves to another one, of the nodes that it makes."""
    keys = sorted({key for node in nodes for key in wished(facts, node) if node_label_fault(key)})
    if keys:
        yield (
            f"a kubelet may not give its own node {', '.join(keys)}: a run with --wait does, and so does every later run "
            "that finds the node"
        )


def _given(
    node: Node, labels: Mapping[str, str], reason: str = "the configuration says so", after: frozenset[str] = frozenset()
) -> Iterator[LabelNode]:
    if labels:
        yield LabelNode(node=node, labels=tuple(sorted(labels.items())), reason=reason, after=after)
