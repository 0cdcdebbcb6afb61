"""What is told of certificates where nobody can be asked, and who is warned of those that end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Site

from kube_provision_core import hookimpl
from kube_provision_core.contract.machines import Cluster, Power, Vm
from kube_provision_core.engine.facts import Facts
from kube_provision_core.verbs.certificates import Certificates, certificates, warnings

pytestmark = pytest.mark.usefixtures("look_often")

ONE = {"masters": 1, "workers": 1}
SHOWN = ("apiserver", "etcd-server", "etcd-peer")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "state")


def told(site: Site) -> Certificates:
    with site.session(**ONE) as session:
        return certificates(session)


def warned(site: Site) -> tuple[str, ...]:
    with site.session(**ONE) as session:
        return tuple(warnings(Facts(session)))


def power_off(site: Site) -> None:
    site.world.vms["m-prod-1"] = replace(site.world.vms["m-prod-1"], power=Power.OFF)


class Addressless(MemoryTarget):
    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return [replace(vm, addresses=()) for vm in super().list_vms(cluster)]


def lose_addresses(site: Site) -> None:
    site.target = Addressless


def test_a_cluster_that_was_never_made_has_none(site: Site) -> None:
    assert told(site) == Certificates("prod", ())


@pytest.mark.parametrize(
    ("silence", "why"),
    [(power_off, "the machine is off"), (lose_addresses, "its address is not known")],
    ids=["off", "without an address"],
)
def test_of_a_master_that_cannot_be_asked_it_is_said_why(site: Site, silence: Callable[[Site], None], why: str) -> None:
    site.provision(**ONE)
    silence(site)
    rows = told(site).certificates
    assert [(row.ends, row.days, row.text) for row in rows if row.certificate in SHOWN] == [("", None, why)] * len(SHOWN)
    assert {row.machine for row in rows} == {"", "m-prod-1"}
    assert all(row.text.startswith("a file of the machine") for row in rows if row.machine and row.certificate not in SHOWN)


def test_what_ends_soon_says_what_helps_in_its_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.provision(**ONE)
    power_off(site)
    monkeypatch.setattr("kube_provision_core.cluster.certificates.SOON", timedelta(days=400))
    (row,) = (row for row in told(site).certificates if row.certificate == "kubeconfig")
    assert row.days == 364
    assert row.text.startswith("any run that provisions renews the kubeconfig")


def test_nobody_is_warned_of_a_cluster_that_does_not_live(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.cluster.certificates.SOON", timedelta(days=400))
    assert warned(site) == ()


def test_one_line_warns_of_all_that_ends_in_one_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.provision(**ONE)
    power_off(site)
    assert site.folder
    (site.folder.path / "initialised").touch()
    assert warned(site) == ()
    monkeypatch.setattr("kube_provision_core.cluster.certificates.SOON", timedelta(days=4000))
    (line,) = warned(site)
    assert line.startswith(f"{site.folder.path}: kubeconfig, ca, etcd-ca, front-proxy-ca ends on 20")
