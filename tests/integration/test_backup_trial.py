"""A backup, tried by Debian's real etcd."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from servers.consul_agents import eventually
from servers.etcd import EtcdServers

from kube_provision_core.backup import About, Archive, Keys, Recipients, place, try_backup
from kube_provision_core.backup import keep as keep_backup
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import BackupError
from kube_provision_core.folder.store import Folder

ADDRESS = "127.63.8.1"
OBJECTS = 40
NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.create(tmp_path_factory.mktemp("state") / "state", "prod", {})


@pytest.fixture(scope="module")
def path(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of an etcd with some objects, which is gone since. What opens it lies beside."""
    path, key = tmp_path_factory.mktemp("backups") / "prod.age", pyrage.x25519.Identity.generate()
    path.with_suffix(".key").write_text(str(key))
    with EtcdServers(folder.pki, {"m-1": ADDRESS}) as etcd, ControlPlane([ADDRESS], folder.pki) as api:
        for number in range(OBJECTS):
            subprocess.run(
                etcd.etcdctl("put", f"/registry/pods/{number}", "x"), check=True, timeout=120, capture_output=True
            )
        subprocess.run(etcd.etcdctl("put", "/of-somebody-else", "x"), check=True, timeout=120, capture_output=True)
        with api.etcd_snapshot() as snapshot:
            about = About("prod", folder.cluster_id, "1.37.1", snapshot.version, NOW, {})
            files = {
                f"folder/{it.relative_to(folder.path)}": it.read_bytes() for it in folder.path.rglob("*") if it.is_file()
            }
            keep_backup(place(str(path)), Recipients((str(key.to_public()),)), about, files, snapshot)
    return path


@pytest.fixture(scope="module")
def archive(path: Path) -> Archive:
    return Archive.check(place(str(path)).open, Keys.read([path.with_suffix(".key")]))


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_an_etcd_starts_on_it_and_counts_its_objects(archive: Archive, scratch: Path) -> None:
    tried = try_backup(archive)
    assert tried.objects == OBJECTS
    assert tried.revision >= archive.end.revision > OBJECTS
    assert list(scratch.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
from kube_provision_core.backup import Archive, Keys, place, trial

def ask(*_):
    print("it runs", flush=True)
    time.sleep(600)

trial._ask = ask
trial.try_backup(Archive.check(place(sys.argv[1]).open, Keys.read([Path(sys.argv[2])])))
"""


def test_a_run_that_is_killed_leaves_neither_a_snapshot_nor_an_etcd(path: Path, scratch: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(path), str(path.with_suffix(".key"))]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"it runs\n"
            (folder,) = scratch.iterdir()
            assert (folder / "data/member/snap/db").exists()
            assert etcds(folder)
        finally:
            process.kill()
    assert eventually(lambda: not folder.exists() and not etcds(folder))
    assert list(scratch.iterdir()) == []


def etcds(folder: Path) -> list[str]:
    """Command lines that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return [line for line in found if line.startswith(("etcd\0", "/usr/bin/etcd\0")) and str(folder) in line]


def test_a_temporary_folder_without_room_is_told_in_a_line(archive: Archive, scratch: Path) -> None:
    class Large(Archive):
        def pieces(self) -> Iterator[bytes]:  # type: ignore[override]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(BackupError, match=r"cannot be written to \S+ \(TMPDIR\): No space left on device"):
        try_backup(Large(**vars(archive)))
    assert list(scratch.iterdir()) == []


def test_one_that_etcd_cannot_use_is_told_in_a_line(archive: Archive, scratch: Path) -> None:
    class Other(Archive):
        def pieces(self) -> Iterator[bytes]:  # type: ignore[override]
            yield b"no database at all" * 100

    other = Other(**vars(archive))
    with pytest.raises(BackupError, match="makes no etcd of its snapshot") as raised:
        try_backup(other)
    assert "\n" not in str(raised.value)
    assert list(scratch.iterdir()) == []


def test_one_of_a_newer_etcd_is_not_tried(archive: Archive) -> None:
    newer = replace(archive, about=replace(archive.about, etcd="9.1.0"))
    with pytest.raises(BackupError, match=r"etcd 9\.1\.0"):
        try_backup(newer)


def test_one_without_the_authorities_is_not_tried(archive: Archive) -> None:
    with pytest.raises(BackupError, match="authorities"):
        try_backup(replace(archive, folder={}))


def test_one_that_ends_before_its_revision_is_refused(archive: Archive) -> None:
    late = replace(archive, end=replace(archive.end, revision=10**6), _open=archive._open)

    class Late(Archive):
        def pieces(self) -> Iterator[bytes]:  # type: ignore[override]
            return archive.pieces()

    with pytest.raises(BackupError, match="ends at revision"):
        try_backup(Late(**vars(late)))


def test_a_host_without_etcd_says_what_is_needed(archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="etcd is not installed on this host"):
        try_backup(archive)


def test_what_steers_etcd_on_this_host_does_not_steer_the_trial(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_DATA_DIR", "/nonexistent")
    monkeypatch.setenv("ETCDCTL_API", "2")
    assert try_backup(archive).objects == OBJECTS
