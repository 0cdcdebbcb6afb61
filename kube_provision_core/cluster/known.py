"""A fact: known as it was told, or unknown with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from ..contract.errors import KubeProvisionError

T = TypeVar("T")


@dataclass(frozen=True)
class Known(Generic[T]):
    """A fact, as it was told."""

    value: T


@dataclass(frozen=True)
class Unknown:
    """A fact that nobody could tell."""

    error: KubeProvisionError

    @property
    def reason(self) -> str:
        return str(self.error)

    @property
    def value(self) -> NoReturn:
        """For whoever cannot go on without it. Raises why it is unknown."""
        raise self.error


def learn(ask: Callable[[], T]) -> Known[T] | Unknown:
    """What `ask` tells; unknown where it fails in an expected way."""
    try:
        return Known(ask())
    except KubeProvisionError as error:
        return Unknown(error)
