"""The published suites: a driver that keeps its promises passes, and each planted bug fails the check that names it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

import pytest

from kube_provision_core.scaffold import create
from kube_provision_core.testing import BakingContract, DiscoveryContract, OsContract, TargetContract

from . import baking_bugs, discovery_bugs, os_bugs, target_bugs

SUITES = {
    "target": (target_bugs.SUITE, target_bugs.BUGS),
    "baking": (baking_bugs.SUITE, baking_bugs.BUGS),
    "os": (os_bugs.SUITE, os_bugs.BUGS),
    "discovery": (discovery_bugs.SUITE, discovery_bugs.BUGS),
}


@pytest.fixture(scope="module", autouse=True)
def sound_drivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `kube-provision plugins new` makes keeps every promise; the target in memory has more that can be broken."""
    for kind in ("os", "discovery"):
        folder = tmp_path_factory.mktemp("sound") / kind
        create(kind, f"sound-{kind}", folder)
        sys.path.append(str(folder))
    yield
    del sys.path[-2:]


def suite(pytester: pytest.Pytester, kind: str, driver: str, *checks: str) -> pytest.RunResult:
    """Run these checks on the driver; all of them where none is named."""
    text, _ = SUITES[kind]
    pytester.makepyfile(text.replace("BUG", textwrap.dedent(driver)))
    return pytester.runpytest_inprocess(
        *("-q", "--tb=line", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:hypothesispytest"),
        *(("-k", " or ".join(checks)) if checks else ()),
    )


@pytest.mark.parametrize("kind", SUITES)
def test_a_driver_that_keeps_its_promises_passes_every_check(pytester: pytest.Pytester, kind: str) -> None:
    outcomes = suite(pytester, kind, "class Driver(Sound): pass").parseoutcomes()
    assert outcomes.keys() == {"passed"}, outcomes


@pytest.mark.parametrize(("kind", "check"), [(kind, check) for kind, (_, bugs) in SUITES.items() for check in bugs])
def test_a_planted_bug_fails_the_check_that_names_it(pytester: pytest.Pytester, kind: str, check: str) -> None:
    bugs = SUITES[kind][1]
    others = [other for other in bugs if other != check][:3]
    result = suite(pytester, kind, bugs[check], check, *others)
    assert result.parseoutcomes().get("passed", 0) > 0, "the bug is no bug of one promise: nothing works"
    failed = {line.split("::")[-1].split(" ")[0].split("[")[0] for line in result.outlines if line.startswith("FAILED")}
    assert check in failed


@pytest.mark.parametrize(
    ("kind", "contract"),
    [("target", TargetContract), ("baking", BakingContract), ("os", OsContract), ("discovery", DiscoveryContract)],
)
def test_every_check_has_a_bug_that_it_finds(kind: str, contract: type) -> None:
    checks = {name for name in dir(contract) if name.startswith("test_")}
    assert checks == SUITES[kind][1].keys()


@pytest.mark.parametrize(
    "doing",
    [
        "socket.getaddrinfo('localhost', 80)",
        "threading.Timer(0.3, int).start()",
        "open('/dev/null', 'w').close()",
        "os.mkdir(os.devnull)",
    ],
)
def test_whatever_a_constructor_does_to_the_world_is_seen(pytester: pytest.Pytester, doing: str) -> None:
    driver = f"""
        class Driver(Sound):
            def __init__(self, config):
                with contextlib.suppress(OSError):
                    {doing}
        """
    result = suite(pytester, "os", driver)
    assert [line for line in result.outlines if line.startswith("FAILED") and "test_constructor_does_no_io" in line]
