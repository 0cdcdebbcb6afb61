"""What every discovery driver promises, as checks."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest

from .. import NODE_DIR, BootFragment, Cluster, Discovery, DiscoveryError, Node, Role
from .connected import Connected
from .discovery_client import SILENT, ClientChecks, WriteRecord, client_path
from .fixtures import DriverChecks
from .fragments import text_of
from .guards import logged, telling
from .offers import answered, answering, offered
from .parts import PartChecks
from .samples import cluster_of, node_of

NODE_PYTHON = (3, 9)
"""The oldest Python that nodes have."""


class DiscoveryContract(DriverChecks, PartChecks, ClientChecks):
    """Subclass it and override `make_driver`; with `live_cluster` and `write_record` a real service is checked too, with
    `make_client` also what the machines are given.

    Nobody answers, neither the driver nor a client, until a test asks for `live_cluster`: that fixture starts the service,
    or gives the only address at which there is one.
    """

    needed = ("render_boot", "discover_masters")

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

    # --- what it is ------------------------------------------------------------------------------------------------

    def test_says_whether_it_needs_a_machine(self, driver: Connected) -> None:
        assert driver.address is None or isinstance(driver.address, str)

    # --- render_boot -----------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
    def test_every_node_gets_a_discovery_client(self, driver: Connected, role: Role) -> None:
        files = _files(driver, role)
        client = client_path(files)
        missing = {"connect", "UnavailableError"} - _defined(ast.parse(files[client]))
        assert not missing, f"{client} does not define {sorted(missing)}"

    @pytest.mark.parametrize("role", Role)
    def test_programs_are_written_in_the_python_of_the_oldest_node(self, driver: Connected, role: Role) -> None:
        for path, text in _programs(_files(driver, role)):
            try:
                ast.parse(text, path, feature_version=NODE_PYTHON)
            except SyntaxError as problem:
                pytest.fail(f"{path}:{problem.lineno}: no Python {'.'.join(map(str, NODE_PYTHON))}: {problem.msg}")

    @pytest.mark.parametrize("role", Role)
    def test_programs_need_nothing_but_the_standard_library(self, driver: Connected, role: Role) -> None:
        files = _files(driver, role)
        foreign = {path: _imported(path, text) - sys.stdlib_module_names - _beside(files) for path, text in _programs(files)}
        lacking = {path: sorted(names) for path, names in foreign.items() if names}
        assert not lacking, f"a node has none of these: {lacking}"

    # --- discover_masters ------------------------------------------------------------------------------------------

    def test_a_silent_service_is_not_taken_for_an_empty_one(self, driver: Connected) -> None:
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster_of("w-contract-1", address=SILENT))

    def test_an_unknown_cluster_is_absent(self, driver: Connected, live_cluster: Cluster | None) -> None:
        assert driver.discover_masters(cluster=_live(live_cluster)) == Discovery(initialised=False)

    def test_a_record_is_told(
        self, driver: Connected, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        _write(write_record, cluster, "initialising", "m-contract-1")
        assert driver.discover_masters(cluster=cluster) == Discovery(
            initialised=False, initialising="m-contract-1", cluster_id=cluster.id
        )
        _write(write_record, cluster, "initialised", "m-contract-1")
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=True, cluster_id=cluster.id)

    def test_an_unreadable_record_is_not_taken_for_absent(
        self, driver: Connected, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        offered(write_record, "write_record")(cluster, "no record")
        with pytest.raises(DiscoveryError):
            driver.discover_masters(cluster=cluster)

    def test_secrets_are_never_told(self, driver: Connected, secrets: Sequence[str], live_cluster: Cluster | None) -> None:
        with logged() as lines:
            driver.discover_masters(cluster=_live(live_cluster))
        told = telling([*lines, repr(driver)], secrets)
        assert not told, f"a secret was told: {told}"

    # --- lock_cluster, forget_initialising, forget_cluster -----------------------------------------------------------

    def test_the_lock_is_held_by_one(self, connect: Callable[[], Connected], live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        first, second = connect(), connect()
        answered(first, "lock_cluster")
        with first.lock_cluster(cluster=cluster), pytest.raises(DiscoveryError), second.lock_cluster(cluster=cluster):
            pass
        with second.lock_cluster(cluster=cluster):
            pass

    def test_a_failure_under_the_lock_goes_through_and_frees_it(
        self, connect: Callable[[], Connected], live_cluster: Cluster | None
    ) -> None:
        cluster, driver = _live(live_cluster), connect()
        lock = answered(driver, "lock_cluster")
        failure = OSError("of somebody else")
        with pytest.raises(OSError, match="of somebody else") as caught, lock(cluster=cluster):
            raise failure
        assert caught.value is failure
        with connect().lock_cluster(cluster=cluster):
            pass

    def test_forgetting_what_is_unknown_is_no_failure(self, driver: Connected, live_cluster: Cluster | None) -> None:
        cluster = _live(live_cluster)
        assert answered(driver, "forget_cluster")(cluster=cluster) is True
        forget = answered(driver, "forget_initialising")
        assert forget(cluster=cluster, node_name="m-contract-1") is True

    def test_only_the_record_of_the_machine_that_is_gone_is_forgotten(
        self, driver: Connected, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = answered(driver, "forget_initialising")
        _write(write_record, cluster, "initialising", "m-contract-2")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialising == "m-contract-2"
        forget(cluster=cluster, node_name="m-contract-2")
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)

    def test_an_initialised_cluster_is_forgotten_as_a_whole_only(
        self, driver: Connected, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        forget = answered(driver, "forget_initialising")
        _write(write_record, cluster, "initialised", "m-contract-1")
        forget(cluster=cluster, node_name="m-contract-1")
        assert driver.discover_masters(cluster=cluster).initialised
        answered(driver, "forget_cluster")(cluster=cluster)
        assert driver.discover_masters(cluster=cluster) == Discovery(initialised=False)

    # --- keep_history_head, history_head -----------------------------------------------------------------------------

    def test_the_head_of_the_history_is_kept_until_the_next_one(
        self, connect: Callable[[], Connected], live_cluster: Cluster | None
    ) -> None:
        cluster = _live(live_cluster)
        keep = answered(connect(), "keep_history_head")
        assert connect().history_head(cluster=cluster) == ""
        for head in ("an-id 0f3c", "an-id 77aa"):
            assert keep(cluster=cluster, head=head) is True
            assert connect().history_head(cluster=cluster) == head
        assert connect().discover_masters(cluster=cluster) == Discovery(initialised=False)

    def test_the_head_of_the_history_is_forgotten_with_its_cluster_alone(
        self, driver: Connected, live_cluster: Cluster | None
    ) -> None:
        cluster = _live(live_cluster)
        answering(driver, "keep_history_head", "history_head", "forget_cluster")
        longer = replace(cluster, name=f"{cluster.name}-2")
        for each in (cluster, longer):
            driver.keep_history_head(cluster=each, head=f"of {each.name}")
        driver.forget_cluster(cluster=cluster)
        assert [driver.history_head(cluster=each) for each in (cluster, longer)] == ["", f"of {longer.name}"]

    def test_silence_is_not_taken_for_a_history_that_nobody_has_written(self, driver: Connected) -> None:
        head = answered(driver, "history_head")
        with pytest.raises(DiscoveryError):
            head(cluster=cluster_of("w-contract-1", address=SILENT))

    def test_forgetting_a_cluster_leaves_others(
        self, driver: Connected, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        cluster = _live(live_cluster)
        longer = replace(cluster, name=f"{cluster.name}-2")
        _write(write_record, longer, "initialised", "m-contract-2-1")
        answered(driver, "forget_cluster")(cluster=cluster)
        assert driver.discover_masters(cluster=longer).initialised

    # --- discovery_notice --------------------------------------------------------------------------------------------

    def test_a_notice_is_a_line_also_where_nobody_answers(self, driver: Connected) -> None:
        notice = driver.discovery_notice(cluster=cluster_of("w-contract-1", address=SILENT))
        assert "\n" not in (notice or "")


def _fragment(driver: Connected, role: Role) -> BootFragment:
    node: Node = node_of("w-contract-1", role)
    fragment = driver.render_boot(node=node, cluster=cluster_of("w-contract-1"))
    assert isinstance(fragment, BootFragment), f"render_boot returned a {type(fragment).__name__}, not a BootFragment"
    return fragment


def _files(driver: Connected, role: Role) -> dict[str, str]:
    return {file.path: text_of(file) for file in _fragment(driver, role).files}


def _programs(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What a node's Python runs, or imports by name."""
    return ((path, text) for path, text in files.items() if path.startswith(f"{NODE_DIR}/") and path.endswith(".py"))


def _defined(module: ast.Module) -> set[str]:
    """Names that it gives to who imports it, its own ones and those that it has from elsewhere."""
    own = {item.name for item in module.body if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
    imported = (alias for item in module.body if isinstance(item, ast.ImportFrom) for alias in item.names)
    return own | {alias.asname or alias.name for alias in imported}


def _imported(path: str, text: str) -> set[str]:
    """Top-level names of everything that a program imports. Only in a package there is something to import relatively."""
    names = set()
    in_package = path.removeprefix(f"{NODE_DIR}/").count("/") > 0
    for item in ast.walk(ast.parse(text)):
        if isinstance(item, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in item.names}
        elif isinstance(item, ast.ImportFrom) and not (item.level and in_package):
            names.add("." * item.level + (item.module or "").partition(".")[0])
    return names


def _beside(files: Mapping[str, str]) -> set[str]:
    """Modules and packages that the driver delivers, by the names under which a node imports them."""
    return {path.removeprefix(f"{NODE_DIR}/").partition("/")[0].removesuffix(".py") for path, _ in _programs(files)}


def _write(write_record: WriteRecord | None, cluster: Cluster, state: str, node: str) -> None:
    record = {"state": state, "node": node, "instance_id": f"{node}-1", "cluster_id": cluster.id}
    offered(write_record, "write_record")(cluster, json.dumps(record))


def _live(cluster: Cluster | None) -> Cluster:
    return offered(cluster, "live_cluster")
