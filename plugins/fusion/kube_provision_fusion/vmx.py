"""A machine's configuration file (.vmx): read, changed and written back with everything else as it was.

A line is `name = "value"`, the quotes optional, with an optional comment behind. A value's double quotes, pipes and control
characters are written as a pipe and two hexadecimal digits. Names ignore case. The file says itself how it is encoded;
escapes stand for bytes of that encoding, so lines are handled as bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kube_provision_core import TargetError, replace_file, telling_os_errors

_LINE = re.compile(
    rb"""
    (?P<before>[ \t]*)
    (?P<name>[^\s=\#\x00]+)
    [ \t]*=[ \t]*
    (?: "(?P<quoted>[^"\r\n\x00]*)" | (?P<bare>[^\s\#\x00"][^\s\#\x00]*)? )
    (?P<after>[ \t]*(?:\#[^\r\n]*)?)
    (?P<end>\r?\n?)
    """,
    re.VERBOSE,
)
_LINES = re.compile(rb"[^\n]*\n|[^\n]+")
_ESCAPED = re.compile(rb"\|([0-9A-Fa-f]{2})")
_TO_ESCAPE = re.compile(rb'["|\x00-\x08\x0a-\x1f\x7f]')

_BOM = b"\xef\xbb\xbf"
_ASCII = bytes(range(0x20, 0x7F))


@dataclass(frozen=True)
class Line:
    text: bytes
    name: str = ""
    """In lower case; empty for what is no setting."""
    value: bytes = b""


@dataclass(frozen=True)
class Vmx:
    """Frozen: a change gives a new one."""

    lines: tuple[Line, ...]
    encoding: str
    bom: bytes = b""

    @cached_property
    def _values(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for line in self.lines:
            if line.name:
                values.setdefault(line.name, line.value.decode(self.encoding, errors="replace"))
        return values

    def get(self, name: str) -> str:
        """Empty where it is not set, which VMware takes for the same."""
        return self._values.get(name.lower(), "")

    def is_true(self, name: str) -> bool:
        return self.get(name).upper() == "TRUE"

    def names(self) -> Iterator[str]:
        """Of all settings, in lower case, in their order."""
        return iter(self._values)

    @property
    def repeated(self) -> tuple[str, ...]:
        """Names that are set more than once: VMware refuses to read such a file."""
        seen, again = set[str](), dict[str, None]()
        for line in self.lines:
            if line.name in seen:
                again[line.name] = None
            seen.add(line.name)
        again.pop("", None)
        return tuple(again)

    def changed(self, settings: Mapping[str, str | None]) -> Vmx:
        """With these settings, in their old places or at the end. None removes one."""
        left = {name.lower(): (name, value) for name, value in settings.items()}
        wanted = dict(left)
        lines: list[Line] = []
        for line in self.lines:
            if line.name not in wanted:
                lines.append(line)
            elif line.name in left:  # a repetition is dropped
                _, value = left.pop(line.name)
                lines += [self._rewritten(line, value)] if value is not None else []
        added = [self._line(name, value) for name, value in left.values() if value is not None]
        return Vmx((*_ended(lines, self._newline if added else b""), *added), self.encoding, self.bom)

    def dump(self) -> bytes:
        return self.bom + b"".join(line.text for line in self.lines)

    @property
    def _newline(self) -> bytes:
        return b"\r\n" if self.lines and self.lines[0].text.endswith(b"\r\n") else b"\n"

    def _encoded(self, value: str) -> bytes:
        """A sign that the file's encoding does not have becomes a question mark: only names for people have such."""
        return value.encode(self.encoding, errors="replace")

    def _line(self, name: str, value: str) -> Line:
        encoded = self._encoded(value)
        return Line(name.encode() + b' = "' + _escape(encoded) + b'"' + self._newline, name.lower(), encoded)

    def _rewritten(self, line: Line, value: str) -> Line:
        match = _LINE.fullmatch(line.text)
        assert match, "a line that has a name was parsed"
        encoded = self._encoded(value)
        text = match["before"] + match["name"] + b' = "' + _escape(encoded) + b'"' + match["after"] + match["end"]
        return Line(text, line.name, encoded)


def parse(data: bytes) -> Vmx:
    """Raises `ValueError` for an encoding that nobody here knows."""
    bom, data = (_BOM, data[len(_BOM) :]) if data.startswith(_BOM) else (b"", data)
    lines = tuple(_parse_line(text) for text in _LINES.findall(data))
    declared = next((line.value for line in lines if line.name == ".encoding"), b"UTF-8")
    return Vmx(lines, _known(declared.decode("ascii", errors="replace")), bom)


def read(path: Path) -> Vmx:
    """Raises `TargetError` for a file that cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as problem:
        raise TargetError(f"there is no file {path}") from problem
    except OSError as problem:
        raise TargetError(f"{path}: cannot be read: {problem.strerror}") from problem
    try:
        return parse(data)
    except ValueError as problem:
        raise TargetError(f"{path}: {problem}") from problem


def write(path: Path, vmx: Vmx) -> None:
    """In one step. Raises `TargetError`."""
    with telling_os_errors(f"{path}: cannot be written"):
        replace_file(path, vmx.dump())


def _parse_line(text: bytes) -> Line:
    match = _LINE.fullmatch(text)
    if match is None:
        return Line(text)
    raw = match["quoted"] if match["quoted"] is not None else match["bare"] or b""
    value = _ESCAPED.sub(lambda escaped: bytes([int(escaped[1], 16)]), raw)
    return Line(text, match["name"].decode("utf-8", errors="replace").lower(), value)


def _escape(value: bytes) -> bytes:
    return _TO_ESCAPE.sub(lambda found: b"|%02X" % found[0][0], value)


def _ended(lines: list[Line], newline: bytes) -> list[Line]:
    """The last line may lack its end; nothing may be appended to it then."""
    if newline and lines and not lines[-1].text.endswith(b"\n"):
        last = lines[-1]
        return [*lines[:-1], Line(last.text + newline, last.name, last.value)]
    return lines


def _known(encoding: str) -> str:
    """An encoding in which the settings' names and our values are what they are in ASCII."""
    try:
        if _ASCII.decode(encoding) == _ASCII.decode("ascii"):
            return encoding
    except (LookupError, UnicodeError):
        pass
    raise ValueError(f"its encoding {encoding} is not known here; save it in VMware as UTF-8")
