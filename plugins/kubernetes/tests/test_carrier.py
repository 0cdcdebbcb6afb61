"""The machine that may initialise the cluster: what it believes at each moment, and after a power cut."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from servers.discovery_api import DiscoveryApi, Store

from kube_provision_core.folder.pki import Pki
from kube_provision_kubernetes.node import Client
from kube_provision_kubernetes.node.api import BusyError, UnavailableError
from kube_provision_kubernetes.node.carrier import Carrier
from kube_provision_kubernetes.node.note import BEGUN, TELLING, TOLD

pytestmark = pytest.mark.integration

MakeClient = Callable[..., Client]
BEGINS = {"state": "initialising", "node": "m-prod-1", "instance_id": "first", "cluster_id": "id-1"}
DONE = {**BEGINS, "state": "initialised"}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return tmp_path / "m-prod-1"


@pytest.fixture
def carrier(api: DiscoveryApi, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Before anything was begun: its API does not run. It knows of no other machine."""
    api.stop()
    client = make_client(seed=None, may_init=True)
    assert isinstance(client.carrier, Carrier)
    monkeypatch.setattr("kube_provision_kubernetes.node.own_address", lambda *_: api.address)
    return client


def kubeadm_init(api: DiscoveryApi, pki: Pki, disk: Path) -> None:
    """As far as discovery notices: an administrator on the disk, and an API that knows nobody else."""
    pair = pki.administrator("kubernetes-admin", timedelta(hours=1))
    lines = [
        f"    client-{what}-data: {b64encode(data).decode()}\n"
        for what, data in zip(("certificate", "key"), (pair.certificate, pair.key), strict=True)
    ]
    path = disk / "etc/kubernetes/admin.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(["apiVersion: v1\nkind: Config\nusers:\n- name: kubernetes-admin\n  user:\n", *lines]))
    api.start()


def kubeadm_reset(api: DiscoveryApi, disk: Path) -> None:
    api.stop()
    (disk / "etc/kubernetes/admin.conf").unlink()


def stage(disk: Path) -> str:
    return str(json.loads((disk / "var/lib/kube-provision/discovery-carrier.json").read_text())["stage"])


def begin(carrier: Client) -> None:
    """As the choreography does."""
    with carrier.lock(5.0):
        assert carrier.read_record() is None
        assert carrier.create_record(BEGINS)


def finish(carrier: Client) -> None:
    claim = carrier.read_record()
    assert claim is not None
    assert carrier.replace_record(DONE, claim.version)


def test_before_there_is_anything_there_is_certainly_no_record(carrier: Client) -> None:
    with carrier.lock(1.0):
        assert carrier.read_record() is None


def test_any_other_machine_waits_meanwhile(carrier: Client, make_client: MakeClient) -> None:
    for name in ("m-prod-2", "w-prod-1"):
        with pytest.raises(UnavailableError) as caught:
            make_client(name).read_record()
        assert getattr(caught.value, "early", False) is True


def test_an_initialisation_ends_with_a_record_that_others_read(
    carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path, make_client: MakeClient
) -> None:
    begin(carrier)
    assert stage(disk) == BEGUN
    kubeadm_init(api, pki, disk)
    finish(carrier)
    assert stage(disk) == TOLD
    for name in ("m-prod-2", "w-prod-1"):
        found = make_client(name).read_record()
        assert found is not None
        assert found.content == DONE
    carrier.register()


def test_what_was_begun_is_begun_anew_after_a_power_cut(carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path) -> None:
    begin(carrier)
    kubeadm_init(api, pki, disk)
    api.stop()
    for _ in range(2):
        found = carrier.read_record()
        assert found is not None
        assert found.content == BEGINS
        assert carrier.replace_record(BEGINS, found.version)
        kubeadm_reset(api, disk)
        kubeadm_init(api, pki, disk)
    finish(carrier)


def test_once_the_record_may_have_been_read_a_silent_api_means_wait(
    carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path
) -> None:
    """Else it would undo a cluster that others have joined: power goes right after the record was written."""
    begin(carrier)
    kubeadm_init(api, pki, disk)
    claim = carrier.read_record()
    assert claim is not None
    assert carrier.carrier is not None
    carrier.carrier.note.write(TELLING, BEGINS)
    api.stop()
    for attempt in (carrier.read_record, lambda: carrier.create_record(BEGINS), lambda: carrier.lock(1.0).__enter__()):
        with pytest.raises(UnavailableError):
            attempt()
    assert stage(disk) == TELLING
    api.start()
    finish(carrier)
    assert stage(disk) == TOLD


def test_a_power_cut_between_the_record_and_the_note_is_found_out(
    carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path
) -> None:
    begin(carrier)
    kubeadm_init(api, pki, disk)
    finish(carrier)
    assert carrier.carrier is not None
    carrier.carrier.note.write(TELLING, BEGINS)
    found = carrier.read_record()
    assert found is not None
    assert found.content == DONE


def test_a_record_whose_writing_was_refused_half_way_is_written_by_the_next_attempt(
    carrier: Client, api: DiscoveryApi, store: Store, pki: Pki, disk: Path
) -> None:
    from servers.control_plane import Fault

    begin(carrier)
    kubeadm_init(api, pki, disk)
    claim = carrier.read_record()
    assert claim is not None
    api.faults.append(Fault(status=500, path="/apis/rbac"))
    with pytest.raises(UnavailableError):
        carrier.replace_record(DONE, claim.version)
    assert stage(disk) == TELLING
    assert store.get("kube-provision", "configmaps", "record-prod") is None
    found = carrier.read_record()
    assert found is not None
    assert found.content == DONE
    assert stage(disk) == TOLD
    assert store.get("kube-provision", "configmaps", "record-prod") is not None


def test_a_record_whose_answer_was_lost_is_its_own(carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path) -> None:
    from servers.control_plane import Fault

    begin(carrier)
    kubeadm_init(api, pki, disk)
    claim = carrier.read_record()
    assert claim is not None
    api.faults.append(Fault(break_off=True, path="/api/v1/namespaces/kube-provision/configmaps"))
    with pytest.raises(UnavailableError):
        carrier.replace_record(DONE, claim.version)
    assert carrier.replace_record(DONE, claim.version)


def test_the_whole_cluster_off_is_no_reason_to_begin_again(carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path) -> None:
    begin(carrier)
    kubeadm_init(api, pki, disk)
    finish(carrier)
    api.stop()
    with pytest.raises(UnavailableError):
        carrier.read_record()
    with pytest.raises(UnavailableError):
        carrier.create_record(BEGINS)


def test_an_unreadable_note_is_not_taken_for_none(carrier: Client, disk: Path) -> None:
    begin(carrier)
    (disk / "var/lib/kube-provision/discovery-carrier.json").write_text("{")
    with pytest.raises(UnavailableError, match="unreadable"):
        carrier.read_record()


def test_a_master_of_the_cluster_that_answers_keeps_it_from_beginning(
    granted: DiscoveryApi, make_client: MakeClient
) -> None:
    """By a static seed: a disk that was reverted to before the initialisation knows nothing itself."""
    other = make_client("m-prod-2")
    other.create_record(DONE)
    found = make_client("m-prod-1", may_init=True).read_record()
    assert found is not None
    assert found.content == DONE


def test_a_master_that_knows_nobodys_rights_keeps_it_from_beginning(api: DiscoveryApi, make_client: MakeClient) -> None:
    with pytest.raises(UnavailableError, match="401"):
        make_client("m-prod-1", may_init=True).read_record()


def test_a_member_whose_note_is_lost_begins_nothing(carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path) -> None:
    begin(carrier)
    kubeadm_init(api, pki, disk)
    finish(carrier)
    (disk / "var/lib/kube-provision/discovery-carrier.json").unlink()
    api.stop()
    with pytest.raises(UnavailableError):
        carrier.read_record()


def test_it_takes_its_turn_as_others_do_once_it_has_told(
    carrier: Client, api: DiscoveryApi, pki: Pki, disk: Path, make_client: MakeClient
) -> None:
    begin(carrier)
    kubeadm_init(api, pki, disk)
    finish(carrier)
    carrier.learnt.keep([api.address])
    with make_client("m-prod-2").lock(5.0), pytest.raises(BusyError, match="m-prod-2"), carrier.lock(0.0):
        pass


def test_an_administrator_that_cannot_be_read_is_no_answer(carrier: Client, disk: Path) -> None:
    begin(carrier)
    assert carrier.carrier is not None
    carrier.carrier.note.write(TELLING, BEGINS)
    path = disk / "etc/kubernetes/admin.conf"
    path.parent.mkdir(parents=True)
    path.write_text("apiVersion: v1\n")
    with pytest.raises(UnavailableError, match="no certificate and key"):
        carrier.read_record()
