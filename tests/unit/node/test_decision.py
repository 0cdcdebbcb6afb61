"""What a master does about the record: every case of the table."""

from __future__ import annotations

import pytest

from kube_provision_node.decision import Candidate, Decision, OtherClusterError, decide
from kube_provision_node.settings import Node


def candidate(*, may_init: bool = False, carries: bool = False, runs: bool = False, name: str = "m-prod-1") -> Candidate:
    return Candidate(Node(name, "master", "prod", "id-1", may_init=may_init), "instance-1", carries, runs)


CARRIER = candidate(may_init=True, carries=True)
PLAIN = candidate()


def record(state: str, *, node: str = "m-prod-1", instance: str = "instance-1", cluster: str = "id-1") -> dict[str, str]:
    return {"state": state, "node": node, "instance_id": instance, "cluster_id": cluster}


@pytest.mark.parametrize(
    ("found", "me", "decision"),
    [
        (None, CARRIER, Decision.INIT),
        (None, PLAIN, Decision.WAIT),
        (None, candidate(may_init=True), Decision.WAIT),
        (None, candidate(carries=True), Decision.WAIT),
        (record("initialising"), CARRIER, Decision.INIT),
        (record("initialising", instance="an-earlier-machine"), CARRIER, Decision.INIT),
        (record("initialising"), PLAIN, Decision.WAIT),
        (record("initialising", node="m-prod-2"), CARRIER, Decision.WAIT),
        (record("initialised", node="m-prod-2"), CARRIER, Decision.JOIN),
        (record("initialised", node="m-prod-2"), PLAIN, Decision.JOIN),
        (record("initialised"), CARRIER, Decision.JOIN),
        (record("initialised"), candidate(may_init=True, carries=True, runs=True), Decision.ADOPT),
        (record("initialised", instance="an-earlier-machine"), candidate(runs=True), Decision.JOIN),
    ],
)
def test_decision(found: dict[str, str] | None, me: Candidate, decision: Decision) -> None:
    assert decide(found, me) is decision


@pytest.mark.parametrize("state", ["initialising", "initialised"])
@pytest.mark.parametrize("me", [CARRIER, PLAIN])
def test_another_clusters_record_is_refused(state: str, me: Candidate) -> None:
    with pytest.raises(OtherClusterError, match="another cluster of this name"):
        decide(record(state, cluster="id-of-another"), me)


def test_the_record_of_a_candidate_is_its_own() -> None:
    assert decide(CARRIER.record("initialising"), CARRIER) is Decision.INIT
