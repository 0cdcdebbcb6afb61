"""The command-line options that named a configuration, as advice writes them once more. No secret is among them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from .sources import flag
from .vocabulary import Vocabulary

_COUNTS = ("masters", "workers")
"""How many machines there should be names no site, and is what people change from run to run."""

_USER_OF_URL = re.compile(r"://[^/]*@")


def options(
    paths: Sequence[Path], extra: Sequence[str], flags: Mapping[str, object], vocabulary: Vocabulary
) -> Iterator[str]:
    """Without the cluster's name, which every command about it says. `flags` and `extra` are those of `load`."""
    for path in paths:
        yield from ("--config", str(path))
    for text in extra:
        if text.startswith("@") or _may_be_shown(text, vocabulary):
            yield from ("--extra", text)
    for key, value in flags.items():
        if value is not None and key not in ("name", *_COUNTS):
            yield from (flag(key), str(value))


def without_documents(options: Sequence[str], documents: Collection[Path]) -> tuple[str, ...]:
    """What is left of these options, each with its value, where none of the documents is to be named."""
    named = {text for path in documents for text in (str(path), f"@{path}")}
    pairs = zip(options[::2], options[1::2], strict=True)
    return tuple(word for pair in pairs if pair[1] not in named for word in pair)


def _may_be_shown(text: str, vocabulary: Vocabulary) -> bool:
    """Plain values only: what is nested, or takes anything, may hold a secret that no type tells of."""
    written, _, value = text.partition("=")
    key = vocabulary.keys.get(written.strip())
    if key is None or key.name in ("name", *_COUNTS):
        return False
    return not (key.shape.secret or key.shape.nested or key.shape.typed or _USER_OF_URL.search(value))
