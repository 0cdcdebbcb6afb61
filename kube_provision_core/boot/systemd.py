"""systemd's ways of writing: names of units made from paths, arguments of commands."""

from __future__ import annotations

import re

_PLAIN = re.compile(rb"[A-Za-z0-9:_.]")


def escape_path(path: str) -> str:
    """What `systemd-escape --path` prints: the name, without suffix, of the mount unit of `path`."""
    parts = [part for part in path.split("/") if part]
    joined = "-".join(_escape(part) for part in parts)
    return (f"\\x2e{joined[1:]}" if joined.startswith(".") else joined) or "-"


def _escape(part: str) -> str:
    octets = part.encode()
    return "".join(chr(octet) if _PLAIN.match(bytes([octet])) else f"\\x{octet:02x}" for octet in octets)


def quote(argument: str) -> str:
    """One argument of an `ExecStart=` line, whatever is in it."""
    escaped = argument.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("$", "$$")
    return f'"{escape_specifiers(escaped)}"'


def escape_specifiers(text: str) -> str:
    """A value in which systemd would otherwise expand `%`."""
    return text.replace("%", "%%")
