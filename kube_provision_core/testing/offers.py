"""What a suite's user does not offer is not checked, and says so."""

from __future__ import annotations

from typing import TypeVar

import pytest

Offer = TypeVar("Offer")


def offered(it: Offer | None, name: str) -> Offer:
    """A check for something that is not offered says so by name; it is not passed."""
    if it is None:
        pytest.skip(f"not offered: {name}")
    return it
