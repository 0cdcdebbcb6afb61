"""What every discovery driver promises, as checks."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kube_provision_core import (
    DISCOVERY_CLIENT,
    NODE_DIR,
    BootFragment,
    Cluster,
    Discovery,
    DiscoveryError,
    File,
    Node,
    Role,
)

from .discovery_client import SILENT, ClientChecks, WriteRecord
from .guards import io_seen, logged, telling, unfilled
from .offers import offered
from .samples import CLUSTER_ID, cluster_of, node_of

NODE_PYTHON = (3, 9)
"""The oldest Python that nodes have."""


class DiscoveryContract(ClientChecks):
    """Subclass it and override `make_driver`; with `live_cluster` and `write_record` a real service is checked too, with
    `make_client` also what the machines are given.

    Nobody answers, neither the driver nor a client, until a test asks for `live_cluster`: that fixture starts the service,
    or gives the only address at which there is one.
    """

    @pytest.fixture
    def make_driver(self) -> Callable[[], Any]:
        """A function that constructs the driver. Override it. Where the service is may come from its configuration, or from
        the `discovery_address` of the cluster that it is asked for."""
        raise NotImplementedError("override the fixture make_driver")

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Secrets in the driver's configuration that nobody may ever read in a log."""
        return ()

    @pytest.fixture
    def live_cluster(self) -> Cluster | None:
        """A cluster whose `discovery_address` is a running service that knows nothing of it. None: not checked.

        Several drivers and clients made in one test must see the same service.
        """
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
            driver.discover_masters(cluster=cluster_of("w-contract-1", address=SILENT))

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
        offered(write_record, "write_record")(cluster, "no record")
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster)

    def test_secrets_are_never_told(self, driver: Any, secrets: Sequence[str], live_cluster: Cluster | None) -> None:
        with logged() as lines:
            driver.discover_masters(cluster=_live(live_cluster))
        told = telling([*lines, repr(driver)], secrets)
        assert not told, f"a secret was told: {told}"

    def test_secrets_are_delivered_in_secret_files_only(self, driver: Any, secrets: Sequence[str]) -> None:
        for role in Role:
            fragment = _fragment(driver, role)
            open_files = tuple(file for file in fragment.files if not (file.secret and file.mode & 0o007 == 0))
            texts = [*map(_text, open_files), *(step.script for step in fragment.steps)]
            told = telling([*texts, *(unit.content for unit in fragment.units)], secrets)
            assert not told, f"a secret lies where everybody may read it: {told}"

    # --- lock_cluster, forget_initialising, forget_cluster -----------------------------------------------------------

    def test_the_lock_is_held_by_one(self, make_driver: Callable[[], Any], live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        first, second = make_driver(), make_driver()
        offered(getattr(first, "lock_cluster", None), "lock_cluster")
        with first.lock_cluster(cluster=cluster), pytest.raises(DiscoveryError), second.lock_cluster(cluster=cluster):
            pass
        with second.lock_cluster(cluster=cluster):
            pass

    def test_a_failure_under_the_lock_goes_through_and_frees_it(
        self, make_driver: Callable[[], Any], live_cluster: Cluster | None
    ) -> None:
        cluster, driver = _live(live_cluster), make_driver()
        lock = offered(getattr(driver, "lock_cluster", None), "lock_cluster")
        failure = OSError("of somebody else")
        with pytest.raises(OSError, match="of somebody else") as caught, lock(cluster=cluster):
            raise failure
        assert caught.value is failure
        with make_driver().lock_cluster(cluster=cluster):
            pass

    def test_forgetting_what_is_unknown_is_no_failure(self, driver: Any, live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        assert offered(getattr(driver, "forget_cluster", None), "forget_cluster")(cluster=cluster) is True
        forget = offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        assert forget(cluster=cluster, node_name="m-contract-1") is True

    def test_only_the_record_of_the_machine_that_is_gone_is_forgotten(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        _write(write_record, cluster, "initialising", "m-contract-2")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialising == "m-contract-2"
        forget(cluster=cluster, node_name="m-contract-2")
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)

    def test_an_initialised_cluster_is_forgotten_as_a_whole_only(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = offered(getattr(driver, "forget_initialising", None), "forget_initialising")
        _write(write_record, cluster, "initialised", "m-contract-1")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialised
        offered(getattr(driver, "forget_cluster", None), "forget_cluster")(cluster=cluster)
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)

    def test_forgetting_a_cluster_leaves_others(
        self, driver: Any, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        longer = replace(cluster, name=f"{cluster.name}-2")
        _write(write_record, longer, "initialised", "m-contract-2-1")
        offered(getattr(driver, "forget_cluster", None), "forget_cluster")(cluster=cluster)
        assert driver.discover_masters(cluster=longer).initialised


def _fragment(driver: Any, role: Role) -> BootFragment:
    node: Node = node_of("w-contract-1", role)
    fragment = driver.render_boot(node=node, cluster=cluster_of("w-contract-1"))
    assert isinstance(fragment, BootFragment), f"render_boot returned a {type(fragment).__name__}, not a BootFragment"
    return fragment


def _client(driver: Any, role: Role) -> str:
    files = {file.path: _text(file) for file in _fragment(driver, role).files}
    assert DISCOVERY_CLIENT in files, f"a {role} machine gets no {DISCOVERY_CLIENT}"
    return files[DISCOVERY_CLIENT]


def _text(file: File) -> str:
    return file.content if isinstance(file.content, str) else file.content.decode(errors="replace")


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
    offered(write_record, "write_record")(cluster, json.dumps(record))


def _live(cluster: Cluster | None) -> Cluster:
    return offered(cluster, "live_cluster")
