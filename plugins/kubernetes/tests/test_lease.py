"""Locks by a Lease: who dies lets go, clocks are not compared, and of two who take one it is one's."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core import BusyError, Cluster
from kube_provision_kubernetes.node import Client, lease
from kube_provision_kubernetes.node.api import JSON, Answer, Api, UnavailableError
from kube_provision_kubernetes.node.api import BusyError as NodeBusyError

pytestmark = pytest.mark.integration

MakeClient = Callable[..., Client]


def held(store: Store, ago: float, holder: str = "m-prod-9 0badc0de") -> None:
    """By somebody who has renewed it so many seconds ago."""
    then = f"{datetime.now(UTC) - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%S.%fZ}"
    spec = {"holderIdentity": holder, "leaseDurationSeconds": lease.DURATION, "acquireTime": then, "renewTime": then}
    store.put("kube-provision", "leases", {"metadata": {"name": "join-prod"}, "spec": spec})


@pytest.mark.usefixtures("granted")
def test_a_lock_whose_holder_has_died_frees_itself(store: Store, make_client: MakeClient) -> None:
    held(store, ago=lease.DURATION - 5)
    with pytest.raises(NodeBusyError, match="m-prod-9 holds it"), make_client().lock(0.0):
        pass
    held(store, ago=lease.DURATION + 3)
    with make_client().lock(5.0):
        pass


@pytest.mark.usefixtures("granted")
def test_a_lock_is_renewed_while_it_is_held(store: Store, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_RENEWAL", 0.2)
    monkeypatch.setattr(lease, "DURATION", 2)
    with make_client().lock(5.0):
        time.sleep(4)
        with pytest.raises(NodeBusyError, match="m-prod-1"), make_client("m-prod-2").lock(0.0):
            pass


@pytest.mark.usefixtures("granted")
def test_a_lock_that_is_lost_ends_nothing_and_is_not_taken_back(
    store: Store, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "_RENEWAL", 0.1)
    with make_client().lock(5.0):
        held(store, ago=0)
        deadline = time.monotonic() + 10
        while "is lost" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "the lock of the cluster is lost; what runs goes on" in caplog.text
    found = store.get("kube-provision", "leases", "join-prod")
    assert found is not None
    assert found["spec"]["holderIdentity"] == "m-prod-9 0badc0de"


@pytest.mark.usefixtures("granted")
def test_of_many_who_take_it_at_once_one_holds_it_at_a_time(make_client: MakeClient) -> None:
    inside: list[str] = []

    def turn(client: Client) -> None:
        with client.lock(60.0):
            inside.append(client.name)
            assert inside == [client.name]
            time.sleep(0.05)
            inside.remove(client.name)

    clients = [make_client(f"m-prod-{number}") for number in range(1, 5)]
    with ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(turn, clients))


@pytest.mark.usefixtures("granted")
def test_a_lease_that_cannot_be_read_is_no_free_one(store: Store, make_client: MakeClient) -> None:
    held(store, ago=0)
    found = store.get("kube-provision", "leases", "join-prod")
    assert found is not None
    store.put("kube-provision", "leases", found | {"spec": {"holderIdentity": "m-prod-9 x", "renewTime": "once"}})
    with pytest.raises(UnavailableError, match="unreadable"), make_client().lock(0.0):
        pass


@pytest.mark.usefixtures("granted")
def test_a_run_that_finds_another_at_work_says_whose(make_driver: Callable[..., Any], cluster: Cluster) -> None:
    first, second = make_driver(), make_driver()
    busy = pytest.raises(BusyError, match=r"another run works on cluster prod: .*process \d+ on ")
    with first.lock_cluster(cluster=cluster), busy, second.lock_cluster(cluster=cluster):
        pass


def test_a_lock_is_not_had_where_nobody_answers(api: DiscoveryApi, make_client: MakeClient) -> None:
    client = make_client()
    api.stop()
    with pytest.raises(UnavailableError), client.lock(0.0):
        pass


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (422, UnavailableError, "the Lease join-prod cannot be written"),
        (409, NodeBusyError, "not free within 0 s: another machine holds it"),
    ],
)
def test_a_free_lock_that_is_not_given_is_asked_for_no_longer_than_was_said(
    status: int, error: type[Exception], told: str
) -> None:
    asked = []

    class Refusing(Api):
        def ask(self, method: str, path: str, document: Any = None, form: str = JSON) -> Answer:
            asked.append(method)
            return Answer(
                200 if method == "GET" else status, {"metadata": {"resourceVersion": "1"}, "spec": {}}, time.time()
            )

    with pytest.raises(error, match=told):
        lease.Lease(Refusing.__new__(Refusing), "join-prod", "m-prod-1").acquire(0.0)
    assert asked == ["GET", "PUT"]
