"""A draft as the text of a document, in which a comment says of each key what it means."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from ..contract.machines import Role
from .core import CoreConfig
from .document import DocumentError, Table, Text, parse
from .draft import Draft
from .vocabulary import COUNT, ROLE_SECTIONS, Key

_WIDTH = 100
_HEAD = """\
Made by `kube-provision init`. What a key means stands above it; what may be added is a comment.
All keys there are: docs/configuration.md, or `kube-provision schema --config FILE` for an editor."""
_NAMING = ("name", "target", "os", "discovery", "extensions")
_WORTH_KNOWING = ("pools", "kubernetes_version", "users", "ntp_servers", "http_proxy", "registries", "trusted_ca")
"""The core's keys that many a site needs, and that may be left out."""


def variable_of(key: Key) -> str:
    """The variable that a document names in the place of a secret."""
    return key.name.upper()


def secrets(draft: Draft) -> tuple[Key, ...]:
    """Those without which the document would not do, and which it names by their variables."""
    return tuple(key for key in _unique(draft) if key.shape.secret and key.field.is_required())


def document(draft: Draft, *, makes_discovery: bool) -> str:
    """The text. `makes_discovery`: the cluster has a discovery machine of its own, whose size stands in it."""
    core = draft.vocabulary.keys_of(CoreConfig)
    counted = [_counted(draft, core[name], role) for name, role in ROLE_SECTIONS.items()]
    known = (*_NAMING, *ROLE_SECTIONS)
    parts = [
        _comment(_HEAD),
        *_said(draft, [core[name] for name in _NAMING]),
        *counted,
        *(_discovery(draft) if makes_discovery else ()),
        *_said(draft, [key for name, key in core.items() if name not in known]),
    ]
    for driver in draft.drivers:
        keys = list(draft.vocabulary.keys_of(driver.cls.Config).values())
        said = list(_said(draft, keys))
        left = list(_left_out(draft, keys)) if driver.kind in ("target", "discovery") else []
        if said or left:
            parts += [f"# --- {driver.kind} {driver.name} ---\n", *said, *left]
    parts += ["# --- what many a site needs ---\n", *_left_out(draft, [core[name] for name in _WORTH_KNOWING])]
    return "\n".join(parts)


def _unique(draft: Draft) -> Iterable[Key]:
    return {key.name: key for key in draft.vocabulary.keys.values()}.values()


def _said(draft: Draft, keys: Iterable[Key]) -> Iterator[str]:
    for key in keys:
        if key.shape.secret and key.field.is_required():
            hidden = f"It is not to stand here: export {variable_of(key)}=… where kube-provision is run."
            yield f"{_comment(f'{key.plain_help} {hidden}')}{key.name}: ${{{variable_of(key)}}}\n"
        elif text := draft.answer(key):
            yield f"{_comment(key.plain_help)}{key.name}: {_written(key, text)}\n"


def _left_out(draft: Draft, keys: Iterable[Key]) -> Iterator[str]:
    """What a secret would be is named by its variable here as well."""
    for key in keys:
        if not draft.answer(key) and not key.field.is_required() and _is_shown(draft, key):
            secret = key.shape.secret and not key.shape.nested
            shown = f"${{{variable_of(key)}}}" if secret else key.example or _default(key)
            yield f"{_comment(key.plain_help)}# {key.name}: {shown}\n"


def _is_shown(draft: Draft, key: Key) -> bool:
    beside = draft.vocabulary.keys.get(key.shown) if isinstance(key.shown, str) else None
    return bool(draft.answer(beside)) if beside else key.shown is True


def _counted(draft: Draft, key: Key, role: Role) -> str:
    """A section, unless the answer is one already."""
    answer = draft.answer(key)
    size = {**draft.sizes(role), COUNT: answer}
    text = answer if answer.startswith("{") else _flow({name: size[name] for name in (COUNT, "cpu", "mem")})
    return f"{_comment(f'{key.plain_help} `cpu`: processors, `mem`: GiB of memory of each.')}{key.name}: {text}\n"


def _discovery(draft: Draft) -> Iterator[str]:
    for section in draft.vocabulary.sections.keys() - ROLE_SECTIONS.keys():
        text = draft.answers.get(section) or _flow(draft.sizes(Role.DISCOVERY))
        yield f"{_comment('The machine by which nodes find each other.')}{section}: {text}\n"


def _default(key: Key) -> str:
    value = key.field.get_default(call_default_factory=True)
    if value is None or value == "":
        return "…"
    return _written(key, value) if isinstance(value, str) else json.dumps(value, default=str)


def _flow(values: Mapping[str, object]) -> str:
    return f"{{{', '.join(f'{name}: {value}' for name, value in values.items())}}}"


def _written(key: Key, text: str) -> str:
    """As it is where YAML takes it for just that text, or where the key holds more than text; else quoted."""
    if key.shape.nested or key.shape.typed:
        return text
    try:
        read = parse(f"key: {text}\n")
    except DocumentError:
        return json.dumps(text, ensure_ascii=False)
    plain = isinstance(read, Table) and isinstance(it := read.items.get("key"), Text) and it.text == text
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str) -> str:
    lines = [line for part in text.splitlines() for line in textwrap.wrap(part, _WIDTH)]
    return "".join(f"# {line}\n" for line in lines)
