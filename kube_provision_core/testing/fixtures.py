"""What every suite needs of its user, and the checks that concern every kind of driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar

import pytest

from .. import API_VERSION, DriverConfig
from .connected import Connected
from .guards import io_seen

Check = TypeVar("Check", bound=Callable[..., None])

_ASKS_NOBODY = "asks_nobody"


def asks_nobody(check: Check) -> Check:
    """Mark a check that concerns the driver alone: it holds where the driver's target is out of reach, too."""
    setattr(check, _ASKS_NOBODY, True)
    return check


def needs_somebody(check: object) -> bool:
    """Whether a check has the driver ask its target."""
    return not getattr(check, _ASKS_NOBODY, False)


class DriverFixtures:
    """`make_driver` must be overridden; each other fixture unlocks checks, and what is None is not checked."""

    needed: tuple[str, ...] = ()
    """Hooks that a driver of this kind must answer."""
    without: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Fixtures, or checks, that cannot be offered, and why: what needs them is not even skipped."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in dir(cls):
            check = getattr(cls, name) if name.startswith("test_") else None
            if check and cls.without.keys() & {name, *signature(check).parameters}:
                setattr(cls, name, None)

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        """A function that constructs the driver. Override it."""
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Secrets in the driver's configuration (passwords, tokens) that nobody may ever read."""
        return ()

    @pytest.fixture
    def connect(self, make_driver: Callable[[], Any]) -> Iterator[Callable[[], Connected]]:
        """A function that makes the driver and connects it, as another run would."""
        made: list[Connected] = []

        def connect() -> Connected:
            made.append(Connected(make_driver()))
            return made[-1]

        yield connect
        for driver in made:
            if hasattr(driver.driver, "close"):
                driver.driver.close()

    @pytest.fixture
    def driver(self, connect: Callable[[], Connected]) -> Connected:
        """The driver, connected: its hooks are called by the contract's names and arguments."""
        return connect()


class DriverChecks(DriverFixtures):
    @asks_nobody
    def test_constructor_does_no_io(self, make_driver: Callable[[], Any]) -> None:
        with io_seen() as seen:
            make_driver()
        assert not seen, f"the constructor reached out into the world: {seen}"

    @asks_nobody
    def test_every_hook_is_marked_and_as_the_contract_names_it(self, driver: Connected) -> None:
        assert driver.manager, "it can be connected"
        missing = [hook for hook in self.needed if not driver.offers(hook)]
        assert not missing, f"it must answer {missing}"

    @asks_nobody
    def test_declares_what_it_is(self, make_driver: Callable[[], Any]) -> None:
        driver = make_driver()
        assert issubclass(driver.Config, DriverConfig), "Config is no DriverConfig"
        assert getattr(driver, "api_version", API_VERSION) == API_VERSION

    @asks_nobody
    def test_close_never_raises(self, make_driver: Callable[[], Any]) -> None:
        for _ in range(2):
            driver = make_driver()
            for _ in range(2 if hasattr(driver, "close") else 0):
                driver.close()
