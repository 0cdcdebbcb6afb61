"""What is said to people, on stderr; stdout belongs to data."""

from __future__ import annotations

import sys

PROGRAM = "kube-provision"


def complain(text: str) -> None:
    """One line per problem, each with the program's name in front."""
    for line in text.splitlines():
        say(f"{PROGRAM}: {line}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """Text from elsewhere (a node, a server) as one line that cannot steer the terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
