"""What a restoration takes from the command line: the backup, and the configuration that is lost with the cluster."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .input import Input
from .opening import Opening
from .program import Subcommand
from .talk import note

if TYPE_CHECKING:
    from ..backup import Archive
    from ..engine.wish import Wish

abandon_old = click.option("--abandon-old", is_flag=True, help="Destroy first what is left of the cluster's machines.")

_MASTERS, _MASTERS_ONLY = "--masters", "--masters-only"
masters_only = click.option(
    _MASTERS_ONLY, is_flag=True, help="Workers live, and stay as they are. `--masters` without a number says the same."
)


class Restoring(Subcommand):
    """A command that restores: `--masters` says how many there are, and without a number that they alone are meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        meant = "restore" in (self.name, *args)
        return super().parse_args(ctx, list(_as_meant(args)) if meant else args)


def _as_meant(args: Sequence[str]) -> Iterator[str]:
    for word, following in zip_longest(args, args[1:], fillvalue=""):
        number = following.removeprefix("-").isdecimal()
        yield _MASTERS_ONLY if word == _MASTERS and not number else word


def backed_up(given: Input, wish: Wish, opening: Opening) -> tuple[Input, Archive | None]:
    """The backup that is wished for, and the configuration that is given, else the one in the backup, which the run keeps.

    Where none is wished for, the configuration alone. Raises `BackupError`, and `FolderError` where another one is kept.
    """
    if not wish.archive:
        return given, None
    archive = opening.archive(wish.archive)
    return (given if given.paths else _with_the_one_in(archive, given)), archive


def _with_the_one_in(archive: Archive, given: Input) -> Input:
    from ..folder.configuration import changed, folder_of

    about = archive.about
    folder = folder_of(given.state, about.cluster)
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
