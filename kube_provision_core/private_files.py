"""Files and folders that nobody but their owner may read, whatever the umask is, written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import FolderError

_RANDOM_BYTES = 8
_OTHERS = 0o077
"""Every permission of group and others."""


def make_folder(path: Path) -> None:
    """A new folder, 0700. Raises FileExistsError if there is anything of that name."""
    path.mkdir(mode=0o700)
    # The umask may have taken permissions from the owner.
    path.chmod(0o700)


def write_new(path: Path, content: bytes) -> None:
    """A new file, 0600, on the disk when this returns. Raises FileExistsError if there is anything of that name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def replace(path: Path, content: bytes) -> None:
    """Write the file or replace it in one step: a reader, or a killed run, sees the old content or the new one."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(_RANDOM_BYTES)}")
    try:
        write_new(beside, content)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def leftovers(folder: Path) -> Iterator[Path]:
    """What `replace` had begun to write there when it was killed."""
    return folder.glob(f".*.{'[0-9a-f]' * 2 * _RANDOM_BYTES}")


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """The content of a private file. Raises FolderError if it is missing, is no plain file, or others may read it."""
    try:
        # Non-blocking, so that a FIFO in the file's place cannot make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as problem:
        raise FolderError(f"{path} is missing: restore it from your backup") from problem
    except OSError as problem:
        what = "is a symbolic link, which is never followed here" if problem.errno == errno.ELOOP else problem.strerror
        raise FolderError(f"{path}: {what}") from problem
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FolderError(f"{path} is no plain file: restore it from your backup")
        _check_private(path, status)
        return file.read()


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, a dangling link too. Raises FolderError if it cannot be known."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as problem:
        raise FolderError(f"{path}: {problem.strerror}") from problem
    return True


def check_folder(path: Path) -> None:
    """Raise FolderError unless `path` is a folder of ours that nobody else may enter."""
    try:
        status = path.lstat()
    except FileNotFoundError as problem:
        raise FolderError(f"{path} is missing: restore it from your backup") from problem
    except OSError as problem:
        raise FolderError(f"{path}: {problem.strerror}") from problem
    if stat.S_ISLNK(status.st_mode):
        raise FolderError(f"{path} is a symbolic link, which is never followed here")
    if not stat.S_ISDIR(status.st_mode):
        raise FolderError(f"{path} is no folder")
    _check_private(path, status)


def _check_private(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise FolderError(f"{path} belongs to another user (uid {status.st_uid}): run as that user, or chown it")
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise FolderError(f"{path} may be read by others (mode {mode:04o}): run `chmod -R go-rwx {path}`")
