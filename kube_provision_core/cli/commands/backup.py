"""`kube-provision backup`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..input import Input
from ..interrupt import leaving
from ..opening import Opening, naming, opening, read_passphrase
from ..options import FilePath, configuration, given_among, output, state
from ..output import columns, emit, plain
from ..program import subcommand
from ..talk import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...backup import Recipients


SAID = "command-line.yml"


@subcommand("backup")
@click.argument("file", type=FilePath(readable=False), metavar="FILE|URL")
@click.option("--recipient", "recipients", multiple=True, metavar="KEY", help="Who can open it: age1…, ssh-…; repeatable.")
@click.option(
    "--recipients-file",
    "files",
    multiple=True,
    type=FilePath(),
    metavar="FILE",
    help="More of them, one a line; repeatable.",
)
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="FILE is a folder, which keeps the newest N.")
@click.option("--verify", is_flag=True, help="Make none, and try the one in FILE with the etcd of this host.")
@opening
@configuration
@state
@output
def command(
    given: Input,
    file: str,
    recipients: tuple[str, ...],
    files: tuple[str, ...],
    keep: int | None,
    verify: bool,
    opening: Opening,
    form: str,
) -> None:
    """Write the cluster into FILE, encrypted: all its objects, its folder of secrets, its configuration.

    It is read back, and then told to the cluster, so that `status` warns where the last one is old.
    """
    if verify and (option := given_among(("recipients", "files", "keep"))):
        raise click.UsageError(f"{option} goes with a backup that is made, and not with --verify.")
    if not verify and (option := given_among(("identity_files",))):
        raise click.UsageError(f"{option} goes with --verify: a backup is made for recipients.")
    if verify:
        _verify(file, opening, form)
    else:
        _make(given, file, _recipients(recipients, files, opening.passphrase_file), keep, form)


def _make(given: Input, file: str, recipients: Recipients, keep: int | None, form: str) -> None:
    from ...backup import place
    from ...verbs.backup import backup

    where = place(file)
    left = f"what was begun of {file}, encrypted, under a name that begins with .kube-provision."
    with given.session() as session, leaving(left):
        made = backup(session, where, recipients, _documents(given), keep)
    for name in made.deleted:
        note(f"{name} is deleted: {keep} are kept")
    emit(plain(made), form, lambda: columns([["file:", made.file], ["etcd:", _etcd(made.size, made.revision)]]))


def _verify(file: str, opening: Opening, form: str) -> None:
    from ...verbs.verify import verify

    archive = opening.archive(file)
    with naming(file):
        found = verify(archive)
    rows = [
        ["cluster:", f"{found.cluster}, Kubernetes {found.kubernetes}"],
        ["created:", found.created],
        ["etcd:", _etcd(found.size, found.revision)],
        ["tried:", f"etcd {found.etcd} has started on it, and has {found.objects} objects"],
    ]
    emit(plain(found), form, lambda: columns(rows))


def _etcd(size: int, revision: int) -> str:
    return f"{size / 1e6:.1f} MB at revision {revision}"


def _recipients(given: tuple[str, ...], files: tuple[str, ...], passphrase_file: str | None) -> Recipients:
    from ...backup import Recipients

    passphrase = read_passphrase(passphrase_file) if passphrase_file else ""
    if not (given or files or passphrase) and sys.stdin.isatty():
        passphrase = click.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=True, err=True)
    return Recipients.read(given, map(Path, files), passphrase)


def _documents(given: Input) -> Mapping[str, bytes]:
    """The configuration as it was given, a later document beating an earlier one.

    What the environment says is left out: most of it is passwords.
    """
    from ...backup import EXTRA
    from ...config.as_document import extra_document, flags_document

    paths = [_file(path) for path in given.paths]
    files = {text: _file(text[1:]) for text in given.extra if text.startswith("@")}
    drivers = given.drivers({})
    extra = [files.get(text) or (SAID, extra_document(text, drivers)) for text in given.extra]
    flags = [(SAID, flags_document(given.flags))] if given.flags else []
    return _numbered("", paths) | _numbered(EXTRA, [*extra, *flags])


def _numbered(folder: str, documents: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    return {f"{folder}{number}-{name}": content for number, (name, content) in enumerate(documents, 1)}


def _file(path: str) -> tuple[str, bytes]:
    """It was read already, as configuration, which nobody does twice with a pipe."""
    from ...contract.errors import ConfigError

    if not Path(path).is_file():
        raise ConfigError(f"{path} is no file, and a backup holds the configuration as it is written: name its files")
    return Path(path).name, Path(path).read_bytes()
