"""A configuration that is being begun: what is known of it, and what is to be asked next.

Nothing here knows a driver: which there are is what is installed, and what each wants to be told are its own keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..contract.driver import DriverConfig
from ..contract.machines import Role
from ..registry import FoundDriver, declared, own_names
from .choosing import choose_drivers
from .core import CoreConfig
from .problems import Place, Problems
from .settings import arrange
from .sources import Given
from .validate import Validator
from .values import Entry, Origin
from .vocabulary import COUNT, ROLE_SECTIONS, Key, Vocabulary, compose, variable

_FIRST = ("target", "os")
"""What all other questions depend on."""
_LAST = ("pod_subnet",)
_SIZE = ("cpu", "mem")


@dataclass(frozen=True)
class Question:
    """One key that is yet to be given."""

    key: Key
    suggestion: str | None
    """What counts where nothing is said; empty: the key is left out; None: something has to be said."""
    choices: tuple[str, ...] = ()
    """All that may be said, where that is known."""


@dataclass(frozen=True)
class Draft:
    """Answers by key, as a document has them; an empty one leaves the key out."""

    answers: Mapping[str, str]
    folder: Path
    """Where the document is to lie: its relative paths begin there."""
    environ: Mapping[str, str]
    """Of the variables that answers may name. Those that are keys would not be in the document, and do not count."""

    @classmethod
    def begin(cls, answers: Mapping[str, str], folder: Path, environ: Mapping[str, str]) -> Draft:
        return cls(answers, folder, {name: it for name, it in environ.items() if not name.startswith(variable(""))})

    def answered(self, key: Key, text: str) -> Draft:
        return replace(self, answers={**self.answers, key.name: text.strip()})

    def answer(self, key: Key) -> str:
        """Under whichever of its names; empty where there is none."""
        return next((self.answers[name] for name in key.names if name in self.answers), "")

    # --- what is asked --------------------------------------------------------------------------------------------------

    def questions(self) -> Iterator[Question]:
        """What nobody has answered, in the order of asking. Of a driver that is not chosen nobody knows what it wants."""
        for key in self._asked():
            if not any(name in self.answers for name in key.names):
                yield self._question(key)

    def _asked(self) -> Iterator[Key]:
        core = CoreConfig.model_fields
        yield from self._of(CoreConfig, _FIRST)
        others = [driver.cls.Config for driver in self.drivers if driver.kind != "target"]
        if self.target:
            yield from self._of(self.target.cls.Config)
        yield from self._of(CoreConfig, [name for name in core if name not in (*_FIRST, *_LAST)])
        for model in others:
            yield from self._of(model)
        yield from self._of(CoreConfig, _LAST)

    def _of(self, model: type[DriverConfig], names: Iterable[str] = ()) -> list[Key]:
        """Those that are asked for, among these names or all of the model's; what is required comes first. No secret is."""
        keys = self.vocabulary.keys_of(model)
        chosen = [keys[name] for name in names or keys if keys[name].asked and not keys[name].shape.secret]
        return sorted(chosen, key=lambda key: not key.field.is_required())

    def _question(self, key: Key) -> Question:
        if key.name in _FIRST:
            names = own_names(key.name)
            return Question(key, names[0] if len(names) == 1 else None, names)
        if key.name in ROLE_SECTIONS:
            return Question(key, str(self.sizes(ROLE_SECTIONS[key.name])[COUNT]))
        if key.field.is_required():
            return Question(key, None)
        default = key.field.get_default(call_default_factory=True)
        return Question(key, "" if default in (None, "", [], {}) else str(default))

    def sizes(self, role: Role) -> Mapping[str, int]:
        """What is suggested for the machines of a role: by the target, else by the core's defaults."""
        core, counts = CoreConfig.model_fields, {role: name for name, role in ROLE_SECTIONS.items()}
        sizes: dict[str, Any] = {name: core[name].default for name in _SIZE} | {**CoreConfig.role_defaults.get(role, {})}
        if role in counts:
            sizes[COUNT] = core[counts[role]].default
        none: Mapping[Role, Mapping[str, int]] = {}
        target = self.target.cls if self.target else None
        suggested = declared(target, "suggested_sizes", none, Mapping[Role, Mapping[str, int]])
        return {**sizes, **suggested.get(role, {})}

    # --- what is known --------------------------------------------------------------------------------------------------

    @cached_property
    def drivers(self) -> list[FoundDriver]:
        """Those that are chosen by now. Raises `ConfigError` for one that cannot be had."""
        problems = Problems()
        found = choose_drivers(self._given, problems)
        problems.raise_if_any()
        return found

    @property
    def target(self) -> FoundDriver | None:
        return next((driver for driver in self.drivers if driver.kind == "target"), None)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return compose(self.drivers)

    def check(self) -> None:
        """Raise `ConfigError` for what no document may say. That something is missing is no fault yet."""
        problems, vocabulary = Problems(), self.vocabulary
        for name, text in self.answers.items():
            if name in vocabulary.keys and vocabulary.keys[name].shape.secret:
                problems.add(Place(name), "is a secret, and is not written: the document names a variable in its place")
            elif not text and name in ROLE_SECTIONS:
                problems.add(Place(name), "say how many, such as 3")
            elif not text.isprintable():
                problems.add(Place(name), "one line of printable text is meant")
        problems.raise_if_any()
        complete = all(self.answers.get(kind) for kind in _FIRST)
        settings = arrange(self._given, vocabulary, problems, complete=complete)
        validator = Validator(vocabulary, settings, self.environ, problems)
        for role in (None, *settings.roles):
            validator.validate(CoreConfig, "the configuration", role)
            for driver in self.drivers:
                validator.validate(driver.cls.Config, f"{driver.kind} {driver.name}", role)
        problems.raise_if_any()

    @property
    def _given(self) -> Given:
        said = {name: text for name, text in self.answers.items() if text}
        entries = {name: Entry(Place(name), Origin.FILE, text, self.folder) for name, text in said.items()}
        return Given((), {}, (), (entries,), self.environ, {})
