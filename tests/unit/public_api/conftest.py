"""The switch that writes the snapshot anew."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-public-api", action="store_true", help="write the snapshot of the public API anew")
