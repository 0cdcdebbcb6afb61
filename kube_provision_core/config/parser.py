"""PyYAML's parser, in the faster of its kinds, and how deep a text may be nested for it."""

from __future__ import annotations

from typing import IO, Any

import yaml

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, much faster, where PyYAML was built with it: a network plugin's manifest has ten thousand lines."""


def line_nested_deeper(stream: str | IO[bytes], levels: int) -> int:
    """The first line that is nested deeper than so many levels; 0 if none is. Raises `yaml.YAMLError`.

    To be asked before anything is composed: that recursion ends the process at some ten thousand.
    """
    depth = 0
    for event in yaml.parse(stream, LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > levels:
            return event.start_mark.line + 1 if event.start_mark else 1
    return 0
