"""The folder of secrets: made whole, read by its owner alone, changed by one run at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from doubles.umask import umask

from kube_provision_core.contract.errors import FolderError
from kube_provision_core.folder.on_disk import FilesOnDisk, default_state
from kube_provision_core.folder.pki import PKI_FILES, create_pki
from kube_provision_core.folder.store import Folder

MAKERS = {"consul_encrypt": lambda: "gossip"}

EVERY_FILE = ("cluster.json", "secrets.json", *(f"pki/{file}" for file in PKI_FILES))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.create(tmp_path_factory.mktemp("original"), "prod", MAKERS)


@pytest.fixture
def folder(state: Path, original: Folder) -> Folder:
    """A copy of a folder, which is quicker than a new one."""
    state.mkdir()
    shutil.copytree(original.path, state / "prod")
    return replace(original, files=FilesOnDisk(state / "prod"))


def opened(state: Path) -> Folder:
    folder = Folder.open(state, "prod")
    assert folder is not None
    return folder


def modes(path: Path) -> dict[str, str]:
    return {str(item.relative_to(path)): f"{item.stat().st_mode & 0o7777:o}" for item in (path, *path.rglob("*"))}


# --- where ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/me"}, "/home/me/.local/state/kube-provision"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "/data"}, "/data/kube-provision"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": ""}, "/home/me/.local/state/kube-provision"),
        ({"HOME": "/home/me", "XDG_STATE_HOME": "relative"}, "/home/me/.local/state/kube-provision"),
    ],
)
def test_the_default_state_follows_the_xdg_rules(environ: dict[str, str], expected: str) -> None:
    assert default_state(environ) == Path(expected)


@pytest.mark.parametrize("name", ["", "..", "a/b", "-a", "A", "a.b", "a\n"])
def test_a_name_that_could_lead_elsewhere_is_refused(state: Path, name: str) -> None:
    with pytest.raises(FolderError, match="DNS label"):
        Folder.open(state, name)


# --- made and read -------------------------------------------------------------------------------------------------


def test_there_is_none_before_one_is_made(state: Path) -> None:
    assert Folder.open(state, "prod") is None


def test_what_was_made_is_what_is_read(state: Path, folder: Folder) -> None:
    assert opened(state) == folder
    assert folder.generated == {"consul_encrypt": "gossip"}
    assert folder.join_secrets().token == folder.token


def test_two_clusters_share_nothing(state: Path, folder: Folder) -> None:
    other = Folder.create(state, "other", MAKERS)
    assert other.cluster_id != folder.cluster_id
    assert other.token != folder.token
    assert other.pki != folder.pki


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_nobody_else_may_read_anything_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        folder = Folder.create(tmp_path, "prod", MAKERS)
        folder.mark_initialised()
        folder.write_kubeconfig("10.0.0.1")
    folders = {".", "pki", "pki/etcd"}
    assert modes(folder.path) == {
        item: "700" if item in folders else "600" for item in (*folders, *EVERY_FILE, "initialised", "kubeconfig")
    }


def test_a_new_state_folder_is_closed_to_others_too(state: Path) -> None:
    with umask(0):
        Folder.create(state, "prod", MAKERS)
    assert f"{state.stat().st_mode & 0o777:o}" == "700"


def test_a_draft_is_in_memory_only(state: Path) -> None:
    draft = Folder.draft(state, "prod", MAKERS)
    assert not draft.saved
    assert not state.exists()


def test_a_saved_draft_is_a_folder(state: Path) -> None:
    draft = Folder.draft(state, "prod", MAKERS)
    draft.save()
    assert opened(state) == draft


def test_an_existing_folder_is_never_replaced(state: Path, folder: Folder) -> None:
    with pytest.raises(FolderError):
        Folder.create(state, "prod", MAKERS)
    assert opened(state) == folder


def test_a_draft_does_not_overwrite_a_folder_made_meanwhile(state: Path) -> None:
    draft = Folder.draft(state, "prod", MAKERS)
    meanwhile = Folder.create(state, "prod", MAKERS)
    with pytest.raises(FolderError):
        draft.save()
    assert opened(state) == meanwhile


def test_of_many_creators_at_once_one_wins(state: Path) -> None:
    barrier = Barrier(8)

    def create(_: int) -> str | None:
        draft = Folder.draft(state, "prod", MAKERS)
        barrier.wait(60)
        try:
            draft.save()
        except FolderError:
            return None
        return draft.cluster_id

    with ThreadPoolExecutor(8) as pool:
        winners = [winner for winner in pool.map(create, range(8)) if winner]
    assert winners == [opened(state).cluster_id]


KILLED_AT_EACH_SYNC = """
import os, signal, sys
from pathlib import Path
from kube_provision_core.folder.store import Folder
from kube_provision_core.folder.pki import create_pki

state, pki = Path(sys.argv[1]), create_pki("prod")
for nth in range(1, 40):
    child = os.fork()
    if child == 0:
        calls, sync = [], os.fsync
        def fsync(descriptor):
            calls.append(descriptor)
            if len(calls) == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            sync(descriptor)
        os.fsync = fsync
        with Folder.lock(state / str(nth), "prod"):
            Folder.create(state / str(nth), "prod", {})
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print(nth)
        break
"""


def test_a_killed_run_leaves_nothing_or_a_whole_folder_and_the_next_one_clears_up(state: Path) -> None:
    arguments = [sys.executable, "-c", KILLED_AT_EACH_SYNC, str(state)]
    syncs = int(subprocess.run(arguments, capture_output=True, check=True, timeout=60).stdout)
    assert syncs > len(EVERY_FILE), "a kill at every file, and later"
    whole = 0
    for nth in range(1, syncs):
        killed = state / str(nth)
        found = Folder.open(killed, "prod")
        whole += found is not None
        with Folder.lock(killed, "prod"):
            if found is None:
                Folder.create(killed, "prod", {})
        assert sorted(item.name for item in killed.iterdir()) == ["prod"]
    assert whole == 1, "only the last sync comes after the folder is in its place"


KILLED_AT_THE_FIRST_SYNC = """
import os, signal, sys
from pathlib import Path
from kube_provision_core.folder.store import Folder

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
Folder.open(Path(sys.argv[1]), "prod").write_kubeconfig("10.0.0.1")
"""


def test_what_a_killed_run_had_begun_to_replace_is_cleared_away(state: Path) -> None:
    folder = Folder.create(state, "prod", MAKERS)
    before = {item.name for item in folder.path.iterdir()}
    subprocess.run([sys.executable, "-c", KILLED_AT_THE_FIRST_SYNC, str(state)], check=False, timeout=60)
    assert len(set(folder.path.iterdir())) == len(before) + 1
    (folder.path / ".notes.txt").write_text("the operator's own")
    with Folder.lock(state, "prod"):
        assert {item.name for item in folder.path.iterdir()} == before | {".notes.txt"}


def test_a_state_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=re.escape(f"{tmp_path / 'file'}/prod: Not a directory")):
        Folder.create(tmp_path / "file", "prod", MAKERS)


def test_a_failed_write_leaves_nothing_behind(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FolderError, match="No space left on device"):
        Folder.create(state, "prod", MAKERS)
    assert list(state.iterdir()) == []


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", ["", "pki", "pki/etcd", *EVERY_FILE])
def test_what_others_may_read_is_refused_with_the_command_that_mends_it(state: Path, folder: Folder, item: str) -> None:
    path = folder.path / item
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(FolderError, match=rf"{re.escape(str(path))} may be read by others .*: run `chmod -R go-rwx "):
        opened(state)


@pytest.mark.parametrize("item", ["", "pki", "cluster.json", "pki/ca.key"])
def test_what_belongs_to_another_user_is_refused(
    state: Path, folder: Folder, item: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = (folder.path / item).stat()
    monkeypatch.setattr(os, "geteuid", lambda: status.st_uid + 1)
    with pytest.raises(FolderError, match="belongs to another user"):
        opened(state)


@pytest.mark.parametrize("item", EVERY_FILE)
def test_a_missing_file_is_named(state: Path, folder: Folder, item: str) -> None:
    (folder.path / item).unlink()
    with pytest.raises(FolderError, match=f"{re.escape(str(folder.path / item))} is missing"):
        opened(state)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"format": "1", "name": 1}', b'{"token'])
@pytest.mark.parametrize("item", ["cluster.json", "secrets.json"])
def test_a_damaged_document_is_named(state: Path, folder: Folder, item: str, content: bytes) -> None:
    (folder.path / item).write_bytes(content)
    with pytest.raises(FolderError, match=f"{re.escape(str(folder.path / item))} is damaged"):
        opened(state)


@pytest.mark.parametrize("item", PKI_FILES)
def test_a_damaged_pki_file_is_named(state: Path, folder: Folder, item: str) -> None:
    (folder.path / "pki" / item).write_bytes(b"rubbish")
    with pytest.raises(FolderError, match=re.escape(str(folder.path / "pki" / item))):
        opened(state)


def test_a_pki_file_of_another_cluster_is_refused(state: Path, folder: Folder) -> None:
    (folder.path / "pki" / "ca.crt").write_bytes(create_pki("other").ca)
    with pytest.raises(FolderError, match="not made for each other"):
        opened(state)


def test_no_error_shows_a_secret(state: Path, folder: Folder) -> None:
    path = folder.path / "secrets.json"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(FolderError) as raised:
        opened(state)
    assert folder.token not in f"{raised.value} {raised.value.__cause__}"


def test_no_repr_shows_a_secret(folder: Folder) -> None:
    shown = repr(folder)
    assert folder.cluster_id in shown
    assert not any(secret in shown for secret in (folder.token, folder.certificate_key, "gossip", "PRIVATE"))


@pytest.mark.parametrize("item", ["", "pki", "pki/etcd", "cluster.json", "pki/ca.key"])
def test_a_symbolic_link_is_never_followed(state: Path, folder: Folder, item: str, tmp_path: Path) -> None:
    path = folder.path / item
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match="symbolic link"):
        opened(state)


def test_a_dangling_link_is_not_taken_for_no_folder(state: Path, tmp_path: Path) -> None:
    state.mkdir()
    (state / "prod").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="symbolic link"):
        Folder.open(state, "prod")


def test_a_pipe_in_a_files_place_does_not_make_us_wait(state: Path, folder: Folder) -> None:
    (folder.path / "cluster.json").unlink()
    os.mkfifo(folder.path / "cluster.json", 0o600)
    with pytest.raises(FolderError, match="no plain file"):
        opened(state)


@pytest.mark.parametrize("file", [*EVERY_FILE, "history.jsonl"])
def test_a_folder_in_a_files_place_is_told_with_what_mends_it(state: Path, folder: Folder, file: str) -> None:
    path = folder.path / file
    path.unlink(missing_ok=True)
    path.mkdir(0o700)
    with pytest.raises(FolderError, match=rf"{re.escape(str(path))} is no plain file: restore it"):
        opened(state).history.read()


def test_a_renamed_folder_is_not_taken_for_another_clusters(state: Path, folder: Folder) -> None:
    folder.path.rename(state / "other")
    with pytest.raises(FolderError, match="of cluster prod, not of other"):
        Folder.open(state, "other")


def test_a_folder_of_a_later_version_is_refused(state: Path, folder: Folder) -> None:
    path = folder.path / "cluster.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(FolderError, match="later version"):
        opened(state)


def test_a_folder_rebuilt_by_hand_from_a_master_is_a_folder(state: Path, folder: Folder) -> None:
    """As its page has described it for long."""
    for file in ("cluster.json", "secrets.json"):
        (folder.path / file).unlink()
    (folder.path / "cluster.json").write_text(json.dumps({"format": 1, "name": "prod", "cluster_id": folder.cluster_id}))
    (folder.path / "secrets.json").write_text(
        '{"token": "", "certificate_key": "", "generated": {"consul_encrypt": "gossip"}}'
    )
    (folder.path / "initialised").touch()
    subprocess.run(["chmod", "-R", "go-rwx", folder.path], check=True, timeout=60)
    rebuilt = opened(state)
    assert rebuilt.initialised
    assert (rebuilt.cluster_id, rebuilt.pki, rebuilt.generated) == (folder.cluster_id, folder.pki, folder.generated)


# --- changed -------------------------------------------------------------------------------------------------------


def test_the_mark_of_initialisation_stays(state: Path, folder: Folder) -> None:
    assert not folder.initialised
    folder.mark_initialised()
    folder.mark_initialised()
    assert opened(state).initialised


def test_a_value_that_is_needed_later_is_made_and_kept_and_old_ones_stay(state: Path, folder: Folder) -> None:
    folder.complete({"consul_encrypt": lambda: "another", "later": lambda: "made"}).save()
    assert opened(state).generated == {"consul_encrypt": "gossip", "later": "made"}
    assert opened(state).token == folder.token


def test_the_kubeconfig_is_replaced_in_one_step(folder: Folder) -> None:
    first = folder.write_kubeconfig("10.0.0.1")
    assert first
    with first.open() as old:
        assert folder.write_kubeconfig("10.0.0.2") == first
        assert "10.0.0.1" in old.read()
    assert "https://10.0.0.2:6443" in first.read_text()
    assert not [item for item in folder.path.iterdir() if item.name.startswith(".")]


def test_what_stands_in_a_files_place_is_named(folder: Folder) -> None:
    (folder.path / "kubeconfig").mkdir()
    with pytest.raises(FolderError, match="/kubeconfig cannot be written: Is a directory"):
        folder.write_kubeconfig("10.0.0.1")


def test_a_kubeconfig_that_is_a_link_is_replaced_and_not_followed(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (folder.path / "kubeconfig").symlink_to(tmp_path / "mine")
    written = folder.write_kubeconfig("10.0.0.1")
    assert written
    assert not written.is_symlink()
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_archived_folder_makes_room_for_the_next_cluster(state: Path, folder: Folder) -> None:
    aside = Path(folder.archive())
    assert re.fullmatch(r"prod\.destroyed-\d{8}T\d{6}Z", aside.name)
    assert sorted(modes(aside)) == sorted([".", "pki", "pki/etcd", *EVERY_FILE])
    assert Folder.open(state, "prod") is None


def test_folders_archived_in_one_second_do_not_meet(state: Path) -> None:
    archived = {Folder.create(state, "prod", MAKERS).archive() for _ in range(3)}
    assert len(archived) == 3


def test_archiving_what_is_gone_says_so(folder: Folder) -> None:
    folder.archive()
    with pytest.raises(FolderError, match="No such file"):
        folder.archive()


class TestARestoration:
    """What the folder says of it, from the first thing that is destroyed to the cluster that lives."""

    def test_begins_with_what_is_left_of_the_cluster_which_has_lived(self, state: Path, folder: Folder) -> None:
        folder.mark_initialised()
        folder.begin_abandoning("ab" * 32)
        found = opened(state)
        assert (found.abandoning, found.restoring, found.initialised) == ("ab" * 32, "", True)

    def test_goes_on_with_what_is_made(self, state: Path, folder: Folder) -> None:
        folder.mark_initialised()
        folder.note_carrier("m-prod-1")
        folder.begin_abandoning("ab" * 32)
        folder.begin_restore("ab" * 32)
        found = opened(state)
        assert (found.abandoning, found.restoring, found.initialised, found.carrier) == ("", "ab" * 32, False, "")

    def test_of_masters_alone_is_told_from_one_of_all(self, state: Path, folder: Folder) -> None:
        assert not folder.masters_only
        folder.begin_abandoning("ab" * 32, masters_only=True)
        found = opened(state)
        assert (found.abandoning, found.restoring, found.masters_only) == ("ab" * 32, "", True)
        folder.begin_restore("ab" * 32, masters_only=True)
        found = opened(state)
        assert (found.abandoning, found.restoring, found.masters_only) == ("", "ab" * 32, True)
        folder.begin_restore("ab" * 32)
        assert not opened(state).masters_only
        assert opened(state).restoring == "ab" * 32

    def test_ends(self, state: Path, folder: Folder) -> None:
        assert (folder.abandoning, folder.restoring) == ("", "")
        folder.begin_restore("ab" * 32)
        folder.end_restore()
        folder.end_restore()
        assert (folder.abandoning, folder.restoring) == ("", "")


def test_who_may_initialise_is_noted_by_name(state: Path, folder: Folder) -> None:
    assert folder.carrier == ""
    for _ in range(2):
        folder.note_carrier("m-prod-1")
    again = Folder.open(state, "prod")
    assert again is not None
    assert again.carrier == "m-prod-1"
    assert modes(folder.path)["carrier"] == "600"
