"""The contract suite of the driver, and what it promises beside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kube_provision_acme.contract import TestContract, change, folder, make_driver
from kube_provision_acme.driver import Acme
from kube_provision_core import NodeStatus, Stage
from kube_provision_core.testing import boot_of, cluster_of, node_of

__all__ = ["TestContract", "change", "folder", "make_driver"]


def test_every_machine_has_an_address_of_its_own(make_driver: Callable[[], Acme]) -> None:
    driver = make_driver()
    for node in map(node_of, ("w-1", "w-2")):
        driver.provision_vm(node, boot_of(node))
    assert [vm.address for vm in driver.list_vms(cluster_of("w-1", "w-2"))] == ["192.0.2.66", "192.0.2.67"]


def test_what_a_machine_has_published_is_listed(make_driver: Callable[[], Acme], folder: Path) -> None:
    driver, node = make_driver(), node_of("w-1")
    driver.provision_vm(node, boot_of(node))
    (folder / "w-1/status").write_text('{"stage": "finish", "state": "done", "error": ""}')
    (vm,) = driver.list_vms(cluster_of("w-1"))
    assert vm.status == NodeStatus(Stage.FINISH, "done")
