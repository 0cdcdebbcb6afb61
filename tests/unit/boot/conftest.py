"""Machines to render: a configuration, secrets, and the smallest real plugins for a target and a discovery."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers.cloud_init import CloudInit

from kube_provision_centos.driver import CentOS
from kube_provision_core import (
    DISCOVERY_CLIENT,
    PUBLISHER,
    Boot,
    BootFragment,
    Cluster,
    Component,
    File,
    Image,
    Machine,
    Node,
    Role,
    Stage,
    Stamp,
    Step,
    boot,
    hookimpl,
)
from kube_provision_core.config.core import CoreConfig
from kube_provision_core.folder.pki import JoinSecrets, create_certificate_key, create_pki, create_token
from kube_provision_core.folder.x509 import create_authority
from kube_provision_core.registry import Plugins
from kube_provision_debian.driver import Debian
from kube_provision_rocky.driver import AlmaLinux, Rocky
from kube_provision_ubuntu.driver import Ubuntu

CLUSTER = Cluster(
    name="prod",
    id="6f9a3c52-1b7e-4a53-9a40-0d1f6f5e8a11",
    kubernetes_version="1.36.4",
    names=frozenset({"m-prod-1", "w-prod-1"}),
    discovery_address="10.0.0.9",
    peers=("10.0.0.9", "10.0.0.11"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write what is rendered now to the golden files.")


@dataclass(frozen=True)
class Configuration:
    core: CoreConfig
    by_role: Mapping[Role, CoreConfig]


SYSTEMS: Mapping[str, Any] = {driver.system: driver for driver in (AlmaLinux, CentOS, Debian, Rocky, Ubuntu)}


class FakeTarget:
    @hookimpl
    def render_boot(self, node: Node) -> BootFragment:
        return BootFragment(
            components=frozenset({Component.VMWARE_TOOLS}),
            files=(File(PUBLISHER, "#!/bin/sh\ncat >/dev/null\n", mode=0o755),),
        )


class FakeDiscovery:
    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        start = Step("start", Stage.DISCOVER, f"echo {node.name} looks for {cluster.discovery_address}")
        return BootFragment(files=(File(DISCOVERY_CLIENT, "class Unavailable(Exception):\n    pass\n"),), steps=(start,))


@pytest.fixture
def cluster() -> Cluster:
    return CLUSTER


@pytest.fixture(scope="session")
def secrets() -> JoinSecrets:
    return JoinSecrets(create_pki("prod"), create_token(), create_certificate_key())


def configuration(**keys: Any) -> Configuration:
    """The same for all roles."""
    core = CoreConfig(
        **{"name": "prod", "target": "fake", "os": "ubuntu", "discovery": "seeker", "seed_manifests": []} | keys
    )
    return Configuration(core, dict.fromkeys(Role, core))


@pytest.fixture
def configure() -> Callable[..., Configuration]:
    return configuration


@pytest.fixture
def make_node() -> Callable[..., Node]:
    def make_node(role: Role = Role.MASTER, *, index: int = 1, carries_ca: bool = False) -> Node:
        names = {Role.MASTER: f"m-prod-{index}", Role.WORKER: f"w-prod-{index}", Role.DISCOVERY: "seeker-prod"}
        stamp = Stamp(CLUSTER.name, CLUSTER.id, role, "0123456789ab", carries_ca)
        return Node(names[role], role, index, Machine(2, 4), stamp)

    return make_node


@pytest.fixture
def manager() -> Plugins:
    """Knows the hooks and no plugin."""
    return Plugins()


@pytest.fixture
def render(manager: Plugins, secrets: JoinSecrets, make_node: Callable[..., Node]) -> Callable[..., Boot]:
    """Render a whole machine, as a run does; `plugins` come on top of the usual ones."""

    def render(
        node: Node | None = None,
        plugins: Mapping[str, object] | None = None,
        given: JoinSecrets = secrets,
        cluster: Cluster = CLUSTER,
        **keys: Any,
    ) -> Boot:
        config = configuration(**keys)
        with plugged(manager, config, plugins or {}):
            return boot.renderer(manager, config).render(node or make_node(), cluster, given)

    return render


@pytest.fixture
def bake(manager: Plugins, secrets: JoinSecrets, make_node: Callable[..., Node]) -> Callable[..., Image]:
    """What a template holds for a master and a worker, or for `roles`; `plugins` come on top of the usual ones."""

    def bake(*roles: Role, source: str = "debian-13", plugins: Mapping[str, object] | None = None, **keys: Any) -> Image:
        config = configuration(**keys)
        with plugged(manager, config, plugins or {}):
            nodes = [make_node(role) for role in roles or (Role.MASTER, Role.WORKER)]
            return boot.renderer(manager, config).bake(nodes, CLUSTER, source, secrets)

    return bake


@contextmanager
def plugged(manager: Plugins, config: Configuration, plugins: Mapping[str, object]) -> Iterator[None]:
    usual: dict[str, object] = {"fake": FakeTarget(), "seeker": FakeDiscovery()}
    system = SYSTEMS[config.core.os]
    usual[config.core.os] = system(dict.fromkeys(Role, system.Config()))
    for name, plugin in {**usual, **plugins}.items():
        manager.register(plugin, name)
    try:
        yield
    finally:
        for plugin in manager.get_plugins():
            manager.unregister(plugin)


@pytest.fixture(scope="session")
def cloud_init() -> Iterator[CloudInit]:
    with CloudInit(Path(_installed("cloud-init"))) as cloud_init:
        yield cloud_init


@pytest.fixture(scope="session")
def authority() -> str:
    """A site's own, as PEM."""
    return create_authority("site", "example").certificate.decode()


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program that is needed; a missing one fails the test, and says what to install."""

    def tool(*command: str, package: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        _installed(command[0], package)
        if command[0] == "cloud-init":
            return request.getfixturevalue("cloud_init").run(*command[1:])
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)

    return tool


def _installed(program: str, package: str = "") -> str:
    path = shutil.which(program)
    return path or pytest.fail(f"{program} is missing: apt-get install {package or program}")


@pytest.fixture
def content() -> Callable[[Boot, str], str]:
    """The text of a delivered file, by its path or the end of its path."""

    def content(rendered: Boot, path: str) -> str:
        (found,) = (file.content for file in rendered.files if file.path == path or file.path.endswith(f"/{path}"))
        return found if isinstance(found, str) else found.decode()

    return content
