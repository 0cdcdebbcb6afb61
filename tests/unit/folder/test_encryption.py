"""Keys of Secrets at rest: which of them API servers have on the way from one to the next, and where they are kept."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from kube_provision_core.contract.errors import FolderError
from kube_provision_core.folder.encryption import (
    ENCRYPTION,
    Encryption,
    Stage,
    create_encryption,
    encryption_document,
    read_encryption,
)
from kube_provision_core.folder.store import Folder

KEYS = create_encryption()
WRITTEN = json.loads(encryption_document(KEYS))


def files_of(folder: Folder) -> dict[str, bytes]:
    return {name: folder.files.read(name) for name in folder.files.names()}


def test_a_new_one_is_first_read_with_then_written_with_and_then_alone() -> None:
    key, following = KEYS.key, KEYS.next
    assert [KEYS.at(stage).keys for stage in Stage if stage is not Stage.SETTLED] == [
        (key, following),
        (following, key),
        (following,),
    ]
    settled = KEYS.at(Stage.SETTLED)
    assert (settled.keys, settled.stage) == ((following,), Stage.SETTLED)
    assert settled.next not in (key, following)


def test_an_api_server_reads_what_another_one_writes_that_is_a_stage_ahead() -> None:
    """Masters are brought to a stage one after the other; a backup's folder may be read a moment before its snapshot."""
    for one, ahead in pairwise([KEYS, *(KEYS.at(stage) for stage in Stage if stage is not Stage.SETTLED)]):
        assert ahead.keys[0] in one.keys


def test_an_api_server_reads_what_one_writes_that_is_a_stage_behind() -> None:
    """Two stages behind there is none. In the last one all that was written before has been written anew."""
    for behind, one in pairwise([KEYS, KEYS.at(Stage.READING), KEYS.at(Stage.WRITING), KEYS.at(Stage.LEAVING)]):
        assert behind.keys[0] in one.keys


@pytest.mark.parametrize("stage", Stage)
def test_what_is_written_is_read_again(stage: Stage) -> None:
    found = KEYS.at(stage)
    assert read_encryption(encryption_document(found), "here") == found


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        json.dumps(WRITTEN | {"stage": "somewhere"}),
        json.dumps(WRITTEN | {"keys": WRITTEN["keys"][:1]}),
        json.dumps(WRITTEN | {"keys": WRITTEN["keys"][:1] * 2}),
        json.dumps(WRITTEN | {"keys": [WRITTEN["keys"][0], {"name": "key-2", "secret": "AAAA"}]}),
        json.dumps(WRITTEN | {"keys": [WRITTEN["keys"][0], {"name": "key-2", "secret": "no base64"}]}),
        json.dumps(WRITTEN | {"keys": [WRITTEN["keys"][0], {"name": "", "secret": KEYS.key.secret}]}),
    ],
)
def test_what_is_damaged_is_told_without_a_word_of_it(document: str) -> None:
    with pytest.raises(FolderError) as told:
        read_encryption(document.encode(), "/state/prod")
    assert str(told.value) == f"/state/prod/{ENCRYPTION} is damaged: restore it from your backup"


def test_no_secret_is_shown() -> None:
    assert KEYS.key.secret not in repr(KEYS)
    assert KEYS.next.secret not in repr(KEYS)


def test_a_folder_has_them_only_where_they_are_asked_for(tmp_path: Path) -> None:
    made = Folder.draft(tmp_path, "prod", {}, encrypts=True)
    made.save()
    found = Folder.open(tmp_path, "prod")
    assert found is not None
    assert found.encryption == made.encryption is not None
    assert found.join_secrets().encryption == found.encryption
    assert (tmp_path / "prod" / ENCRYPTION).stat().st_mode & 0o777 == 0o600
    without = Folder.create(tmp_path, "test", {})
    assert (without.encryption, without.files.has(ENCRYPTION)) == (None, False)
    assert without.join_secrets().encryption is None


def test_what_was_kept_elsewhere_has_them_too(tmp_path: Path) -> None:
    made = Folder.draft(tmp_path, "prod", {}, encrypts=True)
    made.save()
    assert Folder.backed_up(tmp_path / "elsewhere", "prod", files_of(made)).encryption == made.encryption


def lies_there(folder: Folder) -> Encryption | None:
    found = Folder.open(folder.path.parent, folder.name)
    assert found
    return found.encryption


def test_a_restoration_brings_those_of_its_snapshot_once_it_begins(tmp_path: Path) -> None:
    """Not before: what is left of the cluster may live on."""
    made = Folder.draft(tmp_path, "prod", {}, encrypts=True)
    made.save()
    old = files_of(made)
    made.files.change({ENCRYPTION: encryption_document(KEYS.at(Stage.SETTLED))})
    restored = Folder.backed_up(tmp_path, "prod", old)
    restored.begin_abandoning("ab" * 32)
    assert lies_there(made) != made.encryption
    restored.begin_restore("ab" * 32)
    assert lies_there(made) == made.encryption


def test_a_restoration_takes_them_away_where_the_snapshot_was_written_without(tmp_path: Path) -> None:
    made = Folder.create(tmp_path, "prod", {})
    made.files.change({ENCRYPTION: encryption_document(KEYS)})
    made.begin_restore("ab" * 32)
    assert lies_there(made) is None
