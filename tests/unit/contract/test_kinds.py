"""What authors inherit says what the hooks say, and a strict type checker holds a class to it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kube_provision_core import DiscoveryDriver, Extension, OsDriver, TargetDriver
from kube_provision_core.contract import hookspecs
from kube_provision_core.scaffold.hook_reference import hooks

KINDS = (Extension, TargetDriver, OsDriver, DiscoveryDriver)
ROOT = Path(__file__).parents[3]


def signature(function: Callable[..., object]) -> str:
    return str(inspect.signature(function)).replace("(self)", "()").replace("(self, ", "(")


@pytest.mark.parametrize("hook", hooks())
def test_a_hook_is_declared_by_one_kind_of_plugin_as_it_is_specified(hook: str) -> None:
    declared = [vars(kind)[hook] for kind in KINDS if hook in vars(kind)]
    assert [signature(it) for it in declared] == [signature(getattr(hookspecs, hook))]


def test_kinds_declare_no_hook_that_there_is_not() -> None:
    methods = {name for kind in KINDS for name, member in vars(kind).items() if inspect.isfunction(member)}
    assert {name for name in methods if not name.startswith("_")} == set(hooks())


AUTHOR = """
from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from kube_provision_core import (
    Boot, BootFragment, Cluster, Discovery, DiscoveryDriver, DriverConfig, Extension, Node, OsDriver, Packages, Repository,
    Role, TargetDriver, Vm, hookimpl,
)


class Moon(TargetDriver):
    Config = DriverConfig
    parallel = 4

    def __init__(self, config: Mapping[Role, DriverConfig]) -> None:
        self.config = config

    @hookimpl
    def provision_vm(self, node: Node, boot: Boot) -> Vm:
        raise NotImplementedError

    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return []

    @hookimpl
    def scrub_boot(self, vm: Vm) -> bool:
        return True

    @hookimpl
    def destroy_vm(self, vm: Vm) -> bool:
        return True

    @property
    def address_timeout(self) -> float:
        return 5.0


class Tin(OsDriver):
    Config = DriverConfig

    @hookimpl
    def os_packages(
        self,
        components: frozenset[str],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        return Packages(())


class Whisper(DiscoveryDriver):
    Config = DriverConfig
    address = None

    @hookimpl
    def discover_masters(self, cluster: Cluster) -> Discovery:
        return Discovery(False)


class Motd(Extension):
    Config = DriverConfig

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        return BootFragment()

    @hookimpl(wrapper=True, specname="render_boot")
    def see_all(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        return (yield)


Moon({}), Tin({}), Whisper({}), Motd({})
"""


CHANGES = {
    "list_vms(self, cluster: Cluster) -> Sequence[Vm]:\n        return []": (
        "list_vms(self, cluster: int) -> str:\n        return ''"
    ),
    "    @hookimpl\n    def scrub_boot(self, vm: Vm) -> bool:\n        return True\n": "",
    "    parallel = 4\n": "    parallel = '4'\n",
    "    parallel = 4\n\n": "\n",
    "address_timeout(self) -> float:\n        return 5.0": "address_timeout(self) -> str:\n        return '5'",
    "extra: frozenset[str],\n    ) -> Packages:\n        return Packages(())": (
        "extra: frozenset[str],\n    ) -> list[str]:\n        return []"
    ),
    "discover_masters(self, cluster: Cluster) -> Discovery:\n        return Discovery(False)": (
        "discover_masters(self, cluster: Cluster) -> bool:\n        return False"
    ),
    "    address = None\n": "    address = 7\n",
    "cluster: Cluster) -> BootFragment:\n        return BootFragment()": (
        "cluster: Cluster) -> dict[str, str]:\n        return {}"
    ),
    "    Config = DriverConfig\n    address": "    Config = dict\n    address",
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What `mypy --strict` says of each module: of all in one run, since most of its time is one's own."""
    folder = tmp_path_factory.mktemp("author")
    (folder / "author.py").write_text(AUTHOR)
    for number, (right, wrong) in enumerate(CHANGES.items()):
        assert right in AUTHOR
        (folder / f"changed_{number}.py").write_text(AUTHOR.replace(right, wrong, 1))
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={folder / 'cache'}", ".")
    done = subprocess.run(
        command, cwd=folder, env={"MYPYPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        said.setdefault(line.partition(".py:")[0], []).append(line)
    return said


def test_drivers_of_every_kind_that_keep_the_contract_are_accepted(complaints: Mapping[str, list[str]]) -> None:
    assert complaints.get("author", []) == []


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_every_departure_from_the_contract_is_refused(complaints: Mapping[str, list[str]], number: int) -> None:
    said = complaints.get(f"changed_{number}", [])
    assert any("error:" in line for line in said), f"nothing is said of {list(CHANGES.values())[number]!r}"
