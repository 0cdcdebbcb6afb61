"""The configuration of a cluster that is restored, where its backup alone has it: STATE/prod.config/… beside its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..contract.errors import FolderError
from ..contract.kept_files import replace_file, telling_os_errors
from .on_disk import path_of, state_of
from .state import State


def folder_of(state: State | Path, name: str) -> Path:
    """Where the cluster's documents are kept. Raises FolderError for what cannot be a cluster's name."""
    return path_of(state_of(state).local, name).with_name(f"{name}.config")


def changed(documents: Mapping[Path, bytes]) -> tuple[Path, ...]:
    """Those in whose place another one lies. Raises FolderError."""
    with telling_os_errors("the configuration that is kept cannot be read", FolderError):
        return tuple(path for path, content in documents.items() if path.exists() and path.read_bytes() != content)


def keep(documents: Mapping[Path, bytes]) -> None:
    """Write the documents. What lies there already stays; raises FolderError where that is another one."""
    for path in changed(documents):
        raise FolderError(f"{path} was changed meanwhile: run again")
    for path, content in documents.items():
        with telling_os_errors(f"{path} cannot be written", FolderError):
            _keep(path, content)


def _keep(path: Path, content: bytes) -> None:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content)
