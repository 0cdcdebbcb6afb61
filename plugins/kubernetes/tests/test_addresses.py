"""Which of its addresses a node uses: other machines are told it."""

from __future__ import annotations

import pytest

from kube_provision_kubernetes import node
from kube_provision_kubernetes.node.api import UnavailableError


def unreachable(host: str) -> str:
    raise OSError("Network is unreachable")


def test_it_is_that_of_the_route_to_a_master() -> None:
    assert node.own_address("", ["127.0.0.9"]) == "127.0.0.1"


def test_a_master_that_no_route_leads_to_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def source(host: str) -> str:
        asked.append(host)
        return "10.0.0.5" if host == "10.0.0.2" else unreachable(host)

    monkeypatch.setattr(node, "_source_of_route", source)
    assert node.own_address("", ["10.9.0.1", "10.0.0.2", "10.0.0.3"]) == "10.0.0.5"
    assert asked == ["10.9.0.1", "10.0.0.2"]


def test_an_interface_that_is_named_is_the_one() -> None:
    assert node.own_address("lo", ["192.0.2.1"]) == "127.0.0.1"
    with pytest.raises(UnavailableError, match=r"interface none9 has no IPv4 address .*set kubernetes_bind_interface"):
        node.own_address("none9", [])


@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        ({"lo": "127.0.0.1", "eth0": "10.0.0.5"}, "10.0.0.5"),
        ({"lo": "127.0.0.1", "eth0": "10.0.0.5", "eth1": "10.1.0.5"}, None),
        ({"lo": "127.0.0.1"}, None),
    ],
)
def test_a_first_master_without_any_route_has_its_only_address(
    monkeypatch: pytest.MonkeyPatch, addresses: dict[str, str], wanted: str | None
) -> None:
    monkeypatch.setattr(node, "_source_of_route", unreachable)
    monkeypatch.setattr(node, "_address_on", addresses.__getitem__)
    monkeypatch.setattr(node.socket, "if_nameindex", lambda: list(enumerate(addresses)))
    if wanted is None:
        with pytest.raises(UnavailableError, match="set kubernetes_bind_interface"):
            node.own_address("", [])
    else:
        assert node.own_address("", []) == wanted
