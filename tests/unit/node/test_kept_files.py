from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_node.kept_files import replace_file


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode)[-3:] for path in folder.iterdir()}


@pytest.mark.parametrize("content", ["ü\n", "ü\n".encode()], ids=["text", "bytes"])
def test_a_file_is_there_whole_and_private_and_nothing_beside_it(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new/folder/file"
    for _ in range(2):
        replace_file(path, content)
        assert path.read_bytes() == "ü\n".encode()
        assert modes(path.parent) == {"file": "600"}


def test_it_has_the_mode_that_is_asked_for_whatever_it_had(tmp_path: Path) -> None:
    for mode in (0o644, 0o400, 0o755):
        replace_file(tmp_path / "file", "content", mode)
        assert modes(tmp_path) == {"file": f"{mode:o}"}


def test_what_somebody_else_has_put_in_its_way_is_not_written_to(tmp_path: Path) -> None:
    """In a folder of a user's own, who could read along or have another file overwritten."""
    theirs, victim = tmp_path / ".file.new", tmp_path / "victim"
    for put in (lambda: theirs.write_text("theirs"), lambda: theirs.symlink_to(victim), lambda: theirs.hardlink_to(victim)):
        victim.write_text("untouched")
        put()
        with theirs.open() as open_before:
            replace_file(tmp_path / "file", "secret")
            assert "secret" not in open_before.read()
        assert victim.read_text() == "untouched"
        assert (tmp_path / "file").read_text() == "secret"
        assert not (tmp_path / "file").is_symlink()


def test_one_that_cannot_be_made_leaves_the_earlier_one(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", "earlier")
    with pytest.raises(LookupError):
        replace_file(tmp_path / "file", "later", owner="nobody-of-this-name:root")
    assert (tmp_path / "file").read_text() == "earlier"
