"""The contract suite of the driver, and what it promises beside."""

from __future__ import annotations

from pathlib import Path

from kube_provision_acme.contract import SERVER, TestContract, share
from kube_provision_acme.node.discovery import Client, Share

__all__ = ["TestContract", "share"]


def test_a_nodes_address_is_that_of_its_route_to_the_server(share: Path) -> None:
    assert Client(Share(share, "prod"), "m-1", SERVER, 6443).address() == "127.0.0.1"
