"""What a desktop's libraries say beside the values that a program was asked for, on whatever stream they like."""

from __future__ import annotations

import re

_NOISE = re.compile(
    r"""
    \[AppLoader\] | An\ up-to-date\ "libaio"                            # VMware's own loader of libraries, on Linux
    | \d{4}-\d\d-\d\dT[\d:.]+\S*\|\ | \S+\|\ [A-Z]\d{3}[:+]            # a log's lines: a service had to be started
    | \S*:\ .*:\ no\ version\ information\ available                   # the system's loader, of a library that VMware brings
    | ERROR:\ ld\.so:
    | \(\S+:\d+\):\ \S+-(WARNING|CRITICAL|Message)\b | (Gtk|GLib)\S*-(WARNING|CRITICAL|Message)\b
    | libpng\ warning: | Fontconfig\ (warning|error):
    """,
    re.VERBOSE,
)
"""How such lines begin."""


def without_noise(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not _NOISE.match(line))
