"""Files and folders that nobody but their owner may read, whatever the umask is."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ..contract.errors import FolderError

_OTHERS = 0o077
"""Every permission of group and others."""


def make_folder(path: Path) -> None:
    """A new folder, 0700. Raises FileExistsError if there is anything of that name."""
    path.mkdir(mode=0o700)
    # The umask may have taken permissions from the owner.
    path.chmod(0o700)


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
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise FolderError(f"{path} is no plain file: restore it from your backup")
        _check_private(path, status)
        with os.fdopen(descriptor, "rb", closefd=False) as file:  # of a folder it would raise
            return file.read()
    finally:
        os.close(descriptor)


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
