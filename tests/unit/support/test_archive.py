"""One file with many: what it holds, who may read it, and that it is there whole or not at all."""

from __future__ import annotations

import errno
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.support import archive, new_file

FILES = {"about.json": "{}", "machines/w-prod-1/kubelet.txt": "é\udce9\n"}


def unpacked(path: Path) -> dict[str, bytes]:
    content = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as archived:
        return {member.name: file.read() for member in archived if (file := archived.extractfile(member))}


def test_it_holds_the_files_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "it.tar.zst"
    assert archive.write(path, "prod-support", FILES, 1e9) == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    assert unpacked(path) == {
        "prod-support/about.json": b"{}",
        "prod-support/machines/w-prod-1/kubelet.txt": "é\\udce9\n".encode(),
    }
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_there_already_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link", "."):
        with pytest.raises(ConfigError, match="exists already, and is not replaced; name a new file"):
            new_file.check(tmp_path / name)


def test_nor_is_what_has_appeared_since(tmp_path: Path) -> None:
    path = tmp_path / "it"
    new_file.check(path)
    path.write_text("mine")
    with pytest.raises(ConfigError, match="exists already, and is not replaced; name a new file"):
        archive.write(path, "prod-support", FILES, 1e9)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("mine", [path])


def test_a_file_system_that_cannot_keep_others_files_from_being_replaced_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    with pytest.raises(ConfigError, match="it: cannot be written there: Operation not permitted"):
        new_file.check(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_that_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere/it: cannot be written there: No such file or directory"):
        new_file.check(tmp_path / "nowhere/it")
    new_file.check(tmp_path / "it")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        archive.write(tmp_path / "gone/it", "prod-support", FILES, 1e9)
    assert list(tmp_path.iterdir()) == []
