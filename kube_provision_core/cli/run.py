"""The program's entry: a command line in, an exit code out."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence

import click

from .interrupt import INTERRUPTED, end_at_a_second, terminate_as_interrupt
from .output import lose_stdout
from .program import program
from .talk import PROGRAM, complain, say, warnings_told

BAD_INPUT = 2

KEPT = 100_000
"""Things after which cycles among them are looked for, in place of Python's 700: modules, and what a run makes, stay, and to
look through them again and again takes a tenth of a plan's processor time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own when None) and return its exit code.

    Only a bug leaves as an exception. A second Ctrl-C ends the process, where it is the program's own.
    """
    _open_what_is_closed()
    if arguments is None:
        end_at_a_second()
        gc.set_threshold(KEPT)
    with terminate_as_interrupt(), warnings_told():
        try:
            code = program.main(arguments, PROGRAM, standalone_mode=False)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            return BAD_INPUT
        except click.ClickException as error:
            complain(_line(error))
            return BAD_INPUT
        except click.Abort:
            if sys.stderr.isatty():
                say("")  # the terminal has echoed ^C
            complain("interrupted")
            return INTERRUPTED
        except OSError as error:
            return _tell(error)
    if arguments is None:
        gc.freeze()  # the process ends: to sort through its memory would only take time
    return code if isinstance(code, int) else 0


def _tell(error: OSError) -> int:
    """What names no file is about the folder that the process stands in, or about the help on stdout. All else is a bug."""
    if error.filename is None and error.errno == errno.ENOENT:
        complain("the current folder is gone: change to one that exists")
        return BAD_INPUT
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return lose_stdout(error)
    raise error


def _open_what_is_closed() -> None:
    """A standard stream that the process was started without (`>&-`) leads nowhere, and its number is no other file's."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123 - open until the process ends


def _line(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    return f"{message}{'' if message.endswith(('.', '?')) else '.'} See: {context.command_path} --help"
