"""One folder in stores as they are: of S3, of SFTP, on a disk. Of two writers one wins, whoever is cut off."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import fsspec
import pytest
from doubles.states import sealed
from servers.cutting import Cutting, cutting
from servers.s3 import CREDENTIALS, s3_server
from servers.sftp import SftpServer, sftp_server

from kube_provision_core.contract.errors import BackupError, BusyError, FolderError, StateError
from kube_provision_core.folder.store import Folder
from kube_provision_core.state import entries, prune, push, rotate, verify
from kube_provision_core.state.stores import store_of

BUCKET = "team-state"


@dataclass
class Place:
    url: str
    way: Cutting | None
    """None: there is no wire that could be cut."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cutting]]:
    """A bucket, by way of what may cut it off."""
    with s3_server() as port, cutting(port) as way, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way.port}")
        patch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"retries": {"max_attempts": 1}}})
        fsspec.filesystem("s3").mkdir(BUCKET)
        yield f"s3://{BUCKET}", way


@pytest.fixture(scope="module")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cutting]]:
    folder = tmp_path_factory.mktemp("sftp")
    with sftp_server(folder) as server, cutting(server.port) as way, pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "sftp", _client(server))
        yield f"sftp://{getpass.getuser()}@127.0.0.1:{way.port}{folder}", way


def _client(server: SftpServer) -> dict[str, object]:
    return {
        "key_filename": str(server.key),
        "look_for_keys": False,
        "allow_agent": False,
        "host_key_policy": "auto_add",
        "banner_timeout": 120,
        "auth_timeout": 120,
    }


@pytest.fixture(params=["s3", "sftp", "disk"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "disk":
        yield Place(f"file://{tmp_path}/store", None)
        return
    url, way = request.getfixturevalue(request.param)
    yield Place(f"{url}/{uuid4()}", way)
    way.after, way.unanswered = None, b""


def test_what_one_operator_has_written_another_one_reads(place: Place, tmp_path: Path) -> None:
    mine, theirs = sealed(place.url, tmp_path / "mine"), sealed(place.url, tmp_path / "theirs")
    assert Folder.open(theirs, "prod") is None
    folder = Folder.create(mine, "prod", {"consul_encrypt": lambda: "gossip"})
    folder.mark_initialised()
    found = Folder.open(theirs, "prod")
    assert found
    assert (found.cluster_id, found.pki, found.generated) == (folder.cluster_id, folder.pki, folder.generated)
    assert found.initialised
    assert [it.changed for it in entries(theirs, "prod")] == ["created", "initialised"]
    assert verify(theirs, "prod") == ([1, 2], [])
    assert rotate(theirs, "prod") == 3
    assert prune(theirs, "prod") == 2
    assert verify(mine, "prod") == ([3], [])


def test_nothing_of_it_lies_there_in_clear(place: Place, tmp_path: Path) -> None:
    state = sealed(place.url, tmp_path / "mine")
    folder = Folder.create(state, "prod", {"consul_encrypt": lambda: "of-the-gossip"})
    (name,) = store_of(place.url, "prod").names()
    content = store_of(place.url, "prod").read(name)
    assert name == "00000001.age"
    assert not any(word in content for word in (b"of-the-gossip", b"PRIVATE", folder.cluster_id.encode(), b"prod"))
    local = [path.read_bytes() for path in (tmp_path / "mine").rglob("*") if path.is_file()]
    assert not any(b"PRIVATE" in text or b"gossip" in text for text in local)


def test_of_many_who_create_a_cluster_at_once_one_wins(place: Place, tmp_path: Path) -> None:
    """Or there were two authorities."""
    barrier = Barrier(4)

    def create(number: int) -> str | BusyError:
        draft = Folder.draft(sealed(place.url, tmp_path / str(number)), "prod", {})
        assert not draft.saved
        barrier.wait(120)
        try:
            draft.save()
        except BusyError as lost:
            return lost
        return draft.cluster_id

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(create, range(4)))
    found = Folder.open(sealed(place.url, tmp_path / "another"), "prod")
    assert found
    assert [it for it in ended if isinstance(it, str)] == [found.cluster_id]
    for lost in ended:
        if isinstance(lost, BusyError):
            assert "has written number 1 at 20" in str(lost)
            assert str(lost).endswith("Nothing was changed by this run: run again")


def test_a_run_that_begins_loses_to_one_that_has_begun_meanwhile(place: Place, tmp_path: Path) -> None:
    Folder.create(sealed(place.url, tmp_path / "mine"), "prod", {})
    mine, theirs = (Folder.open(sealed(place.url, tmp_path / who), "prod") for who in ("mine", "theirs"))
    assert mine
    assert theirs
    theirs.save()
    with pytest.raises(BusyError, match="has written number 2 at "):
        mine.save()
    theirs.mark_initialised()
    assert verify(sealed(place.url, tmp_path / "mine"), "prod") == ([1, 2, 3], [])


def test_no_folder_takes_the_place_of_another_clusters(place: Place, tmp_path: Path) -> None:
    kept = Folder.create(sealed(place.url, tmp_path / "mine"), "prod", {})
    Folder.create(tmp_path / "disk", "prod", {})
    with pytest.raises(FolderError, match=f"another cluster .{kept.cluster_id}. of this name already: nothing was changed"):
        push(sealed(place.url, tmp_path / "mine"), "prod", tmp_path / "disk")


def test_an_answer_that_is_lost_is_no_loss(s3: tuple[str, Cutting], tmp_path: Path) -> None:
    """The object is there, whoever says that its name is taken: it is this run's own."""
    url, way = f"{s3[0]}/{uuid4()}", s3[1]
    state = sealed(url, tmp_path / "mine")
    folder = Folder.create(state, "prod", {})
    before = way.lost
    way.unanswered = b"PUT"
    folder.mark_initialised()
    assert way.lost == before + 1
    assert verify(state, "prod") == ([1, 2], [])


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_a_writer_who_is_cut_off_anywhere_leaves_a_whole_number_or_none(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the handshake, in the file, or after it."""
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    url, way = request.getfixturevalue(kind)
    state = sealed(f"{url}/{uuid4()}", tmp_path / "mine")
    folder = Folder.create(state, "prod", {})
    ended = set()
    try:
        for after in (500, 3_000, 6_000, 9_000, 40_000):
            way.after = after
            try:
                folder.files.change({"known": str(after).encode()})
                ended.add("written")
            except StateError:
                ended.add("cut off")
            way.after = None
            reopened = Folder.open(state, "prod")
            assert reopened
            folder = reopened
    finally:
        way.after = None
    assert ended == {"written", "cut off"}
    numbers, faults = verify(state, "prod")
    assert (numbers, faults) == (list(range(1, len(numbers) + 1)), [])


def test_a_server_that_is_gone_is_told_in_a_line_and_is_no_empty_store(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    with sftp_server(tmp_path / "keys") as server, pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec.config.conf, "sftp", _client(server))
        url = f"sftp://{getpass.getuser()}@127.0.0.1:{server.port}{tmp_path}"
        Folder.create(sealed(url, tmp_path / "mine"), "prod", {})
    with pytest.raises(StateError) as told:
        Folder.open(sealed(url, tmp_path / "theirs"), "prod")
    assert str(told.value).startswith(url)
    assert "\n" not in str(told.value)


def test_an_sftp_server_is_believed_by_the_files_of_known_hosts(
    sftp: tuple[str, Cutting], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is said of who asks."""
    url, way = sftp
    monkeypatch.setitem(fsspec.config.conf, "sftp", _without_policy())
    monkeypatch.setenv("HOME", str(tmp_path))
    store = store_of(f"{url}/{uuid4()}", "prod")
    with pytest.raises(BackupError, match=r"known_hosts does not have: connect once by sftp"):
        store.names()
    known = tmp_path / ".ssh/known_hosts"
    known.parent.mkdir()
    folder = Path(url.partition(f":{way.port}")[2])
    known.write_text(f"[127.0.0.1]:{way.port} {(folder / 'host.pub').read_text()}")
    assert store.names() == []
    known.write_text(f"[127.0.0.1]:{way.port} {(folder / 'user.pub').read_text()}")
    with pytest.raises(BackupError, match=r"known_hosts has another one: somebody may be in between"):
        store.names()


def _without_policy() -> dict[str, object]:
    return {name: value for name, value in fsspec.config.conf["sftp"].items() if name != "host_key_policy"}
