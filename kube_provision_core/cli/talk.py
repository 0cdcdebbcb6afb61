"""What is said to people, on stderr; stdout belongs to data."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

PROGRAM = "kube-provision"

_PASSWORD = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""With the name before it, which may be a token: libraries quote the URLs of proxies whole."""


def complain(text: str) -> None:
    """One line per problem, each with the program's name in front."""
    for line in text.splitlines():
        say(f"{PROGRAM}: {one_line(line)}")


def lines_of(text: str) -> str:
    """Text of several lines, each as `one_line` shows it."""
    return "\n".join(map(one_line, text.splitlines()))


def note(text: str) -> None:
    """Something to know, in a line. It may hold what a machine says of itself, which may be anything."""
    complain(f"note: {one_line(text)}")


@contextmanager
def warnings_told() -> Iterator[None]:
    """What drivers, and the libraries they use, log as a warning is said like a note."""
    handler = _Warnings(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        complain(f"warning: {one_line(record.getMessage())}")


def say(text: str) -> None:
    """Whether anybody listens changes nothing: a run whose terminal is gone goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        lead_nowhere(sys.stderr)


def lead_nowhere(stream: IO[str]) -> None:
    """Drop what is printed from now on; else Python complains at exit about what it could not print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def one_line(text: str) -> str:
    """Text from elsewhere (a node, a server) as one line that cannot steer the terminal, and shows no URL's password."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return _PASSWORD.sub("(secret)", " ".join(printable.split()))
