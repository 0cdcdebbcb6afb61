"""Which masters nodes follow: by the lists that the API has, through whoever answers, and by what they have learnt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from servers.consul_agents import unused_network
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core.folder.pki import Pki
from kube_provision_core.testing.api_server import unused_port
from kube_provision_kubernetes import tokens
from kube_provision_kubernetes.node import Client
from kube_provision_kubernetes.node.api import UnavailableError
from kube_provision_kubernetes.node.follow import WATCHING

pytestmark = pytest.mark.integration

MakeClient = Callable[..., Client]
SEED = "0123456789abcdef" * 4
SOON = 15.0


@pytest.fixture
def masters(pki: Pki, store: Store, api: DiscoveryApi) -> Iterator[list[DiscoveryApi]]:
    """Three, of one cluster, on one port. The first is the one that machines are told as their seed."""
    store.apply(tokens.rights(SEED))
    network = api.address.rpartition(".")[0]
    with ExitStack() as stack:
        others = [stack.enter_context(DiscoveryApi(pki, f"{network}.{number}", store, api.port)) for number in (2, 3)]
        store.serve_at(api.address, *(it.address for it in others))
        yield [api, *others]


def follower(make_client: MakeClient, masters: list[DiscoveryApi]) -> Client:
    return make_client("w-prod-1", api_port=masters[0].port)


def wait_for(client: Client, wanted: list[str], index: str = "") -> float:
    """Seconds until it is told."""
    begin = time.monotonic()
    while time.monotonic() < begin + SOON:
        index, told = client.masters(index, 5.0)
        if told == wanted:
            return time.monotonic() - begin
    pytest.fail(f"{wanted} were not told, but {told}")


def addresses(masters: list[DiscoveryApi]) -> list[str]:
    return [it.address for it in masters]


def test_masters_are_known_by_what_api_servers_say_themselves(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    assert follower(make_client, masters).masters("", 0.0)[1] == addresses(masters)


def test_a_master_that_is_lost_is_followed_no_longer(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    client = follower(make_client, masters)
    index, _ = client.masters("", 0.0)
    masters[1].stop()
    assert wait_for(client, [masters[0].address, masters[2].address], index) < 8
    masters[0].stop()  # its only seed
    assert wait_for(client, [masters[2].address]) < 12


def test_a_master_that_hangs_is_followed_no_longer(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    client = follower(make_client, masters)
    index, _ = client.masters("", 0.0)
    masters[1].ready = False
    assert wait_for(client, [masters[0].address, masters[2].address], index) < 8


def test_a_new_master_is_told_as_soon_as_it_is_listed(
    make_client: MakeClient, masters: list[DiscoveryApi], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a watch: without one, it would be looked at again once a minute here."""
    monkeypatch.setattr("kube_provision_kubernetes.node._LOOK", 60.0)
    monkeypatch.setattr("kube_provision_kubernetes.node._REFRESH", 60.0)
    store.serve_at(masters[0].address)
    client = follower(make_client, masters)
    index, told = client.masters("", 0.0)
    assert told == [masters[0].address]
    later = threading.Timer(1.0, store.serve_at, (masters[0].address, masters[1].address))
    later.start()
    begin = time.monotonic()
    assert client.masters(index, 60.0)[1] == addresses(masters[:2])
    assert time.monotonic() - begin < 30
    later.join()


def test_who_has_withdrawn_is_not_told_although_its_api_server_serves(
    make_client: MakeClient, masters: list[DiscoveryApi], store: Store
) -> None:
    client = follower(make_client, masters)
    index, _ = client.masters("", 0.0)
    path = {"data": {"m-prod-2": f"{masters[1].address} withdrawn"}, "metadata": {"name": "masters-prod"}}
    store.put("kube-provision", "configmaps", path)
    assert wait_for(client, [masters[0].address, masters[2].address], index) < 8
    store.put("kube-provision", "configmaps", path | {"data": {"m-prod-2": masters[1].address}})
    wait_for(client, addresses(masters))


def test_who_has_withdrawn_for_good_keeps_nobody_else_from_its_address(
    make_client: MakeClient, masters: list[DiscoveryApi], store: Store
) -> None:
    told = {"m-prod-2": f"{masters[1].address} withdrawn", "m-prod-4": masters[1].address}
    store.put("kube-provision", "configmaps", {"metadata": {"name": "masters-prod"}, "data": told})
    assert follower(make_client, masters).masters("", 0.0)[1] == addresses(masters)


def test_seeds_that_are_gone_are_not_needed_by_who_has_learnt_of_others(
    make_client: MakeClient, masters: list[DiscoveryApi]
) -> None:
    follower(make_client, masters).masters("", 0.0)
    masters[0].stop()
    again = follower(make_client, masters)  # as after a reboot
    assert again.masters("", 0.0)[1] == addresses(masters[1:])


def test_no_master_that_answers_is_no_list_without_masters(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    client = follower(make_client, masters)
    client.masters("", 0.0)
    for master in masters:
        master.stop()
    with pytest.raises(UnavailableError) as caught:
        client.masters("", 0.0)
    assert not getattr(caught.value, "early", False), "it has seen the cluster"
    assert all(it.address in str(caught.value) for it in masters)


def test_who_never_saw_a_master_is_early(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    client = make_client("w-prod-2", seed=f"{unused_network()}.9", api_port=unused_port())
    with pytest.raises(UnavailableError) as caught:
        client.masters("", 0.0)
    assert getattr(caught.value, "early", False) is True


def test_watches_leave_nothing_running(make_client: MakeClient, masters: list[DiscoveryApi]) -> None:
    client = follower(make_client, masters)
    index, _ = client.masters("", 0.0)
    for _ in range(5):
        client.masters(index, 0.2)
    deadline = time.monotonic() + SOON
    while watching() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not watching()


def watching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == WATCHING]


def test_garbage_in_the_list_is_no_list(make_client: MakeClient, masters: list[DiscoveryApi], store: Store) -> None:
    store.put("default", "endpointslices", {"metadata": {"name": "kubernetes"}, "endpoints": [{"conditions": {}}]})
    with pytest.raises(UnavailableError, match="unreadable"):
        follower(make_client, masters).masters("", 0.0)
