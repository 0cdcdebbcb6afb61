"""How a cluster comes by the machines of its discovery service, and what others wait for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from ..cluster.advice import Remedies
from ..cluster.desired import Desired
from ..cluster.observe import Observation
from ..contract.errors import ConfigError, DiscoveryError
from ..contract.machines import Node, Power, Role
from ..engine.plan import Action, AwaitNode, CreateVm, StartVm, keys, made_in

_MADE = "no existing discovery service was named"
_TOLD = "the others are told its address"


def server_actions(desired: Desired, seen: Observation, missing: Sequence[Node], stopped: Collection[Node]) -> list[Action]:
    """Discovery machines first, as far as their addresses: every other machine is told where they are.

    Of several those that are there, or else the first one, come before the others, which join them. A machine that runs and
    tells no address is waited for only where no other tells any. `missing`: those that do not exist. `stopped`: machines
    that are not powered on.
    """
    there = [node for node in desired.discovery if node not in missing]
    begun: list[Action] = [StartVm(node=node, reason="it is not powered on") for node in there if node in stopped]
    before = [*begun, *_addresses(begun)]
    if there and not before and not any(seen.ours[node.name].address for node in there):
        before = [AwaitNode(node=node, reason=_TOLD) for node in there]
    others = missing
    if missing and not there:
        first: list[Action] = [CreateVm(node=missing[0], reason=made_in(missing[0], _MADE))]
        before, others = [*first, *_addresses(first)], missing[1:]
    after = needed(seen, before)
    made: list[Action] = [CreateVm(node=node, reason=made_in(node, _MADE), after=after) for node in others]
    return [*before, *made, *_addresses(made)]


def needed(seen: Observation, server: Iterable[Action]) -> frozenset[str]:
    """Keys of what other machines wait for: nothing where a discovery machine that runs tells where it is.

    That one knows the others. So no discovery machine that is lost, and cannot be made, keeps anything else from being made.
    """
    known = any(vm.address and vm.power is Power.ON for vm in seen.of(Role.DISCOVERY))
    return frozenset() if known else keys(server)


def _addresses(begun: Iterable[Action]) -> list[Action]:
    return [
        AwaitNode(node=action.node, reason=_TOLD, after=keys([action]))
        for action in begun
        if isinstance(action, CreateVm | StartVm)
    ]


def first_of_each(actions: Iterable[Action]) -> list[Action]:
    """What begins with a machine, of all that is done about it."""
    firsts: dict[str, Action] = {}
    for action in actions:
        firsts.setdefault(action.subject, action)
    return list(firsts.values())


def first_master(seen: Observation, masters: Sequence[Node], noted: str, remedies: Remedies) -> Node:
    """Of masters that are discovery themselves, the one that may initialise the cluster, where none is there that may.

    It is made before anything else, so that whatever is there may have joined it. `masters`: those that do not exist.
    `noted`: the one that was chosen before, by the folder; another one never is. Raises `DiscoveryError` and `ConfigError`.
    """
    cluster, left = seen.cluster.name, sorted(seen.ours)
    if left:
        why = seen.discovery_error or "no master tells of it"
        raise DiscoveryError(
            f"cannot know whether cluster {cluster} was initialised ({why}): the machine that might do it is gone, and "
            f"{', '.join(left)} may have joined it. Nothing was changed. Bring a master back that answers, or begin anew: "
            f"{remedies.destroy()}"
        )
    chosen = [node for node in masters if node.name == noted] if noted else masters
    if not chosen:
        raise ConfigError(
            f"only {noted} may initialise cluster {cluster}, and the configuration names its masters otherwise: name them "
            f"as before, or begin anew: {remedies.destroy()}"
        )
    return chosen[0]


def behind_first_master(desired: Desired, seen: Observation, begun: Sequence[CreateVm | StartVm]) -> list[Action]:
    """Of masters that are discovery themselves, those that are to have an address first; every other machine is told it.

    The same where a master that runs tells its address, and where discovery is elsewhere.
    """
    known = any(vm.address and vm.power is Power.ON for vm in seen.servers)
    if not desired.cluster.discovery_on_masters or known:
        return list(begun)
    first = [it for it in begun if it.node.role is Role.MASTER and (isinstance(it, StartVm) or it.node.stamp.carries_ca)]
    others = [it for it in begun if it not in first]
    addresses = _addresses(first) or [
        AwaitNode(node=node, reason=_TOLD) for node in desired.masters if others and node.name in seen.ours
    ]
    told = [replace(it, after=it.after | keys(addresses)) if isinstance(it, CreateVm) else it for it in others]
    return [*first, *addresses, *told]
