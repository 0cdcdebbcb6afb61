"""Who may do what: judged by the rights that the first master makes, by an API that allows nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core import Cluster, DiscoveryError, Role
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_kubernetes import tokens
from kube_provision_kubernetes.node.api import Api, Credential, Place, UnavailableError
from kube_provision_kubernetes.node.lease import Lease
from kube_provision_kubernetes.node.record import Record

pytestmark = pytest.mark.integration

SEED = "0123456789abcdef" * 4
RECORD = {"state": "initialised", "node": "m-prod-1", "instance_id": "1", "cluster_id": "id-1"}
Ask = Callable[..., Api]


@pytest.fixture
def asking(granted: DiscoveryApi, pki: Pki) -> Ask:
    """The API as one of the three asks it, or whoever has that token."""

    def ask(asker: tokens.Asker | None, *, token: str = "", ca: bytes = pki.ca) -> Api:
        given = tokens.token(SEED, asker) if asker else token
        place = Place(granted.address, granted.address, granted.port)
        return Api(lambda: [place], Credential(ca.decode(), given))

    return ask


def attempts(api: Api) -> dict[str, Callable[[], Any]]:
    return {
        "create the record": lambda: Record(api, "prod").create(RECORD),
        "replace the record": lambda: Record(api, "prod").replace(RECORD, "1"),
        "delete the record": lambda: Record(api, "prod").delete("1"),
        "take the masters' lock": lambda: Lease(api, "join-prod", "thief").acquire(0.0),
        "take the lock of runs": lambda: Lease(api, "run-prod", "thief").acquire(0.0),
        "register a master": lambda: api.ask(
            "PATCH",
            "/api/v1/namespaces/kube-provision/configmaps/masters-prod",
            {"data": {"m-prod-9": "192.0.2.9"}},
            "application/merge-patch+json",
        ),
        "read tokens": lambda: api.ask("GET", "/api/v1/namespaces/kube-system/secrets"),
        "give itself rights": lambda: api.ask("GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-provision/roles"),
        "write endpoints": lambda: api.ask(
            "PATCH", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
        ),
    }


@pytest.mark.parametrize("attempt", list(attempts(None)))  # type: ignore[arg-type]
def test_a_worker_reads_and_writes_nothing(asking: Ask, store: Store, attempt: str) -> None:
    worker = asking(tokens.Asker.WORKERS)
    assert Record(worker, "prod").read() is None
    before = store.all("kube-provision", "configmaps")
    with pytest.raises(UnavailableError, match="403"):
        attempts(worker)[attempt]()
    assert store.all("kube-provision", "configmaps") == before
    assert store.all("kube-provision", "leases") == []


@pytest.mark.parametrize("attempt", ["delete the record", "read tokens", "give itself rights", "write endpoints"])
def test_a_master_gives_no_rights_and_deletes_nothing(asking: Ask, attempt: str) -> None:
    with pytest.raises(UnavailableError, match="403"):
        attempts(asking(tokens.Asker.MASTERS))[attempt]()


@pytest.mark.parametrize("token", ["", "abcdef.0123456789abcdef", "no token"])
def test_who_has_no_token_of_the_clusters_is_told_nothing(asking: Ask, token: str) -> None:
    with pytest.raises(UnavailableError, match=r"40[13]"):
        Record(asking(None, token=token), "prod").read()


def test_the_tokens_of_another_cluster_are_of_no_use(asking: Ask) -> None:
    other = tokens.token("f" * 64, tokens.Asker.OPERATORS)
    with pytest.raises(UnavailableError, match="401"):
        Record(asking(None, token=other), "prod").read()


def test_an_api_that_another_authority_vouches_for_is_not_asked(asking: Ask, granted: DiscoveryApi) -> None:
    before = len(granted.requests)
    with pytest.raises(UnavailableError, match="certificate verify failed"):
        Record(asking(tokens.Asker.WORKERS, ca=create_pki("prod").ca), "prod").read()
    assert len(granted.requests) == before, "the token went to nobody"


def test_a_machine_without_an_authority_trusts_nobody(asking: Ask) -> None:
    with pytest.raises(UnavailableError, match="no certificate authority to trust"):
        Record(asking(tokens.Asker.WORKERS, ca=b""), "prod").read()


def test_a_master_that_bears_anothers_address_is_not_asked(pki: Pki, granted: DiscoveryApi) -> None:
    place = Place("192.0.2.7", granted.address, granted.port)
    api = Api(lambda: [place], Credential(pki.ca.decode(), tokens.token(SEED, tokens.Asker.WORKERS)))
    with pytest.raises(UnavailableError, match=r"192\.0\.2\.7.*certificate verify failed"):
        Record(api, "prod").read()


def test_tokens_are_each_a_roles_own_and_have_the_form_that_kubernetes_wants() -> None:
    made = [tokens.token(SEED, asker) for asker in tokens.Asker]
    assert len({half for token in made for half in token.split(".")}) == 6
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in made)
    roles = {role: tokens.asker_of(role) for role in (Role.MASTER, Role.WORKER, Role.of_pool("gpu"))}
    assert list(roles.values()) == [tokens.Asker.MASTERS, tokens.Asker.WORKERS, tokens.Asker.WORKERS]


def test_tokens_sign_nothing_and_join_nothing() -> None:
    secrets = [it["stringData"] for it in tokens.rights(SEED) if it["kind"] == "Secret"]
    assert all("usage-bootstrap-signing" not in it and "expiration" not in it for it in secrets)
    assert {it["auth-extra-groups"] for it in secrets} == {asker.group for asker in tokens.Asker}


def test_a_run_without_a_seed_says_that_the_cluster_was_made_with_another_discovery(
    make_driver: Callable[..., Any], cluster: Cluster
) -> None:
    driver = make_driver(kubernetes_seed=None)
    with pytest.raises(DiscoveryError, match="made with another discovery"):
        driver.discover_masters(cluster=replace(cluster))
