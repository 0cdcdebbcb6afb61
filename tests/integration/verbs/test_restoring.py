"""`restore` with a master that takes the snapshot, and an API server that comes after it: a run, and the one after it."""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doubles.backups import back_up
from doubles.member import Member, at_work
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site
from servers.cluster_objects import NODES
from servers.control_plane import ControlPlaneServer

from kube_provision_core import hookimpl
from kube_provision_core.backup import Archive
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.driver import listening
from kube_provision_core.contract.errors import BackupError, ConfigError, ControlPlaneError, FolderError
from kube_provision_core.contract.machines import Discovery, MasterRecord, Power, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine import bringing
from kube_provision_core.engine.executor import Event, Interrupt, State
from kube_provision_core.engine.facts import Facts
from kube_provision_core.engine.handlers import Performer
from kube_provision_core.engine.plan import Action, AwaitBoot, BringSnapshot
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.session import open_session
from kube_provision_core.engine.verb import Options
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.folder.store import Folder
from kube_provision_core.folder.x509 import sign_server
from kube_provision_core.verbs import registering, run
from kube_provision_core.verbs.restore import RESTORE
from kube_provision_node.restore import Receiver, Snapshot

pytestmark = pytest.mark.usefixtures("look_often")

ADDRESSES = {"m-prod-1": "127.64.23.1", "w-prod-1": "127.64.23.2", "consul-prod": "127.64.23.3"}
ONE = {"masters": 1, "workers": 1}
CONTENT = bytes(range(256)) * 20000
LIMIT = 120.0
FINISHED = NodeStatus(Stage.FINISH, "done")
FAILED = NodeStatus(Stage.INSTALL, "failed", error="no such package")


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringing, "PAUSE", 0.05)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses = dict(ADDRESSES)
    site.provision(**ONE)
    return site


@pytest.fixture
def archive(site: Site, tmp_path: Path) -> Archive:
    """Of the cluster, which is lost then."""
    assert site.folder
    archive = back_up(site.folder, CONTENT, tmp_path / "prod.age")
    shutil.rmtree(site.state)
    site.world.vms.clear()
    return archive


def restored(site: Site, archive: Archive, **more: Any) -> Report:
    with open_session(site.config(**ONE), site.state, alone=True, archive=archive) as session:
        return run.run(RESTORE, session, Options(wait=True, **{"finish_timeout": LIMIT, **more}), Operator(site))


class Receiving(Receiver):
    def server_close(self) -> None:
        """Who has just come is let go of in order: Python loses a client's socket that is reset before its handshake."""
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
        super().server_close()


def receiver(folder: Path, archive: Archive, pki: Pki) -> Receiver:
    """What a master does while it waits."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=pki.ca.decode())
    shown = sign_server(pki.authority("ca"), "m-prod-1", ["m-prod-1"], timedelta(hours=1))
    (folder / "receiver.pem").write_bytes(shown.certificate + shown.key)
    context.load_cert_chain(folder / "receiver.pem")
    announced = Snapshot(folder / "brought/snapshot.db", archive.end.size, archive.end.sha256)
    return Receiving(announced, folder / "ca", context, (ADDRESSES["m-prod-1"], 6443))


class TestAClusterThatLivesWhereNobodyLooks:
    ELSEWHERE = "127.64.23.7"

    @pytest.fixture
    def known(self, archive: Archive) -> Archive:
        """The backup knows where its masters were, and one of these is where the next one will be."""
        return replace(archive, about=replace(archive.about, addresses=(self.ELSEWHERE, ADDRESSES["m-prod-1"])))

    @pytest.fixture
    def elsewhere(self, site: Site, archive: Archive) -> ControlPlaneServer:
        return ControlPlaneServer(Folder.backed_up(site.state, "prod", archive.folder).pki, self.ELSEWHERE)

    @pytest.mark.parametrize("abandon", [False, True])
    def test_is_found_before_anything_is_touched(
        self, site: Site, known: Archive, elsewhere: ControlPlaneServer, abandon: bool
    ) -> None:
        with elsewhere, pytest.raises(ConfigError, match=f"a master of it answers at {self.ELSEWHERE}, as the backup knows"):
            restored(site, known, abandon_old=abandon)
        assert not site.world.vms
        assert site.folder is None

    def test_a_restoration_that_was_broken_off_does_not_find_itself(
        self, site: Site, known: Archive, tmp_path: Path, elsewhere: ControlPlaneServer
    ) -> None:
        site.world.breaks.add("w-prod-1")
        site.world.statuses |= {"consul-prod": FINISHED, "m-prod-1": FAILED}
        assert restored(site, known).exit_code == 4
        assert "m-prod-1" in site.world.vms
        site.world.breaks.clear()
        del site.world.statuses["m-prod-1"]
        with elsewhere, pytest.raises(ConfigError, match=f"answers at {self.ELSEWHERE}"):
            restored(site, known)
        with living(site, tmp_path, known):
            assert restored(site, known).exit_code == 0


class KilledError(BaseException):
    """As a process that is killed: nobody learns what came of it, and nothing is tidied."""


class TestARunThatIsKilledWhileItDestroysWhatIsLeft:
    @pytest.fixture
    def half(self, site: Site, archive: Archive) -> Archive:
        """Two of three machines are gone, and the run that has done that."""
        Folder.backed_up(site.state, "prod", archive.folder).save()
        site.provision(**ONE)
        shutil.rmtree(site.state)
        marks = list[str]()

        class Killing(MemoryTarget):
            @hookimpl
            def destroy_vm(self, vm: Vm) -> bool:
                assert site.folder
                if len(site.world.vms) == 1:  # whatever was about to begin does not, either
                    raise KilledError
                marks.append(site.folder.abandoning)
                del site.world.vms[vm.name]
                return True

        site.target = Killing
        with pytest.raises(KilledError):
            restored(site, archive, abandon_old=True, parallel=1)
        site.target = MemoryTarget
        assert set(marks) == {archive.end.sha256}, "something was destroyed that the folder said nothing of"
        assert len(site.world.vms) == 1
        return archive

    def test_is_found_again_as_that(self, site: Site, half: Archive) -> None:
        assert site.folder
        assert (site.folder.abandoning, site.folder.restoring) == (half.end.sha256, "")
        with pytest.raises(ConfigError, match="which a restoration was destroying when it was broken off"):
            restored(site, half)
        with pytest.raises(ConfigError, match="may be destroyed in part: run restore --abandon-old"):
            site.provision(**ONE)

    def test_is_gone_on_with(self, site: Site, half: Archive) -> None:
        left = dict(site.world.vms)
        site.world.breaks.add("m-prod-1")
        site.world.statuses["consul-prod"] = FINISHED
        assert restored(site, half, abandon_old=True).exit_code == 4
        assert site.folder
        assert (site.folder.abandoning, site.folder.restoring) == ("", half.end.sha256)
        assert left.items().isdisjoint(site.world.vms.items())


@contextmanager
def living(site: Site, folder: Path, archive: Archive, *, workers: bool = True) -> Iterator[ControlPlaneServer]:
    """Machines that come alive once they are made: the first takes the snapshot, its API server remembers old nodes."""
    pki = Folder.backed_up(site.state, "prod", archive.folder).pki
    server = ControlPlaneServer(pki, ADDRESSES["m-prod-1"], certificate_for="127.64.23.1")
    for name, address in {**ADDRESSES, "w-prod-9": "127.64.23.9"}.items():
        if not name.startswith("consul"):
            server.objects.add_node(name, address, master=name.startswith("m"))

    def live() -> None:
        site.world.statuses["consul-prod"] = FINISHED
        wait_for(lambda: "m-prod-1" in site.world.vms)
        receiver(folder, archive, pki).wait(LIMIT)
        server.start()
        site.registry.record = Discovery(True, (MasterRecord("m-prod-1", ADDRESSES["m-prod-1"]),))
        site.world.statuses["m-prod-1"] = FINISHED
        if not workers:
            return
        wait_for(lambda: "w-prod-1" in site.world.vms)
        server.objects.add_node("w-prod-1", ADDRESSES["w-prod-1"])
        site.world.statuses["w-prod-1"] = FINISHED

    machine = threading.Thread(target=live)
    machine.start()
    try:
        yield server
    finally:
        machine.join(3 * LIMIT)  # it waits three times at most
        server.stop()
    assert not machine.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lost_cluster_begins_with_the_snapshot_and_forgets_nodes_of_before(
    site: Site, archive: Archive, tmp_path: Path
) -> None:
    with living(site, tmp_path, archive) as server:
        report = restored(site, archive)
        assert [it.action.key for it in report.outcomes if it.state is not State.DONE] == []
        assert set(server.objects.all(NODES)) == {"m-prod-1", "w-prod-1"}
    assert (tmp_path / "brought/snapshot.db").read_bytes() == CONTENT
    assert "restore.json" in site.world.boot_data["m-prod-1"] or site.world.vms["m-prod-1"].scrubbed
    assert site.folder
    assert site.folder.cluster_id == archive.about.cluster_id
    assert site.folder.restoring == ""
    assert site.folder.initialised


class TestMastersAlone:
    """Workers live, and so does discovery."""

    @pytest.fixture
    def backup(self, site: Site, tmp_path: Path) -> Archive:
        """Of the cluster, whose master is off then."""
        assert site.folder
        archive = back_up(site.folder, CONTENT, tmp_path / "prod.age")
        site.folder.mark_initialised()
        site.world.statuses |= {"consul-prod": FINISHED, "w-prod-1": FINISHED}
        site.world.vms["m-prod-1"] = replace(site.world.vms["m-prod-1"], power=Power.OFF)
        site.registry.record = Discovery(True, cluster_id=site.folder.cluster_id)
        return replace(archive, about=replace(archive.about, machines={"w-prod-1": "worker"}))

    def test_begin_with_the_snapshot_and_the_others_go_on(self, site: Site, backup: Archive, tmp_path: Path) -> None:
        before = dict(site.world.vms)
        with living(site, tmp_path, backup, workers=False) as server:
            report = restored(site, backup, only="master", abandon_old=True)
            assert [it.action.key for it in report.outcomes if it.state is not State.DONE] == []
            assert set(server.objects.all(NODES)) == {"m-prod-1", "w-prod-1"}
        assert (tmp_path / "brought/snapshot.db").read_bytes() == CONTENT
        assert changed(site, before) == {"m-prod-1"}
        assert site.registry.forgotten == ["prod"]
        assert site.folder
        assert (site.folder.restoring, site.folder.masters_only, site.folder.initialised) == ("", False, True)

    def test_that_are_not_to_be_destroyed_are_not(self, site: Site, backup: Archive) -> None:
        before = dict(site.world.vms)
        with pytest.raises(ConfigError, match=r"^m-prod-1: of cluster prod, and not known to be lost"):
            restored(site, backup, only="master")
        assert (changed(site, before), site.registry.forgotten) == (set(), [])

    @pytest.mark.parametrize("where", ["destroy m-prod-1", "forget prod", "begin-restore prod", "create m-prod-1"])
    def test_killed_anywhere_before_they_live_it_is_run_again(
        self, site: Site, backup: Archive, tmp_path: Path, where: str
    ) -> None:
        before = dict(site.world.vms)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Performer, "__call__", killed_after(where))
            with pytest.raises(KilledError):
                restored(site, backup, only="master", abandon_old=True, parallel=1)
        assert site.folder
        assert site.folder.masters_only
        with pytest.raises(ConfigError, match="run restore --masters-only"):
            site.provision(**ONE)
        with pytest.raises(ConfigError, match="masters alone are being restored"):
            restored(site, backup)
        with living(site, tmp_path, backup, workers=False):
            report = restored(site, backup, only="master")
            assert report.exit_code == 0, [it for it in report.outcomes if it.state is not State.DONE]
        assert changed(site, before) == {"m-prod-1"}

    def test_interrupted_before_workers_have_registered_again_it_is_run_again(
        self, site: Site, backup: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(event: Event) -> None:
            if event.action.key == "forget-nodes prod" and event.state is State.DONE:
                site.interrupt.request()

        monkeypatch.setattr(registering, "SCRIPT", f"echo registered >>{tmp_path}/w-prod-1/said\n")
        backup = replace(backup, about=replace(backup.about, machines={}))
        stamp = site.world.vms["w-prod-1"].stamp
        assert site.folder
        assert stamp
        worker = Member(tmp_path / "w-prod-1", site.folder.pki, name="w-prod-1", stamp=stamp)
        with living(site, tmp_path, backup, workers=False), at_work(site.world, {"w-prod-1": worker}):
            site.listen = interrupt
            assert restored(site, backup, only="master", abandon_old=True).interrupted
            kept = (site.folder.restoring, site.folder.masters_only, site.folder.initialised)
            assert kept == (backup.end.sha256, True, True)
            assert worker.said == []
            site.listen, site.interrupt = lambda event: None, Interrupt()
            report = restored(site, backup, only="master")
        assert [it.action.key for it in report.outcomes if it.state is not State.DONE] == []
        assert worker.said == ["registered"]
        assert site.folder.restoring == ""


def killed_after(key: str) -> Callable[[Performer, Action], str]:
    """What a run does that is killed once this is done, and before anybody learns of it."""
    perform = Performer.__call__

    def killing(performer: Performer, action: Action) -> str:
        done = perform(performer, action)
        if action.key == key:
            raise KilledError
        return done

    return killing


def changed(site: Site, before: Mapping[str, Vm]) -> set[str]:
    """Machines that are gone, or are not the same any more."""
    return {name for name, vm in before.items() if not (now := site.world.vms.get(name)) or now.stamp != vm.stamp}


def test_a_cluster_that_was_to_be_destroyed_and_lives_keeps_all_its_nodes(
    site: Site, archive: Archive, tmp_path: Path
) -> None:
    """It was never restored: what it knows beside our machines, somebody has joined to it."""
    with living(site, tmp_path, archive) as server:
        restored(site, archive)
        assert site.folder
        site.folder.begin_abandoning(archive.end.sha256)
        server.objects.add_node("joined-by-hand", "127.64.23.10")
        assert site.provision(**ONE).exit_code == 0
        assert set(server.objects.all(NODES)) == {"m-prod-1", "w-prod-1", "joined-by-hand"}
    assert (site.folder.abandoning, site.folder.initialised) == ("", True)


def test_a_run_that_failed_is_gone_on_with_by_the_next_one_alone(site: Site, archive: Archive, tmp_path: Path) -> None:
    site.world.breaks.add("m-prod-1")
    site.world.statuses["consul-prod"] = FINISHED
    assert restored(site, archive).exit_code == 4
    assert site.folder
    assert site.folder.restoring == archive.end.sha256
    with pytest.raises(ConfigError, match="is being restored, and does not live yet"):
        site.provision(**ONE)
    with site.session(**ONE) as session:
        assert "restore --abandon-old" in Facts(session).remedies.replace("m-prod-1")
    site.world.breaks.clear()
    with living(site, tmp_path, archive):
        assert restored(site, archive).exit_code == 0
    assert site.folder.restoring == ""


def test_a_cluster_whose_nodes_of_before_are_forgotten_is_restored_whatever_is_missing_still(
    site: Site, archive: Archive, tmp_path: Path
) -> None:
    """Else the next restoration from the same file would forget whoever has joined it since."""
    with living(site, tmp_path, archive, workers=False) as server:
        site.world.breaks.add("w-prod-1")
        assert restored(site, archive).exit_code == 4
        assert site.folder
        assert (site.folder.restoring, site.folder.initialised) == ("", True)
        server.objects.add_node("joined-by-hand", "127.64.23.10")
        with pytest.raises(ConfigError, match=r"cluster prod lives: .*kube-provision provision --name prod"):
            restored(site, archive)


def test_a_mark_that_cannot_be_taken_away_is_told_with_all_that_was_done(
    site: Site, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Folder) -> None:
        raise FolderError(f"{folder.path} cannot be written: no space left")

    monkeypatch.setattr(Folder, "end_restore", fail)
    with living(site, tmp_path, archive):
        report = restored(site, archive)
    assert report.folder_error.endswith("no space left")
    assert {it.state for it in report.outcomes} == {State.DONE}


def test_a_folder_of_another_cluster_is_left_alone(site: Site, archive: Archive) -> None:
    Folder.create(site.state, "prod", {})
    with pytest.raises(FolderError, match="the folder of another cluster"):
        restored(site, archive)


def test_a_backup_that_disagrees_with_itself_is_refused(site: Site, archive: Archive) -> None:
    other = replace(archive, about=replace(archive.about, cluster_id="id-2"))
    with pytest.raises(ConfigError, match="says that it is of cluster id-2, and its folder that it is of another"):
        restored(site, other)
    with pytest.raises(ConfigError, match="the backup is of cluster test, and this is prod"):
        restored(site, replace(archive, about=replace(archive.about, cluster="test")))


def test_a_folder_of_the_same_cluster_may_lie_there_already(site: Site, archive: Archive, tmp_path: Path) -> None:
    Folder.backed_up(site.state, "prod", archive.folder).save()
    with living(site, tmp_path, archive):
        assert restored(site, archive).exit_code == 0


def test_a_backup_that_has_changed_since_is_noticed(archive: Archive, site: Site, tmp_path: Path) -> None:
    folder = Folder.backed_up(tmp_path / "other", "prod", archive.folder)
    folder.save()
    (tmp_path / "prod.age").rename(tmp_path / "aside.age")
    back_up(folder, CONTENT + b"x", tmp_path / "prod.age")
    with pytest.raises(BackupError):
        list(archive.pieces())


@pytest.mark.parametrize("how", ["interrupted", "failed", "late"])
def test_a_run_ends_with_the_boot_of_who_is_to_take_the_snapshot(site: Site, archive: Archive, how: str) -> None:
    site.world.statuses["consul-prod"] = FINISHED

    def happen(event: Event) -> None:
        if isinstance(event.action, BringSnapshot) and event.text and event.state is State.RUNNING:
            if how == "interrupted" and not site.interrupt.stop.is_set():
                site.interrupt.request()
            if how == "failed":
                site.world.statuses["m-prod-1"] = FAILED

    site.listen = happen
    report = restored(site, archive, finish_timeout=0.5 if how == "late" else None)
    ended = {it.action.key: it.state for it in report.outcomes}
    assert ended["boot m-prod-1"] is (State.ABANDONED if how == "interrupted" else State.FAILED)
    assert ended["snapshot m-prod-1"] is State.FAILED
    assert ended["create w-prod-1"] is State.SKIPPED
    assert report.interrupted == (how == "interrupted")


class TestAMaster:
    """What becomes of bringing it the snapshot."""

    @pytest.fixture
    def performer(self, site: Site, archive: Archive) -> Iterator[Performer]:
        from kube_provision_core.cluster import NOBODY_ASKED, Roll
        from kube_provision_core.cluster.observe import observe
        from kube_provision_core.engine.latest import Latest

        site.provision(**ONE)
        shutil.rmtree(site.state)
        folder = Folder.backed_up(site.state, "prod", archive.folder)
        folder.save()
        with open_session(site.config(**ONE), site.state, archive=archive) as session:
            seen = observe(session.hook, session.desired.cluster)
            self.first = session.desired.masters[0]
            yield Performer(session, Latest(seen), Roll(lambda: NOBODY_ASKED))

    def test_whose_api_server_listens_already_has_it(self, performer: Performer, site: Site) -> None:
        assert site.folder
        with ControlPlaneServer(site.folder.pki, ADDRESSES["m-prod-1"], certificate_for="m-prod-1"):
            assert performer(BringSnapshot(node=self.first)) == "it has it already"

    def test_of_another_cluster_is_not_brought_it(self, performer: Performer, site: Site) -> None:
        self.end_waiting(performer)
        server = ControlPlaneServer(create_pki("prod"), ADDRESSES["m-prod-1"], certificate_for="m-prod-1")
        with server, pytest.raises(ControlPlaneError, match="this cluster's authority has not signed"):
            performer(BringSnapshot(node=self.first))

    def test_without_an_address_is_brought_nothing(self, performer: Performer) -> None:
        latest = performer._latest
        latest.note([replace(latest.vm("m-prod-1"), addresses=())])
        self.end_waiting(performer)
        with pytest.raises(ControlPlaneError, match="no address"):
            performer(BringSnapshot(node=self.first))

    def test_is_tried_until_its_boot_is_awaited_no_more(self, performer: Performer) -> None:
        heard: list[str] = []

        def hear(text: str) -> None:
            heard.append(text)
            if len(heard) == 3:
                self.end_waiting(performer)

        with listening(hear), pytest.raises(ControlPlaneError, match="cannot be reached"):
            performer(BringSnapshot(node=self.first))
        assert len(heard) == 3

    def end_waiting(self, performer: Performer) -> None:
        performer._latest.note_event(Event(AwaitBoot(node=self.first), State.FAILED))

    def test_is_brought_nothing_without_a_backup(self, performer: Performer) -> None:
        performer._session = replace(performer._session, archive=None)
        with pytest.raises(TypeError):
            performer(BringSnapshot(node=self.first))
