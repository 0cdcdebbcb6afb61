"""The reference of all keys in Markdown, made from the models."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, SecretStr
from pydantic.fields import FieldInfo

from ..registry import FoundDriver
from .core import CoreConfig
from .script import ScriptConfig
from .vocabulary import Key, compose

_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "local file",
    SecretStr: "secret text",
    IPv4Address: "IPv4 address",
    IPv4Network: "IPv4 network",
    IPv4Interface: "IPv4 address with prefix length",
    IPv6Address: "IPv6 address",
    IPv6Network: "IPv6 network",
    IPv6Interface: "IPv6 address with prefix length",
    Any: "anything",
    JsonValue: "anything",
}
_HEAD = "| Key | Type | Default | Per role | Meaning |\n|---|---|---|---|---|\n"
_KINDS = {"target": "Target", "os": "Operating system", "discovery": "Discovery", "extension": "Extension"}


def reference(drivers: Sequence[FoundDriver]) -> str:
    """A section for the cluster, for the boot script and for each driver: every key with type, default and help."""
    core = compose([]).keys_of(CoreConfig)
    script = [core.pop(name) for name in ScriptConfig.model_fields]
    sections = [_section("Cluster", list(core.values())), _section("Boot script", script)]
    for driver in drivers:  # each by itself: two targets may well share a key
        keys = compose([driver]).keys_of(driver.cls.Config)
        sections.append(_section(f"{_KINDS[driver.kind]} `{driver.name}`", list(keys.values())))
    return "\n".join(sections)


def _section(title: str, keys: Sequence[Key]) -> str:
    if not keys:
        return f"## {title}\n\nNo keys of its own.\n"
    rows = "".join(_row(key) for key in keys)
    return f"## {title}\n\n{_HEAD}{rows}{''.join(_inner_tables(keys))}"


def _row(key: Key) -> str:
    names = f"`{key.name}`" + "".join(f", alias `{alias}`" for alias in key.names[1:])
    cells = (names, _type(key.field.annotation), _default(key.field), "yes" if key.per_role else "", key.help)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |\n"


def _inner_tables(keys: Iterable[Key]) -> Iterator[str]:
    """A table for each model that stands inside a value; what its keys mean where it says so."""
    users: dict[type[BaseModel], list[str]] = {}
    for key in keys:
        for name, model in dict.fromkeys(_models(key.name, key.field.annotation)):
            users.setdefault(model, []).append(f"`{name}`")
    told: set[str] = set()
    for model, names in users.items():
        where = " and ".join(names)
        fields = {name: field for name, field in model.model_fields.items() if field.annotation is not types.NoneType}
        columns = ["Key", "Type", "Default"] + ["Meaning"] * any(field.description for field in fields.values())
        head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
        rows = "".join(_inner_row(name, field, len(columns)) for name, field in fields.items())
        yield f"\n{'Or in' if where in told else 'In'} {where}:\n\n{head}{rows}"
        told.add(where)


def _inner_row(name: str, field: FieldInfo, columns: int) -> str:
    cells = (f"`{name}`", _type(field.annotation), _default(field), field.description or "")
    return f"| {' | '.join(_cell(cell) for cell in cells[:columns])} |\n"


def _models(name: str, annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """Each with the way to it, those in others too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield name, annotation
        for inner, field in annotation.model_fields.items():
            yield from _models(f"{name}.{inner}", field.annotation)
    for argument in get_args(annotation):
        yield from _models(name, argument)


def _type(annotation: Any) -> str:
    """A type in plain words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(member) for member in arguments if member is not types.NoneType))
    if origin in (list, tuple, set, frozenset):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping (below)"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, BaseModel):
        return "`{}`"
    return '`""`' if value == "" else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, (list, tuple)) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
