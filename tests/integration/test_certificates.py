"""What masters show in handshakes: stand-ins of their API servers, and Debian's real etcd."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from servers.control_plane import ControlPlaneServer
from servers.living_masters import LivingMasters

from kube_provision_core.cluster.certificates import Certificate, shown_by
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.testing import cluster_of

MASTERS = {"m-prod-1": "127.67.0.1", "m-prod-2": "127.67.0.2"}
DAY = timedelta(days=1)


def shown(pki: Pki) -> dict[tuple[str, str], Certificate]:
    cluster = cluster_of(*MASTERS, name="prod")
    return {(found.machine, found.name): found for found in shown_by(MASTERS, cluster, pki)}


def test_every_port_of_every_master_shows_its_own(pki: Pki) -> None:
    with LivingMasters(pki, MASTERS) as masters:
        found = shown(pki)
        assert set(found) == {(name, what) for name in MASTERS for what in ("apiserver", "etcd-server", "etcd-peer")}
        assert [it.unknown for it in found.values()] == [""] * 6
        end = found["m-prod-1", "apiserver"].end
        assert end
        assert 364 * DAY < end - datetime.now(UTC) < 366 * DAY
        masters.kill("m-prod-2")
        gone = shown(pki)
        assert gone["m-prod-1", "etcd-server"].end
        assert gone["m-prod-2", "apiserver"].unknown == "no handshake with 127.67.0.2:6443: Connection refused"


def test_one_of_another_cluster_is_not_taken_for_ours(pki: Pki) -> None:
    with ControlPlaneServer(create_pki("prod"), MASTERS["m-prod-1"]):
        found = shown(pki)["m-prod-1", "apiserver"]
    assert found.unknown == "127.67.0.1:6443 shows a certificate that this cluster's authority has not signed"
    assert found.end is None


def test_one_that_has_ended_is_told_all_the_same(pki: Pki) -> None:
    with ControlPlaneServer(pki, MASTERS["m-prod-1"], certificate_lifetime=timedelta(minutes=-1)):
        found = shown(pki)["m-prod-1", "apiserver"]
    assert found.end
    assert found.end < datetime.now(UTC)
    assert found.ends_soon(datetime.now(UTC))
