"""Which failure domain each machine stands in, or is to be made in: one in which the fewest of its role stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ..contract.machines import FailureDomain, Node, Role
from .desired import Desired
from .observe import Observation

Domains = Callable[[Role], Sequence[FailureDomain]]
"""Those that a role's machines spread over, the preferred one first."""


def placed(desired: Desired, seen: Observation, domains: Domains) -> Desired:
    """Machines that exist as they stand; those that are missing where the fewest of their role do by then.

    One that exists in no domain of its role, or in one that is no longer named, has none.
    """
    missing = spread((node for node in desired.all if node.name not in seen.ours), seen, domains)
    found = {node.name: node for node in missing}
    found |= {node.name: _standing(node, seen, domains) for node in desired.all if node.name in seen.ours}
    masters, workers, discovery = (
        tuple(found[node.name] for node in group) for group in (desired.masters, desired.workers, desired.discovery)
    )
    return replace(desired, masters=masters, workers=workers, discovery=discovery)


def spread(nodes: Iterable[Node], seen: Observation, domains: Domains) -> tuple[Node, ...]:
    """Machines that are made one after another, whether or not they exist: each where the fewest of its role stand without
    it. Of several such domains the one that it stands in already, else the first that is named."""
    standing = {name: (vm.stamp.role, vm.failure_domain) for name, vm in seen.ours.items() if vm.stamp}
    made = []
    for node in nodes:
        _, before = standing.pop(node.name, (node.role, ""))
        chosen = _emptiest(
            domains(node.role), Counter(name for role, name in standing.values() if role is node.role), before
        )
        standing[node.name] = node.role, chosen.name if chosen else ""
        made.append(replace(node, failure_domain=chosen))
    return tuple(made)


def strays(desired: Desired, seen: Observation, domains: Domains) -> tuple[str, ...]:
    """Names of machines that exist, and stand in no failure domain of their role although there are some."""
    return tuple(
        node.name
        for node in desired.all
        if node.name in seen.ours and domains(node.role) and not _standing(node, seen, domains).failure_domain
    )


def _standing(node: Node, seen: Observation, domains: Domains) -> Node:
    named = {domain.name: domain for domain in domains(node.role)}
    return replace(node, failure_domain=named.get(seen.ours[node.name].failure_domain))


def _emptiest(domains: Sequence[FailureDomain], counts: Counter[str], before: str) -> FailureDomain | None:
    return min(domains, key=lambda domain: (counts[domain.name], domain.name != before), default=None)
