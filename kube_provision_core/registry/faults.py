"""Whether a value is what an annotation says. Asked once, where plugins answer: whoever works with it need not doubt it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from ..contract.rules import Rule

Fault = tuple[str, str] | None
"""Where in the value, and what is wrong there."""
Finder = Callable[[Any], Fault]

_PLAIN = (str, int, float, bool, NoneType)
_SHOWN = (str, int, float, list, tuple, set, frozenset, dict)
_LONGEST = 60


def fault(value: object, hint: object) -> str:
    """What is wrong with it, in words that follow "answers"; empty where nothing is.

    Values are shown only where texts and numbers are meant: others may hold secrets.
    """
    found = _finder(hint)(value)
    if found is None:
        return ""
    place, text = found
    return f"{place.removeprefix('.')}: {text}" if place else text


@cache
def _finder(hint: Any) -> Finder:
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if hint is Any:
        return lambda value: None
    if origin is Annotated:
        return _ruled(arguments[0], *(it for it in arguments[1:] if isinstance(it, Rule)))
    if origin in (Union, UnionType):
        return _one_of(arguments)
    if origin is tuple and arguments[-1:] != (...,):
        return _row(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(hint, *arguments)
    if isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, str | bytes):
        return _collection(hint, origin, arguments[0])
    return _dataclass(hint) if isinstance(hint, type) and is_dataclass(hint) else _plain(hint, origin)


def _plain(hint: Any, kind: type) -> Finder:
    """Truth values are no numbers, though Python counts them among these; a whole number will do for any."""
    wanted = (int, float) if kind is float else kind
    number = kind in (int, float)

    def find(value: Any) -> Fault:
        fits = isinstance(value, wanted) and not (number and isinstance(value, bool))
        return None if fits else _mistaken(value, hint)

    return find


def _ruled(hint: Any, *rules: Rule) -> Finder:
    of_type = _finder(hint)

    def find(value: Any) -> Fault:
        found = of_type(value)
        for rule in rules:
            if found is None and not rule.holds(value):
                found = "", f"{_shown(value)} is not {rule.words}"
        return found

    return find


def _one_of(hints: Sequence[Any]) -> Finder:
    meant = [hint for hint in hints if hint is not NoneType]
    finders = [_finder(hint) for hint in meant]

    def find(value: Any) -> Fault:
        if value is None and len(meant) < len(hints):
            return None
        if any(finder(value) is None for finder in finders):
            return None
        return finders[0](value) if len(finders) == 1 else _mistaken(value, Union[tuple(meant)])  # noqa: UP007 - made at run time

    return find


def _collection(hint: Any, kind: type[Collection[Any]], item: Any) -> Finder:
    finder = _finder(item)

    def find(value: Any) -> Fault:
        if not isinstance(value, kind) or isinstance(value, str | bytes):
            return _mistaken(value, hint)
        return _first((f"[{position}]", finder(it)) for position, it in enumerate(value))

    return find


def _row(hint: Any) -> Finder:
    finders = [_finder(it) for it in get_args(hint)]

    def find(value: Any) -> Fault:
        if not isinstance(value, tuple) or len(value) != len(finders):
            return _mistaken(value, hint)
        return _first((f"[{number}]", finder(it)) for number, (finder, it) in enumerate(zip(finders, value, strict=True)))

    return find


def _mapping(hint: Any, key: Any = Any, item: Any = Any) -> Finder:
    of_key, of_item = _finder(key), _finder(item)

    def find(value: Any) -> Fault:
        if not isinstance(value, Mapping):
            return _mistaken(value, hint)
        return _first((f"[{it!r:.40}]", of_key(it) or of_item(value[it])) for it in value)

    return find


def _dataclass(kind: type) -> Finder:
    hints = get_type_hints(kind, include_extras=True)
    parts = [(it.name, _finder(hints[it.name]), it.repr) for it in fields(kind)]

    def find(value: Any) -> Fault:
        if not isinstance(value, kind):
            return _mistaken(value, kind)
        for name, finder, shown in parts:
            found = finder(getattr(value, name))
            if found is not None:
                return f".{name}{found[0]}", found[1] if shown else "its type is wrong (the value is not shown)"
        return None

    return find


def _first(found: Iterable[tuple[str, Fault]]) -> Fault:
    return next(((f"{place}{inner[0]}", inner[1]) for place, inner in found if inner is not None), None)


def _mistaken(value: object, hint: Any) -> Fault:
    kind = type(value).__name__
    told = f"{_shown(value)} is {_article(kind)}" if _harmless(hint) and isinstance(value, _SHOWN) else _article(kind)
    return "", f"{'None' if value is None else told}, where {_words(hint)} is expected"


def _harmless(hint: Any) -> bool:
    """Whether no secret can stand there: texts, numbers, and what is made of them."""
    inner = [it for it in get_args(hint) if it not in (..., NoneType) and not isinstance(it, Rule)]
    return all(map(_harmless, inner)) if inner else isinstance(hint, type) and issubclass(hint, (*_PLAIN, Enum))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _words(hint: Any) -> str:
    """An annotation as its author would write it."""
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_words(it) for it in get_args(hint))
    if hint is NoneType:
        return "None"
    inner = ", ".join("…" if it is ... else _words(it) for it in get_args(hint) if not isinstance(it, Rule))
    name = getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{inner}]" if inner and get_origin(hint) is not Annotated else inner or name


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"
