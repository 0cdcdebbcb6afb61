"""`kube-provision init`."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from ..options import FilePath
from ..output import write
from ..program import subcommand
from ..talk import complain, say

if TYPE_CHECKING:
    from pathlib import Path

    from ...config.draft import Draft


@subcommand("init")
@click.argument("file", type=FilePath(dir_okay=False), default="config.yml", metavar="[FILE]")
@click.option("--target", metavar="NAME", help="Target driver.")
@click.option("--os", metavar="NAME", help="Operating-system driver.")
@click.option("--name", "--cluster-name", "-n", "name", help="Cluster name, a DNS label.")
@click.option("--extra", "-e", multiple=True, metavar="KEY=VALUE", help="An answer beforehand; repeatable. No secrets here.")
@click.option("--yes", is_flag=True, help="Ask nothing: what is not given is what would be suggested.")
def command(file: str, target: str | None, os: str | None, name: str | None, extra: tuple[str, ...], yes: bool) -> None:
    """Ask what a cluster is to be, and write FILE, config.yml unless given: a configuration that `validate` takes.

    What is given beforehand is not asked. Without a terminal nothing is. No server is asked, and no secret: the file names
    a variable in its place.
    """
    from pathlib import Path

    from ...support import new_file

    path = Path(file).absolute()
    new_file.check(path)
    flags = {"target": target, "os": os, "name": name}
    draft = _draft({key: value for key, value in flags.items() if value is not None}, extra, path.parent)
    asks = sys.stdin.isatty() and not yes
    draft, text = _asked(draft, path) if asks else _taken(draft, path)
    new_file.write(path, text.encode())
    write(str(path))
    _say_next(draft, file)


def _draft(flags: dict[str, str], extra: tuple[str, ...], folder: Path) -> Draft:
    from ...config.draft import Draft

    answers: dict[str, str] = {}
    for text in extra:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise click.UsageError(f"-e takes KEY=VALUE here, and not {key!r}.")
        answers[key.strip()] = value.strip()
    return Draft.begin({**answers, **flags}, folder, os.environ)


def _taken(draft: Draft, path: Path) -> tuple[Draft, str]:
    from ...verbs.init import configuration
    from ..interview import take

    draft = take(draft)
    return draft, configuration(draft, path)


def _asked(draft: Draft, path: Path) -> tuple[Draft, str]:
    """Where answers do not go together all are asked again, each with what was said before."""
    from ...contract.errors import ConfigError
    from ...verbs.init import configuration
    from ..interview import ask

    earlier: dict[str, str] = {}
    while True:
        answered = ask(draft, earlier)
        try:
            return answered, configuration(answered, path)
        except ConfigError as error:
            if answered.answers == earlier or answered == draft:
                raise
            complain(str(error))
            complain("nothing is written yet: once more, and Enter keeps what you said; -e gives what is not asked")
            earlier = dict(answered.answers)


def _say_next(draft: Draft, file: str) -> None:
    from ...verbs.init import variables

    say("\nNext:")
    for variable in variables(draft):
        say(f"  export {variable}=…")
    for verb in ("validate", "plan", "provision"):
        say(f"  kube-provision {verb} --config {shlex.quote(file)}")
