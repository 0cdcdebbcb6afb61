"""Data on stdout: a table for people, JSON or YAML for programs, all from the same plain values."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import click

from .talk import complain, lead_nowhere, one_line

FORMATS = ("table", "json", "yaml")
BROKEN_PIPE = 128 + 13
"""What a shell reports for a program that SIGPIPE ended."""
OUTPUT_LOST = 74
"""EX_IOERR of sysexits(3)."""


def emit(data: Any, form: str, as_table: Callable[[], str]) -> None:
    """Print plain `data` in one of `FORMATS`. `as_table` is called only when a table is wanted."""
    import json

    if form == "json":
        write(json.dumps(data, indent=2))
    elif form == "yaml":
        import yaml

        unshared = json.loads(json.dumps(data))  # else YAML writes anchors for what stands in several places
        write(yaml.safe_dump(unshared, sort_keys=False).rstrip("\n"))
    else:
        write(as_table())


def plain(value: Any) -> Any:
    """Values of the core as what JSON and YAML can say: a dataclass's fields are its keys."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Enum) else os.fspath(value) if isinstance(value, os.PathLike) else value


def write(text: str) -> None:
    """Print to stdout, whatever its encoding. A reader that has gone away (`| head`) ends the program quietly, a disk that
    is full with a line.
    """
    encoding = sys.stdout.encoding or "utf-8"
    with _reported():
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def write_told(content: bytes) -> None:
    """Print what a machine has said: as it is to a file or a pipe, and so that it cannot steer a terminal."""
    if sys.stdout.isatty():
        text = content.decode(errors="backslashreplace").rstrip("\n")
        write("".join(character if character.isprintable() or character in "\n\t" else " " for character in text))
        return
    with _reported():
        sys.stdout.buffer.write(content)
        sys.stdout.flush()


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        lead_nowhere(sys.stdout)
        raise click.exceptions.Exit(BROKEN_PIPE) from error
    except OSError as error:
        raise click.exceptions.Exit(lose_stdout(error)) from error


def lose_stdout(error: OSError) -> int:
    """Say that what was printed is lost. Returns the exit code."""
    lead_nowhere(sys.stdout)
    complain(f"stdout cannot be written to: {error.strerror}")
    return OUTPUT_LOST


def table(rows: Sequence[Mapping[str, object]], *keys: str) -> str:
    """A column for each of these keys, with a header."""
    return columns([[key.upper().replace("_", " ") for key in keys], *([row[key] for key in keys] for row in rows)])


def columns(rows: Sequence[Sequence[object]]) -> str:
    """Left-aligned columns, two blanks apart, `-` where there is nothing, no trailing blanks."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(str(value)) if value not in (None, "") else "-"
