"""What a target's class is, before it is asked anything; and what is left when a run is over."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from ... import Cluster, Role
from ..connected import Connected
from ..fixtures import DriverChecks, asks_nobody
from .fixtures import TargetFixtures, listed, make

_DESCRIPTORS = "/dev/fd"
_INTERFACE = re.compile(r"[A-Za-z0-9._-]{1,15}")


class ShapeChecks(DriverChecks, TargetFixtures):
    @asks_nobody
    def test_declares_how_many_machines_it_makes_at_once(self, make_driver: Callable[[], Any]) -> None:
        parallel = make_driver().parallel
        assert type(parallel) is int
        assert parallel >= 1

    @pytest.mark.parametrize("name", ["address_timeout", "boot_timeout"])
    def test_declares_for_how_long_a_machine_is_awaited(self, make_driver: Callable[[], Any], name: str) -> None:
        timeout = getattr(make_driver(), name, 1)
        assert isinstance(timeout, int | float), f"{name} is a {type(timeout).__name__}, not a count of seconds"
        assert timeout > 0

    @asks_nobody
    def test_says_whether_its_machines_share_the_kernel_of_their_host(self, make_driver: Callable[[], Any]) -> None:
        assert type(getattr(make_driver(), "shares_kernel", False)) is bool

    @asks_nobody
    def test_says_which_interface_is_in_the_nodes_network(self, make_driver: Callable[[], Any]) -> None:
        named = getattr(make_driver(), "node_interfaces", {})
        assert all(isinstance(role, Role) for role in named)
        wrong = [name for name in named.values() if not _INTERFACE.fullmatch(name)]
        assert not wrong, f"Linux calls no interface {wrong}"

    @asks_nobody
    def test_says_addresses_of_machines_before_they_are_made(self, make_driver: Callable[[], Any]) -> None:
        named = getattr(make_driver(), "fixed_addresses", {})
        assert all(isinstance(role, Role) for role in named)
        for addresses in named.values():
            assert all(str(IPv4Address(it)) == it for it in addresses)
            assert len(set(addresses)) == len(addresses), "two machines of a role have one address"

    def test_a_run_that_is_over_leaves_nothing_open(self, make_driver: Callable[[], Any], cluster: Cluster) -> None:
        make_and_close(make_driver, cluster)
        files, threads = open_files(), set(threading.enumerate())
        for _ in range(3):
            make_and_close(make_driver, cluster)
        assert len(open_files()) <= len(files), "descriptors are left open"
        left = [thread.name for thread in threading.enumerate() if thread not in threads]
        assert not left, f"threads are left: {left}"


def make_and_close(make_driver: Callable[[], Any], cluster: Cluster) -> None:
    driver = Connected(make_driver())
    make(driver)
    listed(driver, cluster)
    if hasattr(driver.driver, "close"):
        driver.driver.close()


def open_files() -> list[str]:
    return os.listdir(_DESCRIPTORS)  # noqa: PTH208 - pathlib would open one more
