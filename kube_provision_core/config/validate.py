"""Entries → models: every model once per role, each fault explained at its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from ..contract.driver import DriverConfig
from ..contract.local_paths import FOLDERS
from ..contract.machines import Role
from ..contract.node_network import TAKEN
from ..contract.subnets import Subnets
from .explain import explain, is_missing
from .problems import Place, Problems
from .settings import Settings
from .values import Entry, Value, Way, read_value
from .vocabulary import COUNT, WORKERS, Key, Vocabulary

Model = TypeVar("Model", bound=DriverConfig)


@dataclass(frozen=True)
class Outcome(Generic[Model]):
    """What came of one model for one role."""

    config: Model | None
    missing: frozenset[str] = frozenset()
    """Keys that it requires and that nobody gave: for the caller to tell, who knows whether the role is used."""


class Validator:
    """Validates models against the settings; remembers what it has read, so that no fault is explained twice."""

    def __init__(self, vocabulary: Vocabulary, settings: Settings, environ: Mapping[str, str], problems: Problems) -> None:
        self._vocabulary = vocabulary
        self._settings = settings
        self._environ = environ
        self._problems = problems
        self.taken: Mapping[str, Subnets] = {}
        """The networks of pods and services by key, once they are known."""
        self._values: dict[tuple[int, str], Value | None] = {}
        self._outcomes: dict[tuple[Any, ...], Outcome[Any]] = {}

    def place(self, key: str, role: Role | None = None, way: Way = ()) -> Place | None:
        """Where a role's value for a key was given, or the document's; None for a default. `way` leads into the value."""
        entry = self._settings.entry(key, role)
        if entry is None:
            return None
        value = self._values.get((id(entry), key))
        return value.place_of(way) if value else entry.place

    def validate(
        self, model: type[Model], owner: str, role: Role | None, defaults: Mapping[str, Any] = {}
    ) -> Outcome[Model]:
        """The model for a role, None meaning the document. Roles with the same entries share one result."""
        keys = self._vocabulary.keys_of(model)
        if role and role.is_pool and WORKERS in keys:
            keys[WORKERS] = replace(keys[WORKERS], called=COUNT)
        entries = {name: entry for name in keys if (entry := self._settings.entry(name, role))}
        same = (model, *defaults.items(), *((name, id(entry)) for name, entry in entries.items()))
        if same not in self._outcomes:
            self._outcomes[same] = self._validate(model, owner, keys, entries, defaults)
        return self._outcomes[same]

    def _validate(
        self,
        model: type[Model],
        owner: str,
        keys: Mapping[str, Key],
        entries: Mapping[str, Entry],
        defaults: Mapping[str, Any],
    ) -> Outcome[Model]:
        read = {name: self._read(keys[name], entry) for name, entry in entries.items()}
        values = {name: value for name, value in read.items() if value is not None}
        data = {**defaults, **{name: value.data for name, value in values.items()}}
        folders = {name: value.folder for name, value in values.items()}
        try:
            config = model.model_validate(data, context={FOLDERS: folders, TAKEN: self.taken})
        except ValidationError as error:
            secrets = [str(value.data) for name, value in values.items() if keys[name].shape.secret]
            explain(error, values, keys, owner, secrets, self._problems)
            missing = {str(fault["loc"][0]) for fault in error.errors(include_url=False) if is_missing(fault)}
            return Outcome(None, frozenset(missing - read.keys()))
        return Outcome(config if len(values) == len(read) else None)

    def _read(self, key: Key, entry: Entry) -> Value | None:
        known = (id(entry), key.name)
        if known not in self._values:
            self._values[known] = self._read_anew(key, entry)
        return self._values[known]

    def _read_anew(self, key: Key, entry: Entry) -> Value | None:
        if key.shape.secret and entry.origin.public:
            self._problems.add(
                entry.place,
                f"{key.name} is a secret, and everyone can read a command line; write it in a file or set {key.variable}",
            )
            return None
        return read_value(entry, key.shape, self._environ, self._problems)
