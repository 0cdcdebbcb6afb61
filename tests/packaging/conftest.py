"""What these tests install comes from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.own_network import outside


@pytest.fixture(autouse=True, scope="module")
def network_of_the_machine() -> Iterator[None]:
    with outside():
        yield
