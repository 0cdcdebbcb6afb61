"""Local manifests, looked at before any machine exists: whether kubectl can take their documents for objects at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from .parser import LOADER, line_nested_deeper

_NAMES = ("apiVersion", "kind")
_MOST = 5
_DEEPEST = 1000
"""Levels of nesting."""


def faults(path: Path) -> list[str]:
    """What kubectl would refuse on the machine, each at its line."""
    try:
        with path.open("rb") as file:
            if line := line_nested_deeper(file, _DEEPEST):
                return [f"{path}:{line}: is nested deeper than {_DEEPEST} levels"]
            file.seek(0)
            documents = [node for node in yaml.compose_all(file, LOADER) if not _is_empty(node)]
    except yaml.YAMLError as error:
        return [f"{path}{_line_of(error)}: is no YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"]
    except OSError as error:
        return [f"{path} cannot be read: {error.strerror}"]
    if not documents:
        return [f"{path} holds no object"]
    found = [f"{path}:{line}: {fault}" for document in documents for line, fault in _faults(document)]
    more = [f"and {len(found) - _MOST} more of the kind"] if len(found) > _MOST else []
    return [*found[:_MOST], *more]


def _faults(node: yaml.Node, within: tuple[yaml.Node, ...] = ()) -> Iterator[tuple[int, str]]:
    """`within`: the lists around it. An alias may lead back to one of them."""
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        yield line, "is no object, which has apiVersion and kind"
        return
    values = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    missing = [name for name in _NAMES if not _is_text(values.get(name))]
    if missing:
        yield line, f"an object without {' and '.join(missing)}"
    items = values.get("items")
    if _is_text(values.get("kind")) and values["kind"].value == "List" and isinstance(items, yaml.SequenceNode):
        for item in items.value:
            if item is node or item in within:
                yield line, "a list that holds itself"
            else:
                yield from _faults(item, (*within, node))


def _is_text(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and bool(node.value)


def _is_empty(node: yaml.Node | None) -> bool:
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null")


def _line_of(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}" if mark else ""
