"""`kube-provision ssh`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import click

from ..asking import interruptible
from ..input import Input
from ..options import configuration, state
from ..program import subcommand
from ..run_options import progress

if TYPE_CHECKING:
    from pathlib import Path

    from ...config import Config
    from ...folder.state import State
    from ...verbs.ssh import Way
    from ..progress import Progress


@subcommand("ssh")
@click.argument("node")
@click.argument("program", nargs=-1, metavar="[-- COMMAND…]")
@click.option("--login", "-l", metavar="NAME", help="As whom (the first of `users` with a key, else whom ssh takes).")
@click.option("--accept-new", is_flag=True, help="Trust the key that a machine shows which has told none.")
@configuration
@state
@progress
def command(
    given: Input,
    node: str,
    program: tuple[str, ...],
    login: str | None,
    accept_new: bool,
    progress: Progress,
) -> None:
    """Log in on NODE by the system's ssh, with its address, port and host key, or run COMMAND there.

    The machine tells its host keys through its hypervisor, once; a stranger at its address is refused by ssh.
    """
    from ...contract.errors import ConfigError
    from ...engine.session import open_session
    from ...verbs.ssh import command_line, way

    if not shutil.which("ssh"):
        raise ConfigError("there is no program ssh here: install OpenSSH's client")
    config = given.load()
    with open_session(config, given.state) as session:
        found = way(session, node, login)
        words = command_line(session, found, program, accept_new=accept_new)
    if not found.known and not accept_new:
        _learn(config, given.state, node, found, progress)
    os.execvp(words[0], words)


def _learn(config: Config, state: State | Path, node: str, found: Way, progress: Progress) -> None:
    from ...contract.errors import ConfigError, TargetError
    from ...engine.session import open_session
    from ...verbs.ssh import learn_host_keys
    from ..running import Running

    with (
        open_session(config, state, alone=True) as session,
        Running(config.core.name, progress, shows_plan=False) as user,
    ):
        try:
            with interruptible(user):
                learn_host_keys(session, node, found, user)
        except (ConfigError, TargetError) as error:
            raise type(error)(f"{error}. Its host keys are not known; --accept-new trusts those that are shown") from error
