"""The one door into what is shown to anybody: what comes through has its secrets hidden, and what does not come is told."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from ..contract.errors import KubeProvisionError
from .hiding import HIDDEN, hide, names_secret
from .known import Known

T = TypeVar("T")


class Collection:
    """Texts by their paths, and what is missing among them."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._texts: dict[str, str] = {}
        self._missing: list[str] = []
        self._deadline: float | None = None

    @property
    def texts(self) -> Mapping[str, str]:
        return dict(self._texts)

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be asked, and what was cut, in a line each; without secrets."""
        return tuple(self._missing)

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """What would be asked later than that, by `time.monotonic`, is not asked any more, and is missing."""
        self._deadline = deadline
        try:
            yield
        finally:
            self._deadline = None

    def miss(self, what: str, why: str) -> None:
        self._missing.append(self._hidden(f"{what}: {' '.join(why.split())}"))

    def add_text(self, path: str, text: str) -> None:
        self._texts[path] = self._hidden(text)

    def add(self, path: str, value: object) -> None:
        """As JSON."""
        self._texts[path] = self._known.hide(json.dumps(self._plain(value), indent=1, ensure_ascii=False)) + "\n"

    def ask(self, path: str, question: Callable[[], object]) -> None:
        """Add what is answered, a text as it is. What is not answered is missing."""
        answer = self.learn(path, question)
        if isinstance(answer, str):
            self.add_text(path, answer)
        elif answer is not None:
            self.add(path, answer)

    def learn(self, what: str, question: Callable[[], T]) -> T | None:
        """The answer; None where there is none, and what was asked for is missing then.

        A fault of ours is missing with its traceback: it may be what all this is collected for.
        """
        if self._deadline is not None and time.monotonic() > self._deadline:
            self.miss(what, "not asked any more: what was asked before has taken too long")
            return None
        try:
            return question()
        except KubeProvisionError as error:
            self.miss(what, str(error))
        except Exception as error:  # noqa: BLE001 - see above
            self.miss(what, f"a fault of ours, {type(error).__name__}: {error}")
            self.add_text(f"faults/{what.replace('/', '-')}.txt", traceback.format_exc())
        return None

    def _hidden(self, text: str) -> str:
        return hide(self._known.hide(text))

    def _plain(self, value: object) -> Any:
        """What JSON can say, each text of it without secrets. What is named like a secret is hidden whatever it is."""
        if is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in fields(value)}
        if isinstance(value, Mapping):
            value = _paired(value)
            return {self._hidden(str(key)): self._named(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(self._hidden(str(item)) for item in value)
        return value if value is None or isinstance(value, bool | int | float) else self._hidden(str(value))

    def _named(self, key: str, value: object) -> Any:
        return HIDDEN if isinstance(value, str) and value and names_secret(key) else self._plain(value)


def _paired(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """What bears its name beside it, as Kubernetes has it, is hidden as what is called so."""
    secret = isinstance(value.get("value"), str) and names_secret(str(value.get("name", "")))
    return {**value, "value": HIDDEN} if secret else value
