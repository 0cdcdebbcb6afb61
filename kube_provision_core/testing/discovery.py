"""What every discovery driver promises, as checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kube_provision_core import DISCOVERY_CLIENT, BootFragment, Cluster, Discovery, DiscoveryError, Role

from .guards import io_seen, logged, telling
from .samples import cluster_of, node_of


class DiscoveryContract:
    """Subclass it and override `make_driver`; `live_cluster` has the checks run against a real service."""

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        """A function that constructs the driver. Override it."""
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Secrets in the driver's configuration that nobody may ever read in a log."""
        return ()

    @pytest.fixture
    def live_cluster(self) -> Cluster | None:
        """A cluster whose `discovery_address` is a running service that knows nothing of it. None: not checked."""
        return None

    @pytest.fixture
    def driver(self, make_driver: Callable[[], Any]) -> Any:
        return make_driver()

    def test_constructor_does_no_io(self, make_driver: Callable[[], Any]) -> None:
        with io_seen() as seen:
            make_driver()
        assert not seen, f"the constructor reached out into the world: {seen}"

    def test_says_whether_it_needs_a_machine(self, driver: Any) -> None:
        assert driver.address is None or isinstance(driver.address, str)

    @pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
    def test_every_node_gets_a_discovery_client(self, driver: Any, role: Role) -> None:
        fragment = driver.render_boot(node=node_of("w-contract-1", role), cluster=cluster_of("w-contract-1"))
        assert isinstance(fragment, BootFragment)
        assert DISCOVERY_CLIENT in {file.path for file in fragment.files}

    def test_a_silent_service_is_not_taken_for_an_empty_one(self, driver: Any) -> None:
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster_of("w-contract-1", address="127.254.254.254"))

    def test_an_unknown_cluster_is_absent(self, driver: Any, live_cluster: Cluster | None) -> None:
        assert driver.discover_masters(cluster=_live(live_cluster)) == Discovery(initialised=False)

    def test_the_lock_is_held_by_one(self, make_driver: Callable[[], Any], live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        first, second = make_driver(), make_driver()
        if not hasattr(first, "lock_cluster"):
            pytest.skip("not offered: lock_cluster")
        with first.lock_cluster(cluster=cluster), pytest.raises(DiscoveryError), second.lock_cluster(cluster=cluster):
            pass
        with second.lock_cluster(cluster=cluster):
            pass

    def test_forgetting_what_is_unknown_is_no_failure(self, driver: Any, live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        if not hasattr(driver, "forget_cluster"):
            pytest.skip("not offered: forget_cluster")
        assert driver.forget_cluster(cluster=cluster) is True
        assert driver.forget_initialising(cluster=cluster, node_name="m-contract-1") is True

    def test_secrets_are_never_told(self, driver: Any, secrets: Sequence[str], live_cluster: Cluster | None) -> None:
        with logged() as lines:
            driver.discover_masters(cluster=_live(live_cluster))
        told = telling([*lines, repr(driver)], secrets)
        assert not told, f"a secret was told: {told}"

    def test_close_never_raises(self, make_driver: Callable[[], Any]) -> None:
        driver = make_driver()
        if hasattr(driver, "close"):
            driver.close()
            driver.close()


def _live(cluster: Cluster | None) -> Cluster:
    if cluster is None:
        pytest.skip("not offered: live_cluster")
    return cluster
