"""What is found wrong with a key once the configuration has been read → told with where that key is given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..contract.errors import ConfigError, KubeProvisionError
from ..contract.machines import Role
from .validate import Validator
from .values import Way

_BEGINNING = re.compile(r"(?P<key>[a-z][a-z0-9_]*)(?P<way>(?:\.[^\s.:\[\]]+|\[\d+\])*): ")
"""Of a line about a key, or about what is in one: `kubelet.maxPods: …`, `networks[1].static_ip: …`."""
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


class Places:
    """Where keys were given, by what is told of them."""

    def __init__(self, validator: Validator, roles: Sequence[Role]) -> None:
        self._validator, self._roles = validator, roles

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Bad input that drivers and verbs find meanwhile is told with its place, as what is found in reading is."""
        try:
            yield
        except KubeProvisionError as error:
            if error.exit_code == ConfigError.exit_code:
                lines = [self.told(line) for line in str(error).splitlines()]
                error.args = ("\n".join(lines),)
                if isinstance(error, ConfigError):
                    error.problems = tuple(lines)
            raise

    def told(self, line: str) -> str:
        """The line as it is where its key is given nowhere, or to several roles: of which it speaks nobody knows."""
        begins = _BEGINNING.match(line)
        if begins is None:
            return line
        way: Way = tuple(name or int(number) for name, number in _STEP.findall(begins["way"]))
        given = {self._validator.place(begins["key"], role, way) for role in (None, *self._roles)} - {None}
        return f"{given.pop()}: {line}" if len(given) == 1 else line
