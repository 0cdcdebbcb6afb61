"""Secrets of a living cluster, written anew over its API, whatever becomes of them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers.cluster_objects import SECRETS
from servers.control_plane import ControlPlaneServer

from kube_provision_core.cluster import answers, secrets_at_rest
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import create_pki

ADDRESS = "127.64.34.1"
NAMES = ("a", "b", "c")
PKI = create_pki("prod")


@pytest.fixture
def server() -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(PKI, ADDRESS) as server:
        for name in NAMES:
            server.objects.create(
                SECRETS, {"metadata": {"name": name}, "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}
            )
        yield server


def rewritten(server: ControlPlaneServer) -> int:
    with ControlPlane([ADDRESS], PKI) as api:
        return api.secrets_at_rest.rewrite()


def versions(server: ControlPlaneServer) -> dict[str, str]:
    return {name: secret["metadata"]["resourceVersion"] for name, secret in server.objects.all(SECRETS).items()}


@pytest.mark.parametrize("page", [1, 2, 50])
def test_each_is_written_as_it_is(server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(secrets_at_rest, "PAGE", page)
    before = versions(server)
    assert rewritten(server) == 3
    after = versions(server)
    assert before.keys() == after.keys() == {*NAMES}
    assert not before.items() & after.items()
    assert server.objects.secret("b") == {"password": b"hunter2"}


@pytest.mark.parametrize("moment", ["listed", "read"])
def test_one_that_is_deleted_meanwhile_stays_so(server: ControlPlaneServer, moment: str) -> None:
    objects = server.objects
    honest: dict[str, Callable[..., Any]] = {"listed": objects.list, "read": objects.get}

    def then_deleted(*arguments: Any) -> Any:
        found = honest[moment](*arguments)
        if "b" in objects.all(SECRETS):
            objects.delete(SECRETS, "b")
        return found

    setattr(objects, {"listed": "list", "read": "get"}[moment], then_deleted)
    rewritten(server)
    assert versions(server).keys() == {"a", "c"}


def test_one_that_is_changed_meanwhile_keeps_that(server: ControlPlaneServer) -> None:
    honest = server.objects.get

    def then_changed(collection: str, name: str) -> Any:
        found = honest(collection, name)
        changed = {"metadata": {"name": name}, "type": "Opaque", "data": {"password": "bmV3"}}
        server.objects.replace(collection, name, changed)
        return found

    server.objects.get = then_changed  # type: ignore[method-assign]
    rewritten(server)
    assert {server.objects.secret(name)["password"] for name in NAMES} == {b"new"}


def test_one_that_cannot_be_written_is_named_without_what_it_says(server: ControlPlaneServer) -> None:
    server.objects._objects[SECRETS]["b"]["data"] = {"password": "no base64"}
    with pytest.raises(ControlPlaneError, match="does not write Secret kube-system/b anew") as told:
        rewritten(server)
    assert "no base64" not in str(told.value)


def test_more_than_it_counts_with_are_none_that_it_leaves_out_without_a_word(
    server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_at_rest, "PAGE", 1)
    monkeypatch.setattr(answers, "MOST_PAGES", 2)
    before = versions(server)
    with pytest.raises(ControlPlaneError, match="does not list Secrets to the end: it has more than 2"):
        rewritten(server)
    assert versions(server) == before
