"""What is kept in files that several runs share: replaced in one step, changed by one run at a time, told in one line."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import KubeProvisionError, TargetError

UNFINISHED = ".kube-provision."
"""Beginning of the names of what a killed run may leave behind half made. What has it may be ignored, and deleted."""

_LOCK_POLL = 0.05


def create_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """A new file, of this mode whatever the umask, on the disk when this returns; its name is after `sync_folder`.

    Raises OSError: FileExistsError if there is anything of that name. Something may be left there after any other.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def rehearse(path: Path) -> None:
    """Write as `replace_file` does, and leave nothing: a folder may let us in, and yet take no file. Raises OSError."""
    beside = _beside(path)
    create_file(beside, b"")
    beside.unlink()


def replace_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write the file or replace it, of this mode, on the disk when this returns. A link in its place is replaced itself.

    In one step: a reader, or a killed run, sees the old content or the new one. Raises OSError, which names `path`.
    """
    with _in_the_place_of(path) as beside:
        create_file(beside, content, mode)


def write_new(path: Path, content: bytes) -> None:
    """Write a new file as `replace_file` does. Raises OSError: FileExistsError if there is anything of that name by then."""
    with _in_the_place_of(path, _take_free_name) as beside:
        create_file(beside, content)


def rehearse_new(path: Path) -> None:
    """Write as `write_new` does, and leave nothing: a file system may know no second name of a file. Raises OSError."""
    one, other = _beside(path), _beside(path)
    create_file(one, b"")
    try:
        os.link(one, other)
        other.unlink()
    finally:
        one.unlink()


def replace_link(path: Path, leads_to: str) -> None:
    """Let the symbolic link `path` lead to `leads_to`, as `replace_file` writes a file. What is no folder is replaced."""
    with _in_the_place_of(path) as beside:
        beside.symlink_to(leads_to)


def _beside(path: Path) -> Path:
    return path.with_name(f"{UNFINISHED}{path.name}.{secrets.token_hex(6)}")


def _take_free_name(beside: Path, path: Path) -> None:
    os.link(beside, path)
    beside.unlink()


@contextmanager
def _in_the_place_of(path: Path, take: Callable[[Path, Path], object] = os.replace) -> Iterator[Path]:
    """A free name; what is made there takes the place of `path`, or goes."""
    beside = _beside(path)
    try:
        yield beside
        take(beside, path)
    except BaseException as problem:
        with suppress(OSError):
            beside.unlink()
        if isinstance(problem, OSError):  # its own file name is one that nobody knows
            raise OSError(problem.errno, problem.strerror, str(path)) from problem
        raise
    sync_folder(path.parent)


def leftovers(folder: Path) -> Iterator[Path]:
    """What killed runs had begun to make there."""
    return folder.glob(f"{UNFINISHED}*")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def wait_for_lock(descriptor: int, what: str, timeout: float) -> None:
    """Lock an open file or folder against other runs, and against threads of this one that opened it themselves.

    The lock goes when the descriptor is closed, by everybody who inherited it, however their process ends. Raises
    `TargetError` when somebody else holds it for longer than `timeout` seconds, and where files cannot be locked.
    """
    deadline = time.monotonic() + timeout
    with telling_os_errors(f"{what}: cannot be locked, which the file system that it lies on may not support"):
        while not _lock(descriptor):
            if time.monotonic() > deadline:
                raise TargetError(f"{what}: another run is at work on it; try again when that has ended")
            time.sleep(_LOCK_POLL)


def _lock(descriptor: int) -> bool:
    """False while somebody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def telling_os_errors(what: str, error: type[KubeProvisionError] = TargetError) -> Iterator[None]:
    """Turn the system's errors into the one line that a user reads: `what` ("… cannot be read"), why, and which file."""
    try:
        yield
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename and str(problem.filename) not in what else ""
        raise error(f"{what}: {problem.strerror or problem}{where}") from problem
