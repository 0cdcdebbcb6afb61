"""Plugins are chosen and connected: real distributions in a folder on sys.path, no stand-ins."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

from kube_provision_core import Cluster, DriverConfig, PluginError, Role, TargetError, hookimpl, plugins

Install = Callable[..., Path]

DRIVER = """
from kube_provision_core import DriverConfig, hookimpl

class Driver:
    Config = DriverConfig
    address = None

    def __init__(self, config):
        self.config = config

{body}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one module and one driver in it."""
    before = set(sys.modules)

    def install(
        distribution: str, kind: str, *names: str, body: str = "", source: str | None = None, attribute: str = "Driver"
    ) -> Path:
        site = tmp_path / distribution
        module = distribution.replace("-", "_")
        info = site / f"{module}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        points = "".join(f"{name} = {module}:{attribute}\n" for name in names)
        (info / "entry_points.txt").write_text(f"[kube_provision.{kind}]\n{points}")
        text = DRIVER.format(body=indent(dedent(body), "    ")) if source is None else dedent(source)
        (site / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))
        return site

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("kp_"):
            del sys.modules[name]


def chosen(kind: str, name: str) -> plugins.ChosenDriver:
    found = plugins.choose(kind, name)
    return plugins.ChosenDriver(found.kind, found.name, found.distribution, found.cls, dict.fromkeys(Role, DriverConfig()))


def refusal(kind: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        plugins.find(kind, name)
    return str(caught.value)


CLUSTER = Cluster("prod", "id", "1.36", frozenset())


# --- choosing -------------------------------------------------------------------------------------------------------


def test_a_driver_is_found_by_kind_and_name(install: Install) -> None:
    install("kp-moon", "target", "moon")
    assert plugins.find("target", "moon").__module__ == "kp_moon"


def test_a_driver_knows_its_distribution_and_its_own_name(install: Install) -> None:
    install("kp-moon", "target", "luna", "aaa", "moon")
    found = plugins.choose("target", "aaa")
    assert (found.name, found.distribution) == ("moon", "kp-moon")


def test_other_drivers_are_not_imported(install: Install) -> None:
    install("kp-moon", "target", "moon")
    install("kp-mars", "target", "mars")
    plugins.find("target", "moon")
    assert "kp_mars" not in sys.modules


def test_a_driver_installed_after_the_last_look_is_found(install: Install) -> None:
    refusal("target", "moon")
    install("kp-moon", "target", "moon")
    assert plugins.find("target", "moon")


def test_a_missing_driver_is_told_with_what_to_install_and_what_there_is(install: Install) -> None:
    install("kp-moon", "target", "moon")
    text = refusal("target", "proxmox")
    assert "pip install kube-provision-proxmox" in text
    assert "moon" in text


def test_a_misspelt_driver_is_told_with_the_nearest_name(install: Install) -> None:
    install("kp-moon", "target", "moon")
    text = refusal("target", "moom")
    assert "nearest: moon" in text
    assert "pip install" not in text, "a stranger may have published a package of the misspelt name"


def test_a_driver_of_ours_is_told_with_the_distribution_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.plugins.choosing.metadata.distributions", list)
    for pyproject in Path(__file__).parents[2].glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(pyproject.read_text())["project"]
        for group, names in project["entry-points"].items():
            for name in names:
                assert refusal(group.rpartition(".")[2], name).endswith(f"pip install {project['name']}")


def test_a_missing_driver_is_not_logged_beside_its_error(caplog: pytest.LogCaptureFixture) -> None:
    refusal("target", "moon")
    assert not caplog.records


def test_a_name_that_no_distribution_can_have_is_not_offered_to_pip() -> None:
    assert "pip install" not in refusal("target", "rm -rf; x")


def test_two_distributions_with_one_name_are_both_named(install: Install) -> None:
    install("kp-moon", "target", "moon")
    install("kp-other-moon", "target", "moon")
    assert "kp-moon and kp-other-moon" in refusal("target", "moon")


@pytest.mark.parametrize(
    "source",
    ["import no_such_module_anywhere", "raise RuntimeError('broken\\nbadly')", "assert False", "raise SystemExit(3)", "(("],
    ids=["dependency missing", "raises", "asserts", "exits", "syntax"],
)
def test_a_driver_that_cannot_be_imported_is_one_line_that_names_its_distribution(install: Install, source: str) -> None:
    install("kp-moon", "target", "moon", source=source)
    text = refusal("target", "moon")
    assert "kp-moon" in text
    assert "\n" not in text


def test_a_broken_driver_leaves_the_others_working(install: Install) -> None:
    install("kp-mars", "target", "mars", source="1/0")
    install("kp-moon", "target", "moon")
    assert plugins.find("target", "moon")


def test_a_damaged_distribution_leaves_the_others_working(install: Install) -> None:
    site = install("kp-mars", "target", "mars")
    (site / "kp_mars-1.2.dist-info" / "entry_points.txt").write_bytes(b"[kube_provision.target]\nmars = \xff\xfe\n")
    install("kp-moon", "target", "moon")
    assert plugins.find("target", "moon")


def test_an_entry_point_that_names_no_class_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", source="Driver = 3")
    assert "not a class" in refusal("target", "moon")


def test_an_entry_point_that_names_nothing_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", attribute="Absent")
    assert "cannot be loaded" in refusal("target", "moon")


def test_a_driver_without_a_configuration_model_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", body="Config = dict")
    assert "Config must be a subclass of DriverConfig" in refusal("target", "moon")


def test_another_version_of_the_contract_is_refused_with_both_numbers(install: Install) -> None:
    install("kp-moon", "target", "moon", body="api_version = 7")
    text = refusal("target", "moon")
    assert "version 7" in text
    assert "speaks 1" in text


def test_a_misspelt_hook_is_refused_with_the_nearest_one(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef provison_vm(self, node): ...")
    text = refusal("target", "moon")
    assert "kp-moon" in text
    assert "did you mean provision_vm?" in text


def test_an_override_that_lost_its_marker_is_refused(install: Install) -> None:
    source = """
        from kube_provision_core import DriverConfig, hookimpl

        class Base:
            Config = DriverConfig
            @hookimpl
            def destroy_vm(self, vm): return True

        class Driver(Base):
            def destroy_vm(self, vm): return False
    """
    install("kp-moon", "target", "moon", source=source)
    assert "Driver.destroy_vm is named like a hook but is not marked with @hookimpl" in refusal("target", "moon")


def test_installed_lists_every_plugin_without_importing_any(install: Install) -> None:
    install("kp-moon", "target", "moon")
    listed = [plugin for plugin in plugins.installed() if plugin.name == "moon"]
    assert listed == [plugins.InstalledPlugin("target", "moon", "kp-moon", "1.2")]
    assert "kp_moon" not in sys.modules


def test_installed_says_on_request_what_is_broken(install: Install) -> None:
    install("kp-moon", "target", "moon", source="1/0")
    install("kp-mars", "os", "mars")
    problems = {plugin.name: plugin.problem for plugin in plugins.installed(check=True)}
    assert "ZeroDivisionError" in problems["moon"]
    assert problems["mars"] == ""


def test_installed_says_who_clashes(install: Install) -> None:
    install("kp-moon", "target", "moon")
    install("kp-other-moon", "target", "moon")
    clashing = [plugin for plugin in plugins.installed() if plugin.name == "moon"]
    assert [plugin.distribution for plugin in clashing] == ["kp-other-moon", "kp-moon"]
    assert all("kp-moon and kp-other-moon" in plugin.problem for plugin in clashing)


# --- calling --------------------------------------------------------------------------------------------------------


def test_connected_drivers_answer_under_their_names(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef list_vms(self, cluster): return [cluster.name]")
    with plugins.connect([chosen("target", "moon")], {}) as manager:
        assert manager.hook.list_vms(cluster=CLUSTER) == ["prod"]
        assert plugins.get(manager, "target", "moon") is manager.get_plugin("moon")


def test_a_driver_receives_its_configuration_by_role(install: Install) -> None:
    install("kp-moon", "target", "moon")
    with plugins.connect([chosen("target", "moon")], {}) as manager:
        assert set(plugins.get(manager, "target", "moon").config) == set(Role)


def test_a_driver_that_is_false_is_a_driver(install: Install) -> None:
    install(
        "kp-moon", "target", "moon", body="def __len__(self): return 0\n@hookimpl\ndef destroy_vm(self, vm): return True"
    )
    with plugins.connect([chosen("target", "moon")], {}) as manager:
        assert plugins.get(manager, "target", "moon") is not None
        assert plugins.answers(manager, "destroy_vm")


def test_one_name_in_two_kinds_does_not_clash(install: Install) -> None:
    install("kp-moon-target", "target", "moon")
    install("kp-moon-os", "os", "moon")
    with plugins.connect([chosen("target", "moon"), chosen("os", "moon")], {}) as manager:
        assert type(plugins.get(manager, "target", "moon")).__module__ == "kp_moon_target"
        assert type(plugins.get(manager, "os", "moon")).__module__ == "kp_moon_os"


def test_a_driver_named_like_a_part_of_the_core_does_not_clash(install: Install) -> None:
    install("kp-node", "extension", "node")
    part = object()
    with plugins.connect([chosen("extension", "node")], {"node": part}) as manager:
        assert manager.get_plugin("node") is part
        assert type(plugins.get(manager, "extension", "node")).__module__ == "kp_node"


def test_arguments_that_the_hook_does_not_have_are_refused_in_one_line(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef destroy_vm(self, machine): ...")
    with pytest.raises(PluginError, match=r"kp-moon does not fit the contract: .*machine") as caught:
        plugins.connect([chosen("target", "moon")], {}).__enter__()
    assert "\n" not in str(caught.value)


def test_a_constructor_that_fails_names_the_driver(install: Install) -> None:
    source = """
        from kube_provision_core import DriverConfig

        class Driver:
            Config = DriverConfig
            def __init__(self, config): raise ValueError("hunter2")
    """
    install("kp-moon", "target", "moon", source=source)
    with pytest.raises(PluginError, match=r"'moon' of kp-moon cannot be constructed: ValueError$"):
        plugins.connect([chosen("target", "moon")], {}).__enter__()


@pytest.mark.parametrize("body", ["del address", "address = ipaddress.IPv4Address('192.0.2.1')"])
def test_a_discovery_driver_whose_address_is_no_text_is_told_what_it_must_be(install: Install, body: str) -> None:
    install("kp-moon", "discovery", "moon", body=f"import ipaddress\n{body}")
    with pytest.raises(PluginError, match=r"'moon' of kp-moon: its `address` must be .* a str, or None"):
        plugins.construct(chosen("discovery", "moon"))


class Part:
    """A part of the core that counts how often it was closed."""

    def __init__(self, fails: bool = False) -> None:
        self.closed = 0
        self.fails = fails

    @hookimpl
    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError("gone")


def test_everyone_is_closed_once_though_one_fails() -> None:
    parts = {"a": Part(), "b": Part(fails=True), "c": Part()}
    with plugins.connect([], parts):
        pass
    assert [part.closed for part in parts.values()] == [1, 1, 1]


def test_everyone_is_closed_when_the_run_fails() -> None:
    part = Part()
    with pytest.raises(TargetError), plugins.connect([], {"a": part}):
        raise TargetError("down")
    assert part.closed == 1


def test_what_was_connected_is_closed_when_a_later_one_does_not_fit(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef destroy_vm(self, machine): ...")
    part = Part()
    with pytest.raises(PluginError), plugins.connect([chosen("target", "moon")], {"a": part}):
        pass
    assert part.closed == 1


class Wrapper:
    @hookimpl(wrapper=True)
    def destroy_vm(self) -> Any:
        return (yield)


def test_a_wrapper_is_no_answer() -> None:
    with plugins.connect([], {"wrapper": Wrapper()}) as manager:
        assert not plugins.answers(manager, "destroy_vm")


def test_a_hook_that_nobody_answers_is_told_before_anything_is_touched() -> None:
    with (
        plugins.connect([], {}) as manager,
        pytest.raises(PluginError, match="target moon does not answer destroy_vm"),
    ):
        plugins.require(manager, "destroy_vm", "target", "moon")


def test_a_hook_that_is_answered_passes(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef destroy_vm(self, vm): return True")
    with plugins.connect([chosen("target", "moon")], {}) as manager:
        plugins.require(manager, "destroy_vm", "target", "moon")


def test_parts_of_the_core_can_be_replaced() -> None:
    old, new = Part(), Part()
    with plugins.connect([], {"a": old}) as manager:
        plugins.replace(manager, {"a": new})
    assert (old.closed, new.closed) == (0, 1)
