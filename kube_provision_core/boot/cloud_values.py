"""Merges plain cloud-config keys: dictionaries by key, lists end to end, anything else only if it is equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract.errors import BootError

OURS = {"write_files": "a file", "runcmd": "a step", "bootcmd": "a step", "packages": "a package"}
"""Keys whose content plugins express otherwise, so that it is checked, ordered and retried."""


class CloudValues:
    """The keys of several plugins as they come together."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._owners: dict[tuple[str, ...], str] = {}

    def add(self, plugin: str, values: Mapping[str, Any]) -> None:
        """Raises `BootError` naming both plugins where this one contradicts an earlier one."""
        for key in values.keys() & OURS.keys():
            raise BootError(
                f"cloud-config key {key}: plugin {plugin} must deliver this as {OURS[key]} of its fragment instead"
            )
        self._merge(plugin, (), self.values, values)

    def _merge(self, plugin: str, place: tuple[str, ...], into: dict[str, Any], values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            here = (*place, str(key))
            if key not in into:
                into[key] = plain(value)
                self._owners[here] = plugin
            elif isinstance(into[key], dict) and isinstance(value, Mapping):
                self._merge(plugin, here, into[key], value)
            elif isinstance(into[key], list) and isinstance(value, list | tuple):
                into[key] += [item for item in plain(value) if item not in into[key]]
            elif into[key] != value:
                raise BootError(self._conflict(plugin, here))

    def _conflict(self, plugin: str, place: tuple[str, ...]) -> str:
        known = (self._owners[place[:length]] for length in range(len(place), 0, -1) if place[:length] in self._owners)
        return (
            f"cloud-config key {'.'.join(place)}: plugins {next(known)} and {plugin} set different values; one must give way"
        )


def plain(value: Any) -> Any:
    """A copy in dictionaries and lists alone, which is what YAML is written from."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def override(values: dict[str, Any], winner: Mapping[str, Any]) -> None:
    """Merge the user's own keys into `values`: lists are appended to, dictionaries merged, anything else is replaced."""
    for key, value in winner.items():
        present = values.get(key)
        if isinstance(present, dict) and isinstance(value, Mapping):
            override(present, value)
        elif isinstance(present, list) and isinstance(value, list):
            present += [item for item in value if item not in present]
        else:
            values[key] = plain(value)
