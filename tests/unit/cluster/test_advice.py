"""Command lines that people are told to paste."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.machines import Cluster, Power, Role, Stamp, Vm


def test_names_the_site_as_the_run_did() -> None:
    remedies = Remedies("prod", ("--config", "config.yml", "--consul-ip", "10.200.200.1"))
    site = "--config config.yml --consul-ip 10.200.200.1"
    assert remedies.destroy() == f"kube-provision destroy --name prod {site}"
    assert remedies.why("w-prod-1") == f"kube-provision why w-prod-1 --name prod {site}"


def test_names_no_version_beside_the_one_that_a_cluster_is_to_be_upgraded_to() -> None:
    remedies = Remedies("prod", ("--config", "config.yml", "--k8s-version", "1.37", "--state", "folder"))
    told = "kube-provision upgrade --name prod --k8s-version 1.37.2 --config config.yml --state folder"
    assert remedies.upgrade("1.37.2") == told


def test_a_configuration_that_lies_nowhere_is_named_in_words_where_no_backup_has_it() -> None:
    remedies = Remedies("prod", ("--state", "folder"), unwritten=True)
    made_with = ", with the configuration that it was made with"
    assert remedies.provision() == f"kube-provision provision --name prod --state folder{made_with}"
    assert remedies.destroy() == f"kube-provision destroy --name prod --state folder{made_with}"
    named = replace(remedies, archive="my backups/prod.age")
    assert named.restore() == "kube-provision restore --name prod 'my backups/prod.age' --state folder"
    assert named.verify() == "kube-provision backup --verify 'my backups/prod.age'"
    assert remedies.restore_anew() == "kube-provision restore --abandon-old --name prod FILE --state folder"


def test_is_quoted_for_a_shell() -> None:
    path = "my clusters/it's $HOME.yml"
    assert shlex.split(Remedies("prod", ("--config", path)).destroy("w-prod-1"))[-1] == path


def remedies(*names: str, lives: bool = True, restoring: bool = False, masters_only: bool = False) -> Remedies:
    """Advice about a cluster of these machines."""
    roles = {"c": Role.DISCOVERY, "m": Role.MASTER, "w": Role.WORKER}
    vms = tuple(Vm(name, name, Power.ON, Stamp("prod", "id", roles[name[0]], "spec")) for name in names)
    seen = Observation(Cluster("prod", "id", "1.37", frozenset(names)), vms)
    return Remedies("prod").of(seen, lives=lives, restoring=restoring, masters_only=masters_only)


REPLACED = "kube-provision replace {} --name prod"
RESTORED_ANEW = "kube-provision restore --abandon-old --name prod FILE"
MADE_AGAIN = "kube-provision destroy --name prod --node {}, then provision again"


class TestAMachineThatIsToBeMadeAnew:
    @pytest.mark.parametrize("name", ["m-prod-1", "w-prod-1"])
    def test_is_replaced(self, name: str) -> None:
        assert remedies("c-prod", "m-prod-1", "m-prod-2", "w-prod-1").replace(name) == REPLACED.format(name)

    def test_takes_the_cluster_along_as_its_only_master(self) -> None:
        told = remedies("m-prod-1", "w-prod-1").replace("m-prod-1")
        assert told.startswith("kube-provision destroy --name prod, then provision again (it is the only")

    def test_is_destroyed_first_as_discoverys_own(self) -> None:
        assert remedies("c-prod", "m-prod-1", "m-prod-2").replace("c-prod") == MADE_AGAIN.format("c-prod")

    def test_is_destroyed_first_in_a_cluster_that_nobody_knows_to_live(self) -> None:
        names = ("m-prod-1", "m-prod-2", "w-prod-1")
        assert remedies(*names, lives=False).replace("w-prod-1") == MADE_AGAIN.format("w-prod-1")
        assert Remedies("prod").replace("w-prod-1") == MADE_AGAIN.format("w-prod-1")

    @pytest.mark.parametrize("name", ["c-prod", "m-prod-1"])
    def test_is_made_anew_by_the_restoration_that_it_belongs_to(self, name: str) -> None:
        """Destroyed and provisioned there would be another cluster, which is empty."""
        assert remedies("c-prod", "m-prod-1", lives=False, restoring=True).replace(name) == RESTORED_ANEW

    def test_is_made_anew_without_taking_along_workers_that_live(self) -> None:
        told = remedies("m-prod-1", "w-prod-1", lives=False, restoring=True, masters_only=True)
        assert told.replace("m-prod-1") == "kube-provision restore --masters-only --abandon-old --name prod FILE"
        assert told.restore() == "kube-provision restore --masters-only --name prod FILE"

    def test_is_replaced_as_in_any_cluster_once_that_lives(self) -> None:
        told = remedies("m-prod-1", "m-prod-2", lives=True, restoring=True)
        assert told.replace("m-prod-2") == REPLACED.format("m-prod-2")
