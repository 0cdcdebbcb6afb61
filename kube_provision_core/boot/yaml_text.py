"""YAML as we write it: literal blocks for text of several lines, no anchors, keys in the order in which they were set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from ..config.parser import LOADER

_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's writer, 15 times faster, where PyYAML was built with it."""


class _Dumper(_Base):  # type: ignore[misc] # the base is chosen at run time
    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def dump(value: object) -> str:
    return dump_all([value])


def dump_all(documents: Sequence[object]) -> str:
    return str(
        yaml.dump_all(
            documents,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=100_000,
            explicit_start=len(documents) > 1,
        )
    )


def read_all(text: str | bytes) -> Iterator[Any]:
    """The documents of what was written here, or by a plugin. Raises `yaml.YAMLError`."""
    yield from yaml.load_all(text, Loader=LOADER)
