"""What a suite's user does not offer is not checked, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from .connected import Connected

Offer = TypeVar("Offer")


def offered(it: Offer | None, name: str) -> Offer:
    """A check for something that is not offered says so by name; it is not passed."""
    if it is None:
        pytest.skip(f"not offered: {name}")
    return it


def answering(driver: Connected, *hooks: str) -> None:
    """As `offered`, for hooks that a driver may leave out."""
    for hook in hooks:
        offered(driver.offers(hook) or None, hook)


def answered(driver: Connected, hook: str) -> Callable[..., Any]:
    """A hook that a driver may leave out, to be called."""
    answering(driver, hook)
    call: Callable[..., Any] = getattr(driver, hook)
    return call
