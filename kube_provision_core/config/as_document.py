"""What a command line says → a document that says the same, to be given as `-e @FILE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from ..registry import FoundDriver
from .vocabulary import Vocabulary, compose

_STR, _MAP = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map"))


def extra_document(text: str, drivers: Sequence[FoundDriver]) -> bytes:
    """Of `-e KEY=VALUE`, which was loaded before. `1.30` stays that, and no variable is read."""
    key, _, value = text.partition("=")
    said = (yaml.ScalarNode(_STR, key.strip()), _node(key.strip(), value, compose(drivers)))
    document = yaml.MappingNode(_MAP, [said], flow_style=False)
    return _without_references(yaml.serialize(document, Dumper=yaml.SafeDumper, allow_unicode=True))


def flags_document(flags: Mapping[str, object]) -> bytes:
    return _without_references(yaml.safe_dump(dict(flags), allow_unicode=True))


def _without_references(text: str) -> bytes:
    return text.replace("${", "$${").encode()


def _node(written: str, text: str, vocabulary: Vocabulary) -> yaml.Node:
    """Text is taken as it is, unless it is quoted, or its key holds more than text: as `-e` takes it."""
    key = vocabulary.keys.get(written)
    yields = written in vocabulary.sections or key is None or key.shape.nested or key.shape.typed
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        node = None
    is_text = isinstance(node, yaml.ScalarNode) and (node.value == text or text[:1] in ("'", '"'))
    return node if node is not None and (yields or is_text) else yaml.ScalarNode(_STR, text)
