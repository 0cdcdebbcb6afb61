"""pydantic's errors → plain words at the line of the very value, without ever showing the value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from .problems import Place, Problems, unknown_key
from .shapes import nested_keys
from .values import Value, Way
from .vocabulary import Key
from .words import PATTERNS

Fault = Mapping[str, Any]
"""One of pydantic's `ErrorDetails`."""

_UNPLAIN = re.compile(r"[^\w./-].*", re.DOTALL)
"""What follows the plain beginning of a key."""

_NUMBER = "must be a whole number"
_MAPPING = "must be a mapping of keys to values"
_WORDS = {
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "int_from_float": _NUMBER,
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "path_type": "must be a path",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "none_required": "must be left out",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "ip_v4_address": "must be an IPv4 address such as 10.0.0.1",
    "ip_v4_network": "must be an IPv4 network such as 10.244.0.0/16, its host bits zero",
    "ip_v4_interface": "must be an IPv4 address with its network's prefix length, such as 10.0.0.11/24",
    "ip_v6_address": "must be an IPv6 address",
    "ip_v6_network": "must be an IPv6 network such as fd00::/64, its host bits zero",
    "ip_v6_interface": "must be an IPv6 address with its network's prefix length, such as fd00::11/64",
    "ip_any_address": "must be an IP address",
    "ip_any_network": "must be an IP network such as 10.0.0.0/24, its host bits zero",
}
"""By pydantic's type of error. What is not here is told in the words of the validator that raised it."""
_TOO_SHORT = frozenset({"string_too_short", "too_short"})


def explain(
    error: ValidationError,
    values: Mapping[str, Value],
    keys: Mapping[str, Key],
    owner: str,
    secrets: Iterable[str],
    problems: Problems,
) -> None:
    """Add one problem for each faulty value of a model. Keys of the document that are missing are not told here."""
    found: dict[tuple[Place | None, str], list[str]] = {}
    for fault in error.errors(include_url=False, include_input=False):
        if is_missing(fault):
            continue
        name = str(fault["loc"][0]) if fault["loc"] else ""
        if name in values:
            place, subject, text = _locate(fault, values[name], keys[name], secrets)
        else:  # a validator of the whole model, or a default that its own model refuses
            place, subject, text = None, f"{owner}: {name}".rstrip(": "), _words(fault, secrets)
        found.setdefault((place, subject), []).append(text)
    for (where, subject), texts in found.items():
        problems.add(where, ": ".join(part for part in (subject, " or ".join(dict.fromkeys(texts))) if part))


def _locate(fault: Fault, value: Value, key: Key, secrets: Iterable[str]) -> tuple[Place, str, str]:
    """Place, subject and predicate of what is wrong inside one key's value."""
    way, data = _follow(value.data, fault["loc"][1:])
    called = key.called or key.name
    if value.place.line is None:  # a flag or a variable names its key itself, or the section of it
        called = f"{value.section}.{called}" if value.section else ""
    subject = _show(called, way)
    last = str(fault["loc"][-1])
    if fault["type"] == "extra_forbidden":
        known = nested_keys(key.model, key.name)
        return value.place_of(way), unknown_key(last, known, within=_show(key.name, way[:-1])), ""
    if fault["type"] == "missing":
        return value.place_of(way), f"{subject}.{last}".lstrip("."), "is missing"
    text = _words(fault, secrets, key.help)
    if last == "[key]":
        text = f"is no key here: it {text}"
    elif data is None and fault["type"] != "value_error":
        text = "has no value"
    return value.place_of(way), subject, text


def is_missing(fault: Fault) -> bool:
    """Whether a key of the document, not one inside a value, was not given."""
    return fault["type"] == "missing" and len(fault["loc"]) == 1


def _follow(data: Any, loc: Iterable[str | int]) -> tuple[Way, Any]:
    """The way of `loc` inside the data, without the names that pydantic gives to branches of unions."""
    way: list[str | int] = []
    for step in loc:
        if not isinstance(data, (dict, list)):
            break
        try:
            data = data[step]  # type: ignore[index]  # a step that does not fit raises TypeError
        except (LookupError, TypeError):
            continue
        way.append(step)
    return tuple(way), data


def _words(fault: Fault, secrets: Iterable[str], help_text: str = "") -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "string_pattern_mismatch":
        pattern = f"has another form than it should: {help_text}" if help_text else f"must match {context['pattern']}"
        return PATTERNS.get(context["pattern"], pattern)
    if kind in _TOO_SHORT and context.get("min_length") == 1:
        return "must not be empty"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    text = str(context.get("error", fault["msg"]))
    if any(secret in text for secret in secrets if secret):
        return "is not valid (the reason is not shown: it holds a secret)"
    return text


def _show(name: str, way: Way) -> str:
    """`containers[1].image`, `files./etc/motd`. Of a key that is no plain word only the start: a value may be in it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_UNPLAIN.sub('…', step)}" for step in way)
    return (name + "".join(steps)).lstrip(".")
