"""What the module that a discovery driver puts on every machine promises, as checks: the nodes' side of the contract."""

from __future__ import annotations

import ipaddress
import json
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .. import DISCOVERY_CLIENT, DISCOVERY_PACKAGE, NODE_CONFIG_DIR, NODE_DIR, Cluster, Discovery, Endpoint, Role
from .api_server import ready_api_server, unused_port
from .connected import Connected
from .guards import io_seen
from .offers import answered, offered
from .samples import cluster_of, node_of

MakeClient = Callable[[Mapping[str, Any]], Any]
WriteRecord = Callable[[Cluster, str], None]

SILENT = "127.254.254.254"
"""An address where nobody answers."""
_API_PORT = 6443
_SOON = 30.0
"""Seconds until a master is known that answers."""
_PROMPT = 10.0
"""Seconds for a call that has nothing to wait for."""

_ASKING: dict[str, Callable[[Any], object]] = {
    "read_record": lambda client: client.read_record(),
    "create_record": lambda client: client.create_record(_record("initialising", "m-contract-1")),
    "register": lambda client: client.register(),
    "withdraw": lambda client: client.withdraw(),
    "masters": lambda client: client.masters("", 1.0),
    "lock": lambda client: client.lock(1.0).__enter__(),
}


def client_of(driver: Any, node: Mapping[str, Any], folder: Path, **cluster: Any) -> Any:
    """What a node's programs work with: connected by the files that the driver delivers, written below `folder`.

    `node` is the content of its node.json; `name`, `cluster`, `cluster_id` and `discovery_address` are needed. `cluster`:
    what else the driver is told of the cluster, by the names of `Cluster`'s fields, such as `ca`.
    """
    root = folder / node["name"]
    connected = driver if isinstance(driver, Connected) else Connected(driver)
    fragment = connected.render_boot(
        node=node_of(node["name"], Role.MASTER, cluster=node["cluster"], cluster_id=node["cluster_id"]),
        cluster=replace(cluster_of(node["name"], name=node["cluster"], address=node["discovery_address"]), **cluster),
    )
    for file in fragment.files:
        if file.path.startswith((f"{NODE_DIR}/", f"{NODE_CONFIG_DIR}/")):
            _write(root / file.path.lstrip("/"), file.content if isinstance(file.content, bytes) else file.content.encode())
    config = root / NODE_CONFIG_DIR.lstrip("/")
    _write(config / "node.json", json.dumps(node).encode())
    client = client_path({file.path for file in fragment.files})
    return _load(root / NODE_DIR.lstrip("/"), client).connect(dict(node), config)


def client_path(paths: Collection[str]) -> str:
    """The module among these files that nodes import as `discovery`; where it is a package, what they find first in it."""
    package = f"{DISCOVERY_PACKAGE}/__init__.py"
    found = [path for path in (package, DISCOVERY_CLIENT) if path in paths]
    assert found, f"a machine gets neither {DISCOVERY_CLIENT} nor {package}"
    assert len(found) == 1, f"a machine gets both {DISCOVERY_CLIENT} and {package}: it would import the package"
    return found[0]


class ClientChecks:
    """Checks of what the nodes are given; `make_client` and `live_cluster` unlock them."""

    @pytest.fixture
    def make_client(self) -> MakeClient | None:
        """A function that connects a node's client to the service at `discovery_address`, given its node.json's content.

        `client_of` does so by the files that the driver delivers. None: not checked.
        """
        return None

    # --- connect ---------------------------------------------------------------------------------------------------

    def test_a_node_is_connected_without_asking_anybody(self, make_client: MakeClient | None) -> None:
        make, node = offered(make_client, "make_client"), _node("m-contract-1", cluster_of(address=SILENT))
        with io_seen() as seen:
            make(node)
        asked = [event for event in seen if not event.startswith(("open", "os.mkdir"))]
        assert not asked, f"connect reached out into the world: {asked}"

    @pytest.mark.parametrize("asking", _ASKING)
    def test_a_silent_service_is_unavailable_to_nodes(self, make_client: MakeClient | None, asking: str) -> None:
        client = offered(make_client, "make_client")(_node("m-contract-1", cluster_of(address=SILENT)))
        _unavailable(lambda: _ASKING[asking](client))

    def test_a_node_knows_its_address(self, make_client: MakeClient | None, live_cluster: Cluster | None) -> None:
        assert ipaddress.ip_address(_client("m-contract-1", make_client, live_cluster).address())

    # --- the record ------------------------------------------------------------------------------------------------

    def test_the_record_is_created_once(self, make_client: MakeClient | None, live_cluster: Cluster | None) -> None:
        first, second = (_client(f"m-contract-{number}", make_client, live_cluster) for number in (1, 2))
        assert first.read_record() is None
        assert first.create_record(_record("initialising", "m-contract-1")) is True
        assert second.create_record(_record("initialising", "m-contract-2")) is False
        assert second.read_record().content == _record("initialising", "m-contract-1")

    def test_the_record_is_replaced_only_while_it_is_the_one_that_was_read(
        self, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        client = _client("m-contract-1", make_client, live_cluster)
        client.create_record(_record("initialising", "m-contract-1"))
        version = client.read_record().version
        assert client.replace_record(_record("initialised", "m-contract-1"), version) is True
        assert client.replace_record(_record("initialising", "m-contract-2"), version) is False
        assert client.read_record().content == _record("initialised", "m-contract-1")

    def test_both_sides_know_one_record(
        self, driver: Connected, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        cluster = offered(live_cluster, "live_cluster")
        client = _client("m-contract-1", make_client, cluster)
        client.create_record({**_record("initialising", "m-contract-1"), "cluster_id": cluster.id})
        found = driver.discover_masters(cluster=cluster)
        assert found == Discovery(initialised=False, initialising="m-contract-1", cluster_id=cluster.id)
        answered(driver, "forget_cluster")(cluster=cluster)
        assert client.read_record() is None

    def test_an_unreadable_record_is_unavailable_to_nodes(
        self, make_client: MakeClient | None, live_cluster: Cluster | None, write_record: WriteRecord | None
    ) -> None:
        client = _client("m-contract-1", make_client, live_cluster)
        offered(write_record, "write_record")(offered(live_cluster, "live_cluster"), "no record")
        _unavailable(client.read_record)

    # --- the lock --------------------------------------------------------------------------------------------------

    def test_the_nodes_lock_is_held_by_one_who_is_named(
        self, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        first, second = (_client(f"m-contract-{number}", make_client, live_cluster) for number in (1, 2))
        with first.lock(_PROMPT):
            problem = _unavailable(lambda: second.lock(0.1).__enter__())
        assert getattr(problem, "busy", False) is True, "a lock that is taken is told apart by `busy = True`"
        assert "m-contract-1" in str(problem)
        with second.lock(_PROMPT):
            pass

    def test_a_failure_under_the_nodes_lock_goes_through_and_frees_it(
        self, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        first, second = (_client(f"m-contract-{number}", make_client, live_cluster) for number in (1, 2))
        failure = OSError("of somebody else")
        with pytest.raises(OSError, match="of somebody else") as caught, first.lock(_PROMPT):
            raise failure
        assert caught.value is failure
        with second.lock(_PROMPT):
            pass

    def test_nodes_take_their_lock_while_a_run_holds_its_own(
        self, driver: Connected, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        client = _client("m-contract-1", make_client, live_cluster)
        lock = answered(driver, "lock_cluster")
        with lock(cluster=live_cluster), client.lock(_PROMPT):
            pass

    # --- masters ---------------------------------------------------------------------------------------------------

    def test_masters_are_told_at_once_to_who_knows_none_yet(
        self, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        client = _client("w-contract-1", make_client, live_cluster)
        begin = time.monotonic()
        index, masters = client.masters("", 60.0)
        assert time.monotonic() - begin < _PROMPT
        assert (type(index), index != "", masters) == (str, True, [])

    def test_masters_are_told_again_when_the_time_is_over(
        self, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        client = _client("w-contract-1", make_client, live_cluster)
        begin, index, wait = time.monotonic(), "", 1.0
        for _ in range(3):  # it may answer early, but not time and again: whoever asks does nothing else
            index, masters = client.masters(index, wait)
            assert masters == []
        assert wait <= time.monotonic() - begin < _PROMPT

    def test_a_master_that_is_silent_is_told_to_nobody(
        self, driver: Connected, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        cluster = offered(live_cluster, "live_cluster")
        client = _client("m-contract-1", make_client, cluster)
        client.register()
        assert client.masters("", 0.0)[1] == []
        assert driver.discover_masters(cluster=_reaching(cluster, client.address(), unused_port())).masters == ()

    def test_a_master_that_is_ready_is_told_to_both_sides(
        self, driver: Connected, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        cluster, port = offered(live_cluster, "live_cluster"), unused_port()
        client = offered(make_client, "make_client")(_node("m-contract-1", cluster, port))
        address = client.address()
        client.register()
        client.register()
        with ready_api_server(address, port):
            assert any(masters == [address] for masters in _told(client)), f"{address} was not told to the nodes"
            found = driver.discover_masters(cluster=_reaching(cluster, address, port)).masters
        assert [master.address for master in found] == [address]

    def test_a_master_that_has_withdrawn_is_told_to_nobody_until_it_registers(
        self, driver: Connected, make_client: MakeClient | None, live_cluster: Cluster | None
    ) -> None:
        cluster, port = offered(live_cluster, "live_cluster"), unused_port()
        client = offered(make_client, "make_client")(_node("m-contract-1", cluster, port))
        address = client.address()
        with ready_api_server(address, port):
            for _ in range(2):  # a second time, because it is to come back as often as it goes
                client.register()
                assert any(masters == [address] for masters in _told(client)), f"{address} was not told to the nodes"
                client.withdraw()
                client.withdraw()
                assert any(masters == [] for masters in _told(client)), f"{address} has withdrawn, and was told to the nodes"
                assert driver.discover_masters(cluster=_reaching(cluster, address, port)).masters == ()


def _record(state: str, node: str) -> dict[str, str]:
    return {"state": state, "node": node, "instance_id": f"{node}-1", "cluster_id": "id-1"}


def _node(name: str, cluster: Cluster, api_port: int | None = None) -> dict[str, Any]:
    """What a machine knows about itself, as far as a client may need it."""
    return {
        "name": name,
        "role": "master" if name.startswith("m-") else "worker",
        "cluster": cluster.name,
        "cluster_id": cluster.id,
        "discovery_address": cluster.discovery_address,
        "api_port": api_port or unused_port(),
    }


def _client(name: str, make_client: MakeClient | None, cluster: Cluster | None) -> Any:
    return offered(make_client, "make_client")(_node(name, offered(cluster, "live_cluster")))


def _reaching(cluster: Cluster, address: str, port: int) -> Cluster:
    """As this host sees it whose target leads to its API servers elsewhere."""
    return replace(cluster, reach={address: {_API_PORT: Endpoint(address, port)}})


def _told(client: Any) -> Iterator[list[str]]:
    """One answer after another, for a while."""
    index, deadline = "", time.monotonic() + _SOON
    while time.monotonic() < deadline:
        index, masters = client.masters(index, 1.0)
        yield masters


def _unavailable(ask: Callable[[], object]) -> Exception:
    """What it raises: the module's `UnavailableError` or a subclass, with a text."""
    with pytest.raises(Exception, match=r"\S") as caught:
        ask()
    names = [each.__name__ for each in type(caught.value).__mro__]
    assert "UnavailableError" in names, f"only UnavailableError may be raised, not {caught.value!r}"
    return caught.value


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _load(folder: Path, client: str) -> ModuleType:
    """The module, and what it imports from beside it, as on a node; under a name of its own every time."""
    name, path = f"discovery_{uuid.uuid4().hex}", folder / Path(client).relative_to(NODE_DIR)
    modules = [str(path.parent)] if path.parent != folder else None
    spec = spec_from_file_location(name, path, submodule_search_locations=modules)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module
