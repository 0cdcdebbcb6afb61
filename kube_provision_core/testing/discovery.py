"""What every discovery driver promises, as checks."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest

from kube_provision_core import (
    DISCOVERY_CLIENT,
    NODE_DIR,
    BootFragment,
    Cluster,
    Discovery,
    DiscoveryError,
    Node,
    Role,
)

from .guards import io_seen, logged, telling, unfilled
from .samples import CLUSTER_ID, cluster_of, node_of

NODE_PYTHON = (3, 9)
"""The oldest Python that nodes have."""

Offer = TypeVar("Offer")
WriteRecord = Callable[[Cluster, str], None]


class DiscoveryContract:
    """Subclass it and override `make_driver`; with `live_cluster` and `write_record` a real service is checked too."""

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
    def write_record(self) -> WriteRecord | None:
        """A function that writes a text where the nodes of a cluster keep its record. None: not checked."""
        return None

    @pytest.fixture
    def driver(self, make_driver: Callable[[], Any]) -> Any:
        return make_driver()

    # --- what it is ------------------------------------------------------------------------------------------------

    def test_constructor_does_no_io(self, make_driver: Callable[[], Any]) -> None:
        with io_seen() as seen:
            make_driver()
        assert not seen, f"the constructor reached out into the world: {seen}"

    def test_says_whether_it_needs_a_machine(self, driver: Any) -> None:
        assert driver.address is None or isinstance(driver.address, str)

    def test_close_never_raises(self, make_driver: Callable[[], Any]) -> None:
        driver = make_driver()
        if hasattr(driver, "close"):
            driver.close()
            driver.close()

    # --- render_boot -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
    def test_every_node_gets_a_discovery_client(self, driver: Any, role: Role) -> None:
        module = ast.parse(_client(driver, role), feature_version=NODE_PYTHON)
        defined = {item.name for item in module.body if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
        assert {"connect", "UnavailableError"} <= defined, f"{DISCOVERY_CLIENT} defines only {sorted(defined)}"

    def test_the_discovery_client_needs_nothing_but_the_standard_library(self, driver: Any) -> None:
        module = ast.parse(_client(driver, Role.WORKER))
        foreign = {name for name in _imported(module) if name not in sys.stdlib_module_names} - _beside(driver)
        assert not foreign, f"a node has none of these: {sorted(foreign)}"

    def test_render_boot_is_a_function_of_its_arguments(self, driver: Any) -> None:
        assert _fragment(driver, Role.MASTER) == _fragment(driver, Role.MASTER)

    def test_every_template_is_filled_in(self, driver: Any) -> None:
        for role in Role:
            left = unfilled(_fragment(driver, role))
            assert not left, f"a template was not filled in: {left}"

    # --- discover_masters ------------------------------------------------------------------------------------------

    def test_a_silent_service_is_not_taken_for_an_empty_one(self, driver: Any) -> None:
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster_of("w-contract-1", address="127.254.254.254"))

    def test_an_unknown_cluster_is_absent(self, driver: Any, live_cluster: Cluster | None) -> None:
        assert driver.discover_masters(cluster=_live(live_cluster)) == Discovery(initialised=False)

    def test_a_record_is_told(self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None) -> None:
        cluster = _live(live_cluster)
        _write(write_record, cluster, "initialising", "m-contract-1")
        assert driver.discover_masters(cluster=cluster) == Discovery(
            initialised=False, initialising="m-contract-1", cluster_id=CLUSTER_ID
        )
        _write(write_record, cluster, "initialised", "m-contract-1")
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=True, cluster_id=CLUSTER_ID)

    def test_an_unreadable_record_is_not_taken_for_absent(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        _offered(write_record, "write_record")(cluster, "no record")
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster)

    def test_secrets_are_never_told(self, driver: Any, secrets: Sequence[str], live_cluster: Cluster | None) -> None:
        with logged() as lines:
            driver.discover_masters(cluster=_live(live_cluster))
        told = telling([*lines, repr(driver)], secrets)
        assert not told, f"a secret was told: {told}"

    # --- lock_cluster, forget_initialising, forget_cluster -----------------------------------------------------------

    def test_the_lock_is_held_by_one(self, make_driver: Callable[[], Any], live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        first, second = make_driver(), make_driver()
        _offered(getattr(first, "lock_cluster", None), "lock_cluster")
        with first.lock_cluster(cluster=cluster), pytest.raises(DiscoveryError), second.lock_cluster(cluster=cluster):
            pass
        with second.lock_cluster(cluster=cluster):
            pass

    def test_forgetting_what_is_unknown_is_no_failure(self, driver: Any, live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        assert _offered(getattr(driver, "forget_cluster", None), "forget_cluster")(cluster=cluster) is True
        forget = _offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        assert forget(cluster=cluster, node_name="m-contract-1") is True

    def test_only_the_record_of_the_machine_that_is_gone_is_forgotten(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = _offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        _write(write_record, cluster, "initialising", "m-contract-2")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialising == "m-contract-2"
        forget(cluster=cluster, node_name="m-contract-2")
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)

    def test_an_initialised_cluster_is_forgotten_as_a_whole_only(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = _offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        _write(write_record, cluster, "initialised", "m-contract-1")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialised
        _offered(getattr(driver, "forget_cluster", None), "forget_cluster")(cluster=cluster)
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)


def _fragment(driver: Any, role: Role) -> BootFragment:
    node: Node = node_of("w-contract-1", role)
    fragment = driver.render_boot(node=node, cluster=cluster_of("w-contract-1"))
    assert isinstance(fragment, BootFragment), f"render_boot returned a {type(fragment).__name__}, not a BootFragment"
    return fragment


def _client(driver: Any, role: Role) -> str:
    files = {file.path: file.content for file in _fragment(driver, role).files}
    assert DISCOVERY_CLIENT in files, f"a {role} machine gets no {DISCOVERY_CLIENT}"
    content = files[DISCOVERY_CLIENT]
    return content if isinstance(content, str) else content.decode()


def _imported(module: ast.Module) -> set[str]:
    """Top-level names of everything that a module imports."""
    names = set()
    for item in ast.walk(module):
        if isinstance(item, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, ast.ImportFrom):
            names.add((item.module or "").partition(".")[0])
    return names


def _beside(driver: Any) -> set[str]:
    """Modules that the driver delivers beside its client."""
    paths = [file.path for file in _fragment(driver, Role.WORKER).files]
    return {path.rpartition("/")[2].removesuffix(".py") for path in paths if path.startswith(f"{NODE_DIR}/")}


def _write(write_record: WriteRecord | None, cluster: Cluster, state: str, node: str) -> None:
    record = {"state": state, "node": node, "instance_id": f"{node}-1", "cluster_id": cluster.id}
    _offered(write_record, "write_record")(cluster, json.dumps(record))


def _live(cluster: Cluster | None) -> Cluster:
    return _offered(cluster, "live_cluster")


def _offered(it: Offer | None, name: str) -> Offer:
    """A check for something that is not offered says so by name; it is not passed."""
    if it is None:
        pytest.skip(f"not offered: {name}")
    return it
