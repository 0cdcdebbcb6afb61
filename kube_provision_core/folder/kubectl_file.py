"""The kubeconfig of whoever calls kubectl here: which file that is, and how it is changed, never to half."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ..contract.errors import ConfigError
from ..contract.home import home
from ..contract.kept_files import create_file, replace_file, sync_folder, telling_os_errors

COPY = ".before-kube-provision"
"""What the name of the copy ends in: the file as it was before it was changed last."""


def kubectl_file(environ: Mapping[str, str]) -> Path:
    """The first file of `$KUBECONFIG` that can be written, else `~/.kube/config`; it need not exist. A link is followed.

    Raises `ConfigError` where there is none.
    """
    listed = [Path(name) for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    files = listed or [home(environ) / ".kube" / "config"]
    for file in files:
        path = Path(os.path.realpath(file))
        if _writable(path):
            return path
    raise ConfigError(f"{', '.join(map(str, files))}: cannot be written: name another file by KUBECONFIG")


def change(path: Path, changed: Callable[[str], str]) -> Path | None:
    """Replace the file by what `changed` makes of its text, in one step; it keeps its mode and its owner, or is 0600.

    A file that was there is kept beside it; where its copy is, is returned. Programs that use kubectl's own lock are kept
    out meanwhile. Raises `ConfigError`, and what `changed` raises; nothing is changed then.
    """
    with telling_os_errors(f"{path} cannot be written", ConfigError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path):
            return _change(path, changed)


def _change(path: Path, changed: Callable[[str], str]) -> Path | None:
    old, content = _read(path)
    new = changed(_text(path, content)).encode()
    if old is None:
        replace_file(path, new)
        return None
    copy = path.with_name(f"{path.name}{COPY}")
    replace_file(copy, content)
    _replace(path, new, old)
    return copy


def _read(path: Path) -> tuple[os.stat_result | None, bytes]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None, b""
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path} is no plain file: name another one by KUBECONFIG")
    return status, path.read_bytes()


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: it is not UTF-8: mend it, or name another file") from error


def _replace(path: Path, content: bytes, old: os.stat_result) -> None:
    beside = path.with_name(f"{path.name}.kube-provision-{os.getpid()}")
    try:
        create_file(beside, content)
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(beside, old.st_uid, old.st_gid)
        beside.chmod(stat.S_IMODE(old.st_mode))
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def _writable(path: Path) -> bool:
    """A file is replaced, so that its folder has to let us; one that is missing may lack folders too."""
    folder = next(parent for parent in path.parents if parent.exists() or parent == parent.parent)
    there = path.exists()
    return os.access(folder, os.W_OK | os.X_OK) and folder.is_dir() and (not there or os.access(path, os.W_OK))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """kubectl's lock of its files, which is a file that must not be there."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise ConfigError(f"{lock}: kubectl, or the like, changes {path} now; where none runs, delete that file") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
