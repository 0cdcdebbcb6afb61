"""Files that several runs share: whole or not at all, locked within bounds, told in one line."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from doubles.umask import umask

from kube_provision_core import (
    UNFINISHED,
    DiscoveryError,
    TargetError,
    create_file,
    replace_file,
    replace_link,
    telling_os_errors,
    wait_for_lock,
)
from kube_provision_core.contract.kept_files import leftovers


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# --- written whole -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [create_file, replace_file])
@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_a_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path, mask: int, write: Callable[..., None]) -> None:
    with umask(mask):
        write(tmp_path / "record", b"content")
    assert (mode(tmp_path / "record"), (tmp_path / "record").read_bytes()) == (0o600, b"content")


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    create_file(tmp_path / "record", b"old")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "record", b"new")
    assert (tmp_path / "record").read_bytes() == b"old"


def test_who_reads_the_old_file_reads_it_to_its_end(tmp_path: Path) -> None:
    replace_file(tmp_path / "record", b"old")
    with (tmp_path / "record").open("rb") as old:
        replace_file(tmp_path / "record", b"new")
        assert old.read() == b"old"
    assert (tmp_path / "record").read_bytes() == b"new"
    assert names(tmp_path) == ["record"]


def test_a_link_in_a_files_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / "record").symlink_to("mine")
    replace_file(tmp_path / "record", b"new")
    assert not (tmp_path / "record").is_symlink()
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_a_link_leads_to_what_it_last_was_to(tmp_path: Path) -> None:
    replace_link(tmp_path / "newest", "first")
    replace_link(tmp_path / "newest", "second")
    assert (tmp_path / "newest").readlink() == Path("second")
    assert names(tmp_path) == ["newest"]


def test_a_failure_leaves_what_was_there_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    replace_file(tmp_path / "record", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as failed:
        replace_file(tmp_path / "record", b"new")
    assert (failed.value.errno, failed.value.filename) == (errno.ENOSPC, str(tmp_path / "record"))
    assert (tmp_path / "record").read_bytes() == b"old"
    assert names(tmp_path) == ["record"]


@pytest.mark.parametrize("write", [lambda path: replace_file(path, b"new"), lambda path: replace_link(path, "new")])
def test_a_folder_in_the_place_of_a_file_stays(tmp_path: Path, write: Callable[..., None]) -> None:
    (tmp_path / "record").mkdir()
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "record")
    assert names(tmp_path) == ["record"]


KILLED_BEFORE_IT_IS_WHOLE = """
import os, signal, sys
from pathlib import Path
from kube_provision_core import replace_file

os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
replace_file(Path(sys.argv[1]), b"new")
"""


def test_what_a_killed_run_leaves_is_known_by_its_name(tmp_path: Path) -> None:
    replace_file(tmp_path / "record", b"old")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_IT_IS_WHOLE, str(tmp_path / "record")], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    (left,) = leftovers(tmp_path)
    assert left.name.startswith(f"{UNFINISHED}record.")
    assert (tmp_path / "record").read_bytes() == b"old"


# --- locked --------------------------------------------------------------------------------------------------------


def test_a_lock_that_is_free_is_had_at_once(tmp_path: Path) -> None:
    with opened(tmp_path / "lock") as descriptor:
        wait_for_lock(descriptor, "the shelf", 0)


def test_a_lock_is_waited_for_no_longer_than_was_said(tmp_path: Path) -> None:
    with opened(tmp_path / "lock") as first, opened(tmp_path / "lock") as second:
        wait_for_lock(first, "the shelf", 0)
        begin = time.monotonic()
        with pytest.raises(TargetError, match=r"^the shelf: another run is at work on it; try again when that has ended$"):
            wait_for_lock(second, "the shelf", 0.1)
        assert 0.1 <= time.monotonic() - begin < 10


def test_a_lock_is_had_as_soon_as_it_is_released(tmp_path: Path) -> None:
    with opened(tmp_path / "lock") as second, ThreadPoolExecutor(1) as pool:
        with opened(tmp_path / "lock") as first:
            wait_for_lock(first, "the shelf", 0)
            waiting = pool.submit(wait_for_lock, second, "the shelf", 30)
            time.sleep(0.1)
            assert not waiting.done()
        waiting.result(60)


def test_a_lock_goes_with_the_last_process_that_inherited_it(tmp_path: Path) -> None:
    with opened(tmp_path / "lock") as second:
        with opened(tmp_path / "lock") as first:
            wait_for_lock(first, "the shelf", 0)
            heir = subprocess.Popen(["sleep", "60"], pass_fds=[first])
        with pytest.raises(TargetError):
            wait_for_lock(second, "the shelf", 0)
        heir.kill()
        heir.wait(60)
        wait_for_lock(second, "the shelf", 10)


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with (
        opened(tmp_path / "lock") as descriptor,
        pytest.raises(TargetError, match=r"^the shelf: cannot be locked.*supported"),
    ):
        wait_for_lock(descriptor, "the shelf", 10)


# --- told ----------------------------------------------------------------------------------------------------------


def test_an_error_of_the_system_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as told, telling_os_errors("w-prod-1 cannot be read"):
        (tmp_path / "record").read_bytes()
    assert str(told.value) == f"w-prod-1 cannot be read: No such file or directory ({tmp_path}/record)"


def test_a_file_that_is_named_already_is_not_named_again(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as told, telling_os_errors(f"{tmp_path}/record: cannot be read"):
        (tmp_path / "record").read_bytes()
    assert str(told.value) == f"{tmp_path}/record: cannot be read: No such file or directory"


def test_an_error_is_of_the_drivers_kind() -> None:
    with pytest.raises(DiscoveryError), telling_os_errors("the shelf cannot be read", DiscoveryError):
        raise OSError("no answer")


def test_errors_that_are_no_files_pass() -> None:
    with pytest.raises(ValueError, match=r"^a bug$"), telling_os_errors("the shelf cannot be read"):
        raise ValueError("a bug")
