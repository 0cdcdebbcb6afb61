"""The node's IPv6 address, as iproute2 tells it of a real interface."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.own_network import own_network

from kube_provision_node.ipv6 import NoAddressError, address_beside
from kube_provision_node.kubeadm import Kubeadm
from kube_provision_node.settings import Places

OWN = "10.0.0.11"
LASTS = ("valid_lft", "600", "preferred_lft", "600")
Give = Callable[..., None]


@pytest.fixture
def give() -> Iterator[Give]:
    """Gives an interface addresses, of which none is another machine's."""

    def give(interface: str, *addresses: str, options: tuple[str, ...] = ()) -> None:
        for address in addresses:
            ip("address", "add", address, "dev", interface, *options, *(("nodad",) if ":" in address else ()))

    with own_network():
        ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        for interface in ("eth0", "eth1"):
            ip("link", "set", interface, "up")
        give("eth0", f"{OWN}/24")
        yield give


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


def test_is_that_of_the_interface_by_which_others_know_the_node(give: Give) -> None:
    give("eth1", "10.9.0.11/24", "fd00:9::11/64")
    give("eth0", "fd00::11/64")
    assert address_beside(OWN) == "fd00::11"


def test_is_one_that_was_given_for_good_where_there_are_several(give: Give) -> None:
    give("eth0", "fd00::aaaa/64", options=LASTS)
    give("eth0", "fd00::11/64")
    assert address_beside(OWN) == "fd00::11"


def test_is_one_that_a_router_announced_where_there_is_no_other(give: Give) -> None:
    give("eth0", "fd00::aaaa/64", options=LASTS)
    assert address_beside(OWN) == "fd00::aaaa"


def test_is_none_that_passes(give: Give) -> None:
    give("eth0", "fd00::aaaa/64", options=("valid_lft", "600", "preferred_lft", "0"))
    with pytest.raises(NoAddressError, match=rf"^eth0 has none that stays beside {OWN}$"):
        address_beside(OWN)


def test_is_none_that_only_its_link_knows(give: Give) -> None:
    with pytest.raises(NoAddressError, match=r"^eth0 has none that stays"):
        address_beside(OWN)


def test_is_not_looked_for_beside_a_strange_address(give: Give) -> None:
    give("eth0", "fd00::11/64")
    with pytest.raises(NoAddressError, match=r"^no interface has 10\.0\.0\.12$"):
        address_beside("10.0.0.12")


@pytest.mark.parametrize(("told", "waits"), [("node-ip: '@NODE_IP@'", False), ("node-ip: '@NODE_IP@,@NODE_IPV6@'", True)])
def test_is_waited_for_in_a_dual_stack_cluster_alone(give: Give, tmp_path: Path, told: str, waits: bool) -> None:
    kubeadm = Kubeadm(Places(tmp_path))
    kubeadm.places.config.mkdir(parents=True)
    (kubeadm.places.config / "kubeadm-join.yaml").write_text(told)
    said = f"waits for an IPv6 address: eth0 has none that stays beside {OWN}"
    asked: list[str] = []

    def own_address() -> str:
        asked.append(OWN)
        return OWN

    assert kubeadm.lacks_address(own_address) == (said if waits else "")
    assert bool(asked) is waits
    give("eth0", "fd00::11/64")
    assert kubeadm.lacks_address(lambda: OWN) == ""
