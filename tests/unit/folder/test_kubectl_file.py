"""Which file is kubectl's, and how it is changed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.folder.kubectl_file import change, kubectl_file


def upper(text: str) -> str:
    return text.upper()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("old")
    return path


def closed(folder: Path) -> Path:
    """A place where nobody, not even root, can write."""
    return folder / "file" / "config"


# --- which ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listed", [None, "", ":"])
def test_unless_said_it_is_the_one_below_home_which_may_be_missing(tmp_path: Path, listed: str | None) -> None:
    environ = {"HOME": str(tmp_path), **({} if listed is None else {"KUBECONFIG": listed})}
    assert kubectl_file(environ) == tmp_path / ".kube/config"


def test_of_several_it_is_the_first_that_can_be_written(tmp_path: Path, file: Path) -> None:
    (tmp_path / "file").touch()
    listed = os.pathsep.join(map(str, [closed(tmp_path), "", file, tmp_path / "third"]))
    assert kubectl_file({"KUBECONFIG": listed}) == file


def test_where_none_can_be_written_all_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^{closed(tmp_path)}: cannot be written: name another file by KUBECONFIG$"):
        kubectl_file({"KUBECONFIG": str(closed(tmp_path))})


def test_a_link_is_followed(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert kubectl_file({"KUBECONFIG": str(tmp_path / "link")}) == file


# --- how --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("was", [0o600, 0o640, 0o644])
def test_a_file_keeps_its_mode_and_its_copy_is_the_owners_alone(file: Path, was: int) -> None:
    file.chmod(was)
    copy = change(file, upper)
    assert copy
    assert (file.read_text(), copy.read_text()) == ("OLD", "old")
    assert (mode(file), mode(copy)) == (was, 0o600)
    assert {it.name for it in file.parent.iterdir()} == {"config", copy.name}


def test_it_keeps_its_owner_whom_root_changes_it_for(file: Path) -> None:
    owner = (12, 34) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    change(file, upper)
    assert (file.stat().st_uid, file.stat().st_gid) == owner


def test_a_new_one_is_the_owners_alone_in_a_folder_of_his_own(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config"
    assert change(path, lambda text: f"<{text}>") is None
    assert (path.read_text(), mode(path), mode(path.parent)) == ("<>", 0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_nothing_is_changed_where_the_change_is_refused(file: Path) -> None:
    def refuse(_: str) -> str:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match=r"^no$"):
        change(file, refuse)
    assert file.read_text() == "old"
    assert list(file.parent.iterdir()) == [file]


def test_it_waits_for_nobody_who_has_kubectls_lock(file: Path) -> None:
    lock = file.with_name("config.lock")
    lock.touch()
    with pytest.raises(ConfigError, match=f"^{lock}: kubectl, or the like, changes {file} now; where none runs, delete"):
        change(file, upper)
    assert (file.read_text(), lock.exists()) == ("old", True)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (Path.mkdir, "is no plain file: name another one by KUBECONFIG"),
        (make_fifo, "is no plain file: name another one by KUBECONFIG"),
        (make_binary, ": it is not UTF-8: mend it, or name another file"),
    ],
    ids=["a folder", "a fifo", "noise"],
)
def test_what_is_no_text_is_refused_at_once(tmp_path: Path, make, line: str) -> None:
    path = tmp_path / "config"
    make(path)
    with pytest.raises(ConfigError, match=f"^{path} ?{line}$"):
        change(path, upper)
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_system_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"^{closed(tmp_path)} cannot be written: File exists"):
        change(closed(tmp_path), upper)
