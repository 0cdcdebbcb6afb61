"""Which drivers a configuration names."""

from __future__ import annotations

from collections.abc import Iterator

from ..contract.errors import PluginError
from ..registry import FoundDriver, choose, offers
from .core import CoreConfig
from .problems import Place, Problems
from .settings import Settings, arrange
from .sources import Given
from .values import read_value
from .vocabulary import Vocabulary, compose

DRIVER_KEYS = ("target", "os", "discovery")
"""Keys that name one driver each; `extensions` lists more."""


def choose_drivers(given: Given, problems: Problems) -> list[FoundDriver]:
    """The drivers that are named, imported. One that cannot be had is a problem at its line, and left out."""
    vocabulary = compose([])
    settings = arrange(given, vocabulary, Problems(), complete=False)
    drivers, offered = [], offers()
    for kind, name, place in _named(given, settings, vocabulary):
        try:
            drivers.append(choose(kind, name, offered))
        except PluginError as error:
            problems.add(place, str(error))
    return drivers


def _named(given: Given, settings: Settings, vocabulary: Vocabulary) -> Iterator[tuple[str, str, Place | None]]:
    """Kind, name and place of every driver; whatever is no name is left to the validation of its key."""
    for kind in DRIVER_KEYS:
        default = CoreConfig.model_fields[kind].default
        data, place = _read(kind, given, settings, vocabulary)
        name = default if place is None else data
        if isinstance(name, str):
            yield kind, name, place
    data, place = _read("extensions", given, settings, vocabulary)
    for name in dict.fromkeys(name for name in data if isinstance(name, str)) if isinstance(data, list) else ():
        yield "extension", name, place


def _read(key: str, given: Given, settings: Settings, vocabulary: Vocabulary) -> tuple[object, Place | None]:
    entry = settings.entry(key)
    if entry is None:
        return None, None
    value = read_value(entry, vocabulary.keys[key].shape, given.environ, Problems())
    return (value.data if value else None), entry.place
