"""What a restoration takes from the command line: the backup, and the configuration that is lost with the cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .opening import Opening
from .options import Input
from .talk import note

if TYPE_CHECKING:
    from ..backup import Archive
    from ..engine.wish import Wish
    from ..folder.state import State

abandon_old = click.option("--abandon-old", is_flag=True, help="Destroy first what is left of the cluster's machines.")


def backed_up(given: Input, wish: Wish, opening: Opening, state: State | Path) -> tuple[Input, Archive | None]:
    """The backup that is wished for, and the configuration that is given, else the one in the backup, which the run keeps.

    Where none is wished for, the configuration alone. Raises `BackupError`, and `FolderError` where another one is kept.
    """
    if not wish.archive:
        return given, None
    archive = opening.archive(wish.archive)
    return (given if given.paths else _with_the_one_in(archive, given, state)), archive


def _with_the_one_in(archive: Archive, given: Input, state: State | Path) -> Input:
    from ..folder.configuration import changed, folder_of

    about = archive.about
    folder = folder_of(state, about.cluster)
    unwritten = {folder / document: content for document, content in archive.configuration.items()}
    documents = [folder / document for document in about.documents]
    _refuse_changed(changed(unwritten), [path for path in documents if path.exists()], folder)
    paths, extra = _said(documents, folder)
    note(f"the configuration is the backup's, which is kept once it is restored: {_written(documents, folder)}")
    flags = {"name": about.cluster, **given.flags}
    return given._replace(paths=paths, extra=(*extra, *given.extra), flags=flags, unwritten=unwritten)


def _refuse_changed(changed: Iterable[Path], there: Sequence[Path], folder: Path) -> None:
    from ..contract.errors import FolderError

    for path in changed:
        raise FolderError(
            f"{path} is not as the backup has it: move {folder} aside, or go by what lies there: {_written(there, folder)}"
        )


def _written(documents: Iterable[Path], folder: Path) -> str:
    """The options that name them all: one left out would change the cluster, which nobody would tell."""
    paths, extra = _said(documents, folder)
    return shlex.join([*chain(*(("--config", path) for path in paths)), *chain(*(("--extra", text) for text in extra))])


def _said(documents: Iterable[Path], folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What `--config` and what `--extra` says."""
    from ..backup import EXTRA

    above = folder / EXTRA
    paths = tuple(str(path) for path in documents if above not in path.parents)
    return paths, tuple(f"@{path}" for path in documents if above in path.parents)
