"""Backups of a cluster that lives: the stand-in of an API server, a real etcd."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from doubles.site import Site
from servers.cluster_objects import CONFIG_MAPS
from servers.living_masters import LivingMasters

from kube_provision_core.backup import Archive, Keys, Recipients, place
from kube_provision_core.backup.reader import check_backup
from kube_provision_core.contract.errors import BackupError, ConfigError, ControlPlaneError
from kube_provision_core.contract.kept_files import replace_file
from kube_provision_core.contract.machines import Discovery
from kube_provision_core.engine.facts import Facts, Known, Unknown
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs.backup import Made, backup
from kube_provision_core.verbs.verify import verify

pytestmark = pytest.mark.usefixtures("look_often")

MASTER = {"m-prod-1": "127.64.11.1"}
ONE = {"masters": 1, "workers": 0}
KEY = pyrage.x25519.Identity.generate()
TO = Recipients((str(KEY.to_public()),))
NAME = "kube-provision-backup"
DOCUMENTS = {"1-config.yml": b"masters: 1\n", "2-command-line.yml": b"name: prod\n"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses |= {**MASTER, "consul-prod": "127.64.11.9"}
    site.provision(**ONE)
    site.registry.record = Discovery(initialised=True)
    return site


@pytest.fixture
def masters(site: Site) -> Iterator[LivingMasters]:
    with LivingMasters(folder_of(site).pki, MASTER) as masters:
        masters.objects.configure("kubernetesVersion", "v1.37.1")
        yield masters


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    path = tmp_path / "backups"
    path.mkdir()
    return path


def folder_of(site: Site) -> Folder:
    assert site.folder
    return site.folder


def make(site: Site, path: Path, recipients: Recipients = TO, kept: int | None = None) -> Made:
    with site.session(**ONE) as session:
        return backup(session, place(str(path)), recipients, DOCUMENTS, kept)


def named(site: Site, day: str) -> str:
    return f"prod-{folder_of(site).cluster_id[:8]}-{day}T000000Z.age"


def read(path: Path) -> Archive:
    return Archive.check(place(str(path)).open, Keys((KEY,)))


def put(masters: LivingMasters, *names: str) -> None:
    for name in names:
        subprocess.run(masters.etcd.etcdctl("put", f"/registry/{name}", "x"), check=True, timeout=120, capture_output=True)


def test_all_that_a_cluster_is_made_of_is_in_it(site: Site, masters: LivingMasters, shelf: Path) -> None:
    folder_of(site).mark_initialised()
    folder_of(site).write_kubeconfig(MASTER["m-prod-1"])
    put(masters, "a", "b", "c")
    made = make(site, shelf / "prod.age")
    archive = read(shelf / "prod.age")
    about, folder = archive.about, folder_of(site)
    assert (about.cluster, about.cluster_id, about.kubernetes) == ("prod", folder.cluster_id, "1.37.1")
    assert about.etcd.startswith("3.")
    assert about.machines["m-prod-1"] == "master"
    assert about.addresses == tuple(MASTER.values())
    assert {path: archive.configuration[path] for path in about.documents} == DOCUMENTS
    kept = {str(it.relative_to(folder.path)) for it in folder.path.rglob("*") if it.is_file()} - {
        "kubeconfig",
        "known_hosts",
    }
    assert set(archive.folder) == kept
    assert {"cluster.json", "secrets.json", "initialised", "pki/ca.key"} <= kept
    assert archive.folder["pki/ca.key"] == (folder.path / "pki/ca.key").read_bytes()
    assert (made.size, made.revision) == (archive.end.size, archive.end.revision)
    assert stat.S_IMODE((shelf / "prod.age").stat().st_mode) == 0o600
    assert verify(archive).objects == 3


def test_the_cluster_is_told_of_it_once_it_was_read_back(site: Site, masters: LivingMasters, shelf: Path) -> None:
    made = make(site, shelf / "prod.age")
    data = masters.objects.all(CONFIG_MAPS)[NAME]["data"]
    assert data == {"created": made.created, "revision": str(made.revision), "size": str(made.size), "file": "prod.age"}
    make(site, shelf / "second.age")
    assert masters.objects.all(CONFIG_MAPS)[NAME]["data"]["file"] == "second.age"


def test_whoever_is_about_to_upgrade_the_cluster_is_told_of_it(site: Site, masters: LivingMasters, shelf: Path) -> None:
    with site.session(**ONE) as session:
        assert Facts(session).backup == Known(None)
    made = make(site, shelf / "prod.age")
    with site.session(**ONE) as session:
        last = Facts(session).backup.value
    assert last
    assert (last.file, last.revision, last.size) == ("prod.age", made.revision, made.size)
    masters.kill("m-prod-1")
    with site.session(**ONE) as session:
        assert isinstance(Facts(session).backup, Unknown)


def test_so_many_are_kept_as_was_said(site: Site, masters: LivingMasters, shelf: Path) -> None:
    for day in ("20261101", "20261102"):
        (shelf / named(site, day)).write_bytes(b"old")
    made = make(site, shelf, kept=2)
    assert made.deleted == (named(site, "20261101"),)
    assert {it.name for it in shelf.iterdir()} == {named(site, "20261102"), Path(made.file).name}


def test_one_that_the_cluster_was_not_told_of_stays_and_is_named(
    site: Site, masters: LivingMasters, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master goes while the backup is read back."""
    old = shelf / named(site, "20261101")
    old.write_bytes(b"old")

    def gone(*given: Any) -> Any:
        masters.kill("m-prod-1")
        return check_backup(*given)

    monkeypatch.setattr("kube_provision_core.backup.keeping.check_backup", gone)
    with pytest.raises(
        ControlPlaneError, match=r"prod-\w+-\w+\.age is made and whole, but the cluster was not told"
    ) as raised:
        make(site, shelf, kept=1)
    file = shelf / str(raised.value).partition(" ")[0]
    assert read(file).about.cluster == "prod"
    assert set(shelf.iterdir()) == {old, file}


class TestNothingIsLeftOrTold:
    @pytest.fixture(autouse=True)
    def _nothing(self, masters: LivingMasters, shelf: Path) -> Iterator[None]:
        before = {it.name for it in shelf.iterdir()}
        yield
        assert {it.name for it in shelf.iterdir()} == before
        assert NAME not in masters.objects.all(CONFIG_MAPS)

    def test_where_etcd_is_gone(self, site: Site, masters: LivingMasters, shelf: Path) -> None:
        masters.etcd.kill("m-prod-1")
        with pytest.raises(ControlPlaneError):
            make(site, shelf / "prod.age")
        masters.etcd.start("m-prod-1")
        masters.etcd.wait_until_healthy("m-prod-1")

    def test_where_its_key_would_be_lost_with_the_cluster(self, site: Site, shelf: Path) -> None:
        (folder_of(site).path / "key.txt").write_text(f"{KEY}\n")
        with pytest.raises(ConfigError, match="lies in the cluster's folder"):
            make(site, shelf / "prod.age")

    def test_where_there_is_no_such_folder(self, site: Site, shelf: Path) -> None:
        with pytest.raises(BackupError, match="none"):
            make(site, shelf / "none" / "prod.age")
        with pytest.raises(BackupError, match="is no folder"):
            make(site, shelf / "none", kept=2)

    def test_where_it_would_be_lost_with_the_cluster(self, site: Site, shelf: Path) -> None:
        with pytest.raises(BackupError, match="is in the cluster's folder"):
            make(site, folder_of(site).path / "prod.age")
        with pytest.raises(BackupError, match="is in the cluster's folder"):
            make(site, folder_of(site).path, kept=2)
        assert not list(folder_of(site).path.glob("*.age"))


def test_an_older_one_goes_only_when_the_new_one_is_there(site: Site, masters: LivingMasters, shelf: Path) -> None:
    old = shelf / named(site, "20261101")
    old.write_bytes(b"old")
    masters.etcd.kill("m-prod-1")
    with pytest.raises(ControlPlaneError):
        make(site, shelf, kept=1)
    assert list(shelf.iterdir()) == [old]
    masters.etcd.start("m-prod-1")
    masters.etcd.wait_until_healthy("m-prod-1")


def test_a_cluster_that_is_not_initialised_has_nothing_to_back_up(tmp_path: Path, shelf: Path) -> None:
    site = Site(tmp_path / "state")
    with pytest.raises(ConfigError, match="has no folder"):
        make(site, shelf / "prod.age")
    Folder.create(tmp_path / "state", "prod", {})
    with pytest.raises(ConfigError, match="is not initialised"):
        make(site, shelf / "prod.age")
    assert list(shelf.iterdir()) == []


class TestStatus:
    @staticmethod
    def told(site: Site) -> list[str]:
        return [hint for hint in site.status(**ONE).hints if "kube-provision backup" in hint]

    @staticmethod
    def since(site: Site, days: int) -> None:
        moment = datetime.now(UTC) - timedelta(days=days)
        replace_file(folder_of(site).path / "initialised", f"{moment:%Y-%m-%dT%H:%M:%SZ}\n".encode())

    def test_warns_of_a_cluster_that_was_never_backed_up_once_it_is_a_week_old(
        self, site: Site, masters: LivingMasters
    ) -> None:
        assert self.told(site) == []
        self.since(site, days=6)
        assert self.told(site) == []
        self.since(site, days=8)
        (line,) = self.told(site)
        assert line.startswith("no backup was ever made of cluster prod: kube-provision backup --name prod FILE")

    def test_takes_a_cluster_whose_folder_was_rebuilt_for_an_old_one(self, site: Site, masters: LivingMasters) -> None:
        replace_file(folder_of(site).path / "initialised", b"")
        (line,) = self.told(site)
        assert line.startswith("no backup was ever made")

    def test_warns_of_a_backup_that_is_old(self, site: Site, masters: LivingMasters, shelf: Path) -> None:
        self.since(site, days=100)
        make(site, shelf / "prod.age")
        assert self.told(site) == []
        told = masters.objects.all(CONFIG_MAPS)[NAME]
        masters.objects.replace(CONFIG_MAPS, NAME, {**told, "data": {**told["data"], "created": "2026-01-31T08:00:00Z"}})
        (line,) = self.told(site)
        assert line.startswith("the last backup is of 2026-01-31 (prod.age): ")

    def test_takes_what_somebody_else_has_written_there_for_none(self, site: Site, masters: LivingMasters) -> None:
        self.since(site, days=8)
        masters.objects.create(CONFIG_MAPS, {"metadata": {"name": NAME}, "data": {"created": "yesterday"}})
        (line,) = self.told(site)
        assert line.startswith("no backup was ever made")

    def test_says_nothing_where_nobody_could_tell(self, site: Site, masters: LivingMasters) -> None:
        self.since(site, days=8)
        masters.kill("m-prod-1")
        assert self.told(site) == []
