"""What lies in masters' files alone is told by themselves, and by whom not, and why, stands in his rows."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doubles.member import Member, at_work
from doubles.site import Operator, Site

from kube_provision_core.boot.tasks import Task
from kube_provision_core.cluster.certificates import IN_FILES, SHOWN
from kube_provision_core.contract.machines import Node, Power
from kube_provision_core.folder.x509 import sign_client
from kube_provision_core.verbs import giving, read_certificates
from kube_provision_core.verbs.certificates import CertificateRow, certificates
from kube_provision_node.validity import KUBECONFIGS, KUBELET, LEAVES

pytestmark = pytest.mark.usefixtures("look_often")

SIZE = {"masters": 2, "workers": 0}
MASTERS = ("m-prod-1", "m-prod-2")
OTHER = "super-admin.conf"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    site = Site(tmp_path / "state")
    site.provision(**SIZE)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    honest = read_certificates._task

    def moved(node: Node, room: int) -> Task:
        """For a machine whose root is a folder."""
        task, root = honest(node, room), tmp_path / node.name
        (owned,) = task.steps
        lines = [f"{line} --root {root}" if "python3" in line else line for line in owned.step.script.splitlines()]
        script = "\n".join(lines).replace("/usr/local", f"{root}/usr/local")
        return replace(task, steps=(replace(owned, step=replace(owned.step, script=f"{script}\n")),))

    monkeypatch.setattr(read_certificates, "_task", moved)
    monkeypatch.setattr(read_certificates, "AT_ONCE", 120.0)
    return site


@pytest.fixture
def members(site: Site, tmp_path: Path) -> Iterator[dict[str, Member]]:
    """Masters with files of kubeadm's, that take what they are given while they are in here."""
    assert site.folder
    found: dict[str, Member] = {}
    for name in MASTERS:
        stamp = site.world.vms[name].stamp
        assert stamp
        found[name] = Member(tmp_path / name, site.folder.pki, name=name, stamp=stamp)
        for leaf in LEAVES:
            write(site, found[name], f"etc/kubernetes/pki/{leaf}.crt", days=100)
        for conf in KUBECONFIGS:
            write(site, found[name], f"etc/kubernetes/{conf}.conf", days=100)
        write(site, found[name], KUBELET, days=100)
    (tmp_path / "m-prod-2/etc/kubernetes" / OTHER).unlink()
    with at_work(site.world, found):
        yield found


def write(site: Site, member: Member, path: str, *, days: float) -> None:
    assert site.folder
    pair = sign_client(site.folder.pki.authority("ca"), "somebody", "some", timedelta(days=days), datetime.now(UTC))
    text = pair.certificate.decode()
    if path.endswith(".conf"):
        text = f"users:\n- user:\n    client-certificate-data: {base64.b64encode(pair.certificate).decode()}\n"
    member.write(path, text)


def listed(site: Site) -> dict[tuple[str, str], CertificateRow]:
    with site.session(**SIZE) as session:
        told = read_certificates.read_files(session, Operator(site))
        rows = certificates(session, told).certificates
    assert site.world.tasks == {}, "nothing of it is to stay"
    return {(row.machine, row.certificate): row for row in rows if row.machine}


def test_every_certificate_of_every_master_is_listed_with_its_end(site: Site, members: dict[str, Member]) -> None:
    rows = listed(site)
    expected = {(name, it) for name in MASTERS for it in (*SHOWN, *IN_FILES)} | {("m-prod-1", OTHER)}
    assert set(rows) == expected
    assert {(row.days, row.text) for row in rows.values()} == {(99, "")}


def test_one_that_is_off_or_deaf_is_named_in_its_rows(site: Site, members: dict[str, Member]) -> None:
    site.world.vms["m-prod-1"] = replace(site.world.vms["m-prod-1"], power=Power.OFF)
    vm = site.world.vms["m-prod-2"]
    assert vm.stamp
    site.world.vms["m-prod-2"] = replace(vm, stamp=replace(vm.stamp, instance=""))
    rows = listed(site)
    assert {row.text for (name, it), row in rows.items() if name == "m-prod-1" and it in IN_FILES} == {"the machine is off"}
    deaf = {row.text for (name, it), row in rows.items() if name == "m-prod-2" and it in IN_FILES}
    assert deaf == {giving.DEAF}


def test_one_that_does_not_take_it_keeps_nobody_else_from_it(
    site: Site, members: dict[str, Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    members.pop("m-prod-2")
    monkeypatch.setattr(read_certificates, "AT_ONCE", 20.0)
    rows = listed(site)
    silent = [row for (name, it), row in rows.items() if name == "m-prod-2" and it in IN_FILES]
    assert all("not taken after" in row.text for row in silent)
    assert rows["m-prod-1", "admin.conf"].days == 99


def test_what_a_run_that_was_killed_has_left_is_taken_away(site: Site, members: dict[str, Member]) -> None:
    site.world.tasks["m-prod-1"] = b"of a run that was killed"
    assert listed(site)["m-prod-1", "admin.conf"].days == 99


def test_what_cannot_be_read_says_why(site: Site, members: dict[str, Member]) -> None:
    one, two = members["m-prod-1"], members["m-prod-2"]
    one.write("etc/kubernetes/admin.conf", "nothing\n")
    (two.root / "etc/kubernetes/pki/front-proxy-client.crt").unlink()
    rows = listed(site)
    assert "holds no certificate that can be read" in rows["m-prod-1", "admin.conf"].text
    assert rows["m-prod-2", "front-proxy-client"].text.endswith("front-proxy-client.crt: No such file or directory")


@pytest.mark.parametrize(("over", "told"), [(0.85, ""), (0.95, "restart kubelet.service on m-prod-2")])
def test_a_kubelet_that_has_not_renewed_its_own_is_told_with_what_helps(site: Site, over: float, told: str) -> None:
    life, now = 365 * 86400, datetime.now(UTC).timestamp()
    result = json.dumps({"kubelet client": {"begin": now - over * life, "end": now + (1 - over) * life}}).encode()
    with site.session(**SIZE) as session:
        rows = certificates(session, {"m-prod-2": result}).certificates
    (row,) = (row for row in rows if (row.machine, row.certificate) == ("m-prod-2", "kubelet client"))
    assert row.days == int((1 - over) * 365)
    assert row.text.endswith(told)
    assert bool(row.text) is bool(told)


JUNK = (
    b"",
    b"[]",
    b"7",
    b'{"admin.conf": 7}',
    b'{"admin.conf": {"begin": 1, "end": 1e99}}',
    b'{"admin.conf": {}}',
    b"[" * 9999,
)


@pytest.mark.parametrize("junk", JUNK)
def test_a_master_that_was_taken_over_breaks_nothing(site: Site, junk: bytes) -> None:
    with site.session(**SIZE) as session:
        rows = certificates(session, dict.fromkeys(MASTERS, junk)).certificates
    found = {row.text for row in rows if row.machine and row.certificate in IN_FILES}
    assert found == {"the machine has not told of it"}
