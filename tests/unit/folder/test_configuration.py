"""The configuration of a restored cluster, kept beside its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core.contract.errors import FolderError
from kube_provision_core.folder.configuration import changed, folder_of, keep


@pytest.fixture
def documents(tmp_path: Path) -> dict[Path, bytes]:
    folder = folder_of(tmp_path / "state", "prod")
    return {folder / "1-config.yml": b"name: prod\n", folder / "extra/2-more.yml": b"masters: 1\n"}


def test_it_is_kept_once(documents: dict[Path, bytes]) -> None:
    keep({})
    for _ in range(2):
        keep(documents)
        assert {path: path.read_bytes() for path in documents} == documents
    assert changed(documents) == ()


def test_what_others_have_written_there_stays_and_nothing_comes_beside_it(documents: dict[Path, bytes]) -> None:
    first, last = documents
    last.parent.mkdir(parents=True)
    last.write_text("mine\n")
    assert changed(documents) == (last,)
    with pytest.raises(FolderError, match=f"{last} was changed meanwhile: run again"):
        keep(documents)
    assert not first.exists()
    assert last.read_text() == "mine\n"


def test_what_cannot_be_read_or_written_is_told_in_a_line(documents: dict[Path, bytes]) -> None:
    last = list(documents)[-1]
    last.mkdir(parents=True)
    with pytest.raises(FolderError, match="the configuration that is kept cannot be read"):
        changed(documents)
    last.rmdir()
    last.parent.rmdir()
    last.parent.write_text("")
    with pytest.raises(FolderError, match="cannot be written"):
        keep(documents)
