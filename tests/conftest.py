"""What every test may use."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings

from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.folder.x509 import create_signing_key

pytest_plugins = ["pytester"]

TESTS = Path(__file__).parent
LAYERS = {
    "integration": pytest.mark.integration,
    "packaging": pytest.mark.integration,
    "e2e": pytest.mark.e2e,
    "machines": pytest.mark.e2e,
}

settings.register_profile("any-machine", deadline=None)  # how long one example takes says more of the machine than of us
settings.load_profile("any-machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is of the layer in whose folder it stands: none that boots a cluster gets among those that need no server."""
    for item in items:
        if TESTS in item.path.parents and (layer := LAYERS.get(item.path.relative_to(TESTS).parts[0])):
            item.add_marker(layer)


_SIGNING_KEYS: list[tuple[bytes, bytes]] = []


@pytest.fixture(autouse=True)
def signing_keys() -> Iterator[None]:
    """Each cluster of a test has one of its own, of those made for tests before: to make one takes longer than most."""
    turn = count()

    def next_one() -> tuple[bytes, bytes]:
        place = next(turn)
        while place >= len(_SIGNING_KEYS):
            _SIGNING_KEYS.append(create_signing_key())
        return _SIGNING_KEYS[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kube_provision_core.folder.pki.create_signing_key", next_one)
        yield


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks again at once at what it awaits: what is in memory, or was started by a test, needs no patience."""
    monkeypatch.setattr("kube_provision_core.engine.executor.FIRST_LOOK", 0.01)
    monkeypatch.setattr("kube_provision_core.engine.executor.LONGEST_LOOK", 0.02)


@pytest.fixture(scope="session")
def pki() -> Pki:
    """A cluster's, for whom it does not matter which: it takes its time to make."""
    return create_pki("prod")
