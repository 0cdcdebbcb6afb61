"""What every test may use."""

import pytest
from hypothesis import settings

from kube_provision_core.folder.pki import Pki, create_pki

pytest_plugins = ["pytester"]

settings.register_profile("any-machine", deadline=None)  # how long one example takes says more of the machine than of us
settings.load_profile("any-machine")


@pytest.fixture
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run looks again at once at what it awaits: what is in memory, or was started by a test, needs no patience."""
    monkeypatch.setattr("kube_provision_core.engine.executor.FIRST_LOOK", 0.01)
    monkeypatch.setattr("kube_provision_core.engine.executor.LONGEST_LOOK", 0.02)


@pytest.fixture(scope="session")
def pki() -> Pki:
    """A cluster's, for whom it does not matter which: it takes its time to make."""
    return create_pki("prod")
