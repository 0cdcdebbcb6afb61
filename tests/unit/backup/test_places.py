"""Where backups are kept: whole or not at all, on disks and in stores, and never over another."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pyrage
import pytest
from doubles.backups import Snapshot

from kube_provision_core.backup import About, Keys, Place, Recipients, clear, file_name, keep, place
from kube_provision_core.backup.places import Remote
from kube_provision_core.backup.reader import check_backup
from kube_provision_core.contract.errors import BackupError, ControlPlaneError

NOW = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
KEY = pyrage.x25519.Identity.generate()
TO = Recipients((str(KEY.to_public()),))
FILES = {"folder/cluster.json": b"{}"}
CONTENT = os.urandom(300_000)


def about(created: datetime = NOW, cluster: str = "prod") -> About:
    return About(cluster, "47d7b307-952d-482d-b82e-4eb4f0a8c043", "1.37.1", "3.6.8", created, {})


@pytest.fixture(params=["disk", "store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Its name, as people write it."""
    if request.param == "disk":
        yield str(tmp_path)
        return
    store = fsspec.filesystem("memory")
    store.makedirs("/backups")
    yield "memory://backups"
    store.rm("/backups", recursive=True)


def names(folder: str) -> list[str]:
    return sorted(place(folder).names())


def trouble(where: Place, snapshot: Snapshot) -> str:
    with pytest.raises(BackupError) as raised:
        keep(where, TO, about(), FILES, snapshot)
    assert "\n" not in str(raised.value)
    return str(raised.value)


class Breaks(Snapshot):
    def __iter__(self) -> Iterator[bytes]:
        yield self.content[:100_000]
        raise ControlPlaneError("etcd is gone")


def test_what_is_kept_is_what_its_recipients_read(folder: str) -> None:
    where = place(f"{folder}/prod.age")
    end = keep(where, TO, about(), FILES, Snapshot(CONTENT))
    with where.open() as source:
        checked = check_backup(source, Keys((KEY,)))
    assert (checked.about, checked.files, checked.end) == (about(), FILES, end)
    assert names(folder) == ["prod.age"]


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
@pytest.mark.parametrize("umask", [0o277, 0])
def test_on_a_disk_it_is_its_owners_alone_whatever_the_umask_is(tmp_path: Path, umask: int, scheme: str) -> None:
    before = os.umask(umask)
    try:
        keep(place(f"{scheme}{tmp_path}/prod.age"), TO, about(), FILES, Snapshot(CONTENT))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "prod.age").stat().st_mode) == 0o600


def test_with_a_passphrase_alone_it_can_be_read_back_too(folder: str) -> None:
    where = place(f"{folder}/prod.age")
    keep(where, Recipients((), "correct horse"), about(), FILES, Snapshot(CONTENT))
    with where.open() as source:
        assert check_backup(source, Keys((), lambda: "correct horse")).about == about()


def test_nothing_is_written_over_what_is_there(folder: str) -> None:
    where = place(f"{folder}/prod.age")
    keep(where, TO, about(), FILES, Snapshot(CONTENT))
    with where.open() as source:
        before = source.read(10_000_000)
    assert "exists already" in trouble(where, Snapshot(b"another" * 10))
    with where.open() as source:
        assert source.read(10_000_000) == before
    assert names(folder) == ["prod.age"]


def test_what_appears_meanwhile_stays(folder: str) -> None:
    where = place(f"{folder}/prod.age")

    class Slow(Snapshot):
        def __iter__(self) -> Iterator[bytes]:
            with where.create() as sink:
                sink.write(b"of somebody else")
            yield self.content

    assert "exists already" in trouble(where, Slow(CONTENT))
    assert names(folder) == ["prod.age"]


def test_what_appears_at_the_last_moment_stays_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last look, and before the name is given."""
    taken = tmp_path / "prod.age"
    real = Place.refuse_existing

    def look_too_early(self: Place) -> None:
        real(self)
        if list(tmp_path.iterdir()):
            taken.write_text("of somebody else")

    monkeypatch.setattr(Place, "refuse_existing", look_too_early)
    assert trouble(place(str(taken)), Snapshot(CONTENT)) == f"{taken}: File exists"
    assert names(str(tmp_path)) == ["prod.age"]
    assert taken.read_text() == "of somebody else"


def test_where_files_have_but_one_name_one_is_kept_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    keep(place(str(tmp_path / "prod.age")), TO, about(), FILES, Snapshot(CONTENT))
    assert names(str(tmp_path)) == ["prod.age"]


def test_one_that_breaks_off_leaves_nothing(folder: str) -> None:
    with pytest.raises(ControlPlaneError, match="etcd is gone"):
        keep(place(f"{folder}/prod.age"), TO, about(), FILES, Breaks(CONTENT))
    assert names(folder) == []


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_leaves_nothing(folder: str, problem: type[BaseException]) -> None:
    class Interrupted(Snapshot):
        def __iter__(self) -> Iterator[bytes]:
            yield self.content[:100_000]
            raise problem

    with pytest.raises(problem):
        keep(place(f"{folder}/prod.age"), TO, about(), FILES, Interrupted(CONTENT))
    assert names(folder) == []


def test_a_store_is_known_to_end_with_the_program_also_behind_another_one(tmp_path: Path) -> None:
    within = fsspec.filesystem("dir", path="/backups", fs=fsspec.filesystem("memory"))
    with pytest.raises(BackupError, match=r"^it is in this program.s memory"):
        Place(Remote(within, ""), "prod.age", "it").refuse_passing()
    beside = fsspec.filesystem("dir", path=str(tmp_path), fs=fsspec.filesystem("file"))
    Place(Remote(beside, ""), "prod.age", "it").refuse_passing()
    place(str(tmp_path / "prod.age")).refuse_passing()


KILLED = """
import sys, time
from datetime import UTC, datetime
from kube_provision_core.backup import About, Recipients, keep, place
from kube_provision_core.cli.interrupt import terminate_as_interrupt

class Slow:
    size, revision = 1_000_000, 42
    def __iter__(self):
        yield b"x" * 900_000
        print("begun", flush=True)
        time.sleep(600)

about = About("prod", "id", "1.37.1", "3.6.8", datetime.now(UTC), {})
with terminate_as_interrupt():
    keep(place(sys.argv[1]), Recipients((sys.argv[2],)), about, {}, Slow())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_nothing_that_looks_like_one(tmp_path: Path, number: signal.Signals) -> None:
    """Nor does a run that could still act: only what was begun under a name of its own may stay, encrypted."""
    command = [sys.executable, "-c", KILLED, str(tmp_path / "prod.age"), *TO.names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"begun\n"
            process.send_signal(number)
            assert process.wait(120) != 0
        finally:
            process.kill()
    left = list(tmp_path.iterdir())
    if number is not signal.SIGKILL:
        assert left == []
        return
    (unfinished,) = left
    assert unfinished.name.startswith(".kube-provision.prod.age.")
    assert stat.S_IMODE(unfinished.stat().st_mode) == 0o600
    assert b"x" * 1000 not in unfinished.read_bytes()


def test_what_the_disk_has_changed_is_noticed_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(str(tmp_path / "prod.age"))
    real = Place.open

    def spoilt(self: Place) -> object:
        (file,) = tmp_path.iterdir()
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        return real(self)

    monkeypatch.setattr(Place, "open", spoilt)
    assert "not whole" in trouble(where, Snapshot(CONTENT))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_a_line() -> None:
    """That of /dev/full, as it is on every Linux."""
    with pytest.raises(BackupError, match="/dev/full: No space left on device"):
        _write_to_full()


def _write_to_full() -> None:
    from contextlib import contextmanager
    from dataclasses import dataclass

    from kube_provision_core.backup.places import Disk

    @dataclass(frozen=True)
    class Full(Disk):
        @contextmanager
        def create(self, name: str) -> Iterator[object]:
            with Path("/dev/full").open("wb", buffering=0) as file:
                yield file

    with Place(Full(Path("/dev")), "full", "/dev/full").create() as sink:
        sink.write(b"x")


# --- which there are ----------------------------------------------------------------------------------------------------


def made(folder: str, *names: str) -> None:
    for name in names:
        with place(folder).below(name).create() as sink:
            sink.write(b"x")


def names_of(*days: int) -> list[str]:
    return [file_name(about(NOW + timedelta(days=day))) for day in days]


def test_the_newest_of_a_cluster_are_kept_and_nothing_else_is_touched(folder: str) -> None:
    again = replace(about(), cluster_id="5d1c0c1e-34f5-4c8c-a8d5-52f5a1a7f8a0")
    others = [*map(file_name, (about(cluster="prod-2"), about(cluster="pro"), again)), "prod.age", "prod-1.age"]
    others += [f"{name}.old" for name in names_of(-9)] + [f"a-{name}" for name in names_of(-9)]
    made(folder, *names_of(0, -1, -2, -3, -4), *others)
    assert clear(place(folder), about(), 2) == tuple(names_of(-4, -3, -2))
    assert names(folder) == sorted([*others, *names_of(-1, 0)])
    assert clear(place(folder), about(), 2) == ()


def test_one_that_was_just_made_stays_also_where_clocks_were_ahead(folder: str) -> None:
    made(folder, *names_of(0, 1, 2))
    assert clear(place(folder), about(), 2) == tuple(names_of(1))
    assert clear(place(folder), about(), 1) == tuple(names_of(2))
    assert names(folder) == names_of(0)


def test_what_a_killed_run_has_left_goes_a_day_later(folder: str) -> None:
    day_before, now = "20261127T083000Z", "20261129T073000Z"
    stamps = (day_before, now, "20261399T999999Z")
    left = [f".kube-provision.prod-47d7b307-{stamp}.age.0123456789ab" for stamp in stamps]
    left.append(f".kube-provision.prod-5d1c0c1e-{day_before}.age.0123456789ab")
    made(folder, *left)
    assert clear(place(folder), about(), 1) == ()
    assert names(folder) == sorted(left[1:])


def test_a_folder_is_no_file_and_a_file_no_folder(folder: str) -> None:
    assert "is a folder" in trouble(place(folder), Snapshot(CONTENT))
    keep(place(f"{folder}/prod.age"), TO, about(), FILES, Snapshot(CONTENT))
    place(folder).require_folder()
    with pytest.raises(BackupError, match="is no folder"):
        place(f"{folder}/prod.age").require_folder()


def test_a_folder_of_a_store_need_not_be_there_and_one_of_a_disk_does(folder: str) -> None:
    """Most stores have none; a disk that is not mounted has none either."""
    where = place(f"{folder}/nightly")
    if "://" in folder:
        where.require_folder()
        keep(where.below("prod.age"), TO, about(), FILES, Snapshot(CONTENT))
        assert where.names() == ["prod.age"]
        return
    with pytest.raises(BackupError, match="is no folder"):
        where.require_folder()
    assert names(folder) == []


@pytest.mark.parametrize("within", ["prod.age", "pki/prod.age", "", "../state/prod.age"])
def test_the_clusters_folder_is_no_place_for_one(tmp_path: Path, within: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "link").symlink_to(state)
    for folder in (state, tmp_path / "link"):
        with pytest.raises(BackupError, match="is in the cluster's folder"):
            place(f"{folder}/{within}").refuse_inside(state)
    place(str(tmp_path / "prod.age")).refuse_inside(state)
    place("memory://prod.age").refuse_inside(state)


def test_what_is_not_there_is_told_in_a_line(folder: str) -> None:
    where = place(f"{folder}/none.age")
    with pytest.raises(BackupError, match=r"none\.age: No such file or directory") as raised, where.open():
        pass
    assert "\n" not in str(raised.value)


# --- URLs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "sftp://operator:hunter2@host/backups",
        "https://hunter2@host/prod.age",
        "https://host/prod.age?X-Amz-Signature=hunter2",
        "memory://backups/prod.age?token=hunter2",
        "s3://hunter2@[bucket/prod.age",
    ],
)
def test_no_secret_stands_in_a_url(url: str) -> None:
    """Plans, errors and reports show where a backup lies."""
    with pytest.raises(BackupError, match="where others see it") as raised:
        place(url)
    assert "hunter2" not in str(raised.value)


def test_a_user_who_logs_in_may_stand_in_a_url() -> None:
    assert place("memory://operator@backups/prod.age").text == "memory://operator@backups/prod.age"


@pytest.mark.parametrize("url", ["nonsense://host/file", "gs://bucket/file"])
def test_a_store_that_cannot_be_used_is_told_in_a_line(url: str) -> None:
    """Unknown, or known and without its own library."""
    with pytest.raises(BackupError, match="fsspec cannot use") as raised:
        place(url)
    assert "\n" not in str(raised.value)


def test_without_fsspec_a_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(BackupError, match=r"kube-provision\[urls\]"):
        place("memory://backups/prod.age")


def test_a_path_needs_no_fsspec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert place(str(tmp_path)).is_folder
