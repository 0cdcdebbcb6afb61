"""Which failure domain a machine stands in, or is to be made in."""

from __future__ import annotations

from collections.abc import Sequence

from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.cluster.spreading import placed, spread, strays
from kube_provision_core.contract.machines import Cluster, FailureDomain, Machine, Node, Power, Role, Stamp, Vm

GPU = Role.of_pool("gpu")
A, B, C = (FailureDomain(name, {"topology.kubernetes.io/zone": name}) for name in "abc")
CLUSTER = Cluster("prod", "id-1", "1.37", frozenset())


def node(name: str) -> Node:
    role = {"m": Role.MASTER, "w": Role.WORKER, "g": GPU, "c": Role.DISCOVERY}[name[0]]
    return Node(name, role, int(name[1:]), Machine(2, 4), Stamp("prod", "id-1", role, "spec"))


def observed(**domains: str) -> Observation:
    """Machines by name, and where they stand."""
    vms = (Vm(name, name, Power.ON, node(name).stamp, failure_domain=domain) for name, domain in domains.items())
    return Observation(CLUSTER, tuple(vms))


def nodes(*names: str) -> list[Node]:
    return [node(name) for name in names]


def all_of(role: Role) -> Sequence[FailureDomain]:
    return A, B, C


def where(found: Sequence[Node]) -> dict[str, str | None]:
    return {it.name: it.failure_domain and it.failure_domain.name for it in found}


def desire(masters: Sequence[str], workers: Sequence[str] = (), discovery: Sequence[str] = ()) -> Desired:
    return Desired(CLUSTER, *(tuple(map(node, names)) for names in (masters, workers, discovery)), Remedies("prod"))


def test_the_first_machines_take_the_domains_in_turn() -> None:
    found = placed(desire(["m1", "m2", "m3"], ["w1", "w2", "w3", "w4"], ["c1"]), observed(), all_of)
    assert where(found.masters) == {"m1": "a", "m2": "b", "m3": "c"}
    assert where(found.workers) == {"w1": "a", "w2": "b", "w3": "c", "w4": "a"}
    assert where(found.discovery) == {"c1": "a"}


def test_a_machine_that_exists_is_where_it_was_made_and_a_missing_one_where_the_fewest_are() -> None:
    found = placed(desire(["m1", "m2", "m3"]), observed(m1="c", m3="a"), all_of)
    assert where(found.masters) == {"m1": "c", "m2": "b", "m3": "a"}


def test_pools_are_counted_by_themselves() -> None:
    found = placed(desire(["m1"], ["w1", "g1"]), observed(w1="a"), all_of)
    assert where(found.workers) == {"w1": "a", "g1": "a"}


def test_a_pool_may_be_bound() -> None:
    found = placed(desire(["m1"], ["g1", "g2"]), observed(), lambda role: (C,) if role is GPU else (A, B))
    assert where(found.workers) == {"g1": "c", "g2": "c"}


def test_where_there_are_no_domains_nobody_stands_in_one() -> None:
    assert where(placed(desire(["m1", "m2"]), observed(m1="a"), lambda role: ()).masters) == {"m1": None, "m2": None}


def test_one_that_is_made_anew_goes_where_the_fewest_others_are() -> None:
    assert where(spread(nodes("m1"), observed(m1="a", m2="a", m3="b"), all_of)) == {"m1": "c"}
    assert where(spread(nodes("m1", "m2"), observed(m1="a", m2="a", m3="a"), all_of)) == {"m1": "b", "m2": "c"}


def test_one_that_is_made_anew_stays_where_it_is_as_good_as_elsewhere() -> None:
    assert where(spread(nodes("m2"), observed(m1="a", m2="c"), all_of)) == {"m2": "c"}
    standing = {"m1": "a", "m2": "b", "m3": "c"}
    assert where(spread(nodes("m3", "m1", "m2"), observed(**standing), all_of)) == standing


def test_who_stands_in_no_domain_of_its_role_is_told() -> None:
    desired, seen = desire(["m1", "m2"], ["w1", "w2"]), observed(m1="a", m2="", w1="gone")
    assert strays(desired, seen, all_of) == ("m2", "w1")
    assert where(placed(desired, seen, all_of).masters) == {"m1": "a", "m2": None}
    assert strays(desired, seen, lambda role: ()) == ()
