"""Plugins are chosen and connected: real distributions in a folder on sys.path, no stand-ins."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from pydantic import SecretStr

from kube_provision_core import Cluster, DriverConfig, PluginError, Power, Role, TargetError, Vm, hookimpl
from kube_provision_core import registry as plugins
from kube_provision_core.config.trial import try_out

Install = Callable[..., Path]

DRIVER = """
from kube_provision_core import DriverConfig, hookimpl

class Driver:
    Config = DriverConfig
    address = None
    parallel = 4

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
    return found.configured(dict.fromkeys(Role, DriverConfig()))


def refusal(kind: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        plugins.choose(kind, name)
    return str(caught.value)


CLUSTER = Cluster("prod", "id", "1.36", frozenset())
VM = Vm("w-1", "1", Power.ON, None)


# --- choosing -------------------------------------------------------------------------------------------------------


def test_a_driver_is_found_by_kind_and_name(install: Install) -> None:
    install("kp-moon", "target", "moon")
    assert plugins.choose("target", "moon").cls.__module__ == "kp_moon"


def test_a_driver_knows_its_distribution_and_its_own_name(install: Install) -> None:
    install("kp-moon", "target", "luna", "aaa", "moon")
    found = plugins.choose("target", "aaa")
    assert (found.name, found.distribution) == ("moon", "kp-moon")


def test_other_drivers_are_not_imported(install: Install) -> None:
    install("kp-moon", "target", "moon")
    install("kp-mars", "target", "mars")
    plugins.choose("target", "moon")
    assert "kp_mars" not in sys.modules


def test_a_driver_installed_after_the_last_look_is_found(install: Install) -> None:
    refusal("target", "moon")
    install("kp-moon", "target", "moon")
    assert plugins.choose("target", "moon")


@pytest.mark.parametrize("kind", plugins.KINDS)
@pytest.mark.parametrize("name", ["proxmox", "rm -rf; x", "debian-13"])
def test_of_a_driver_that_is_not_ours_no_package_is_named(install: Install, kind: str, name: str) -> None:
    """Anybody may have published one under the name that it would have."""
    install("kp-moon", kind, "moon")
    text = refusal(kind, name)
    assert f"kube-provision-{name}" not in text
    assert "(installed: " in text
    assert "moon" in text


def test_a_misspelt_driver_is_told_with_the_nearest_name(install: Install) -> None:
    install("kp-moon", "target", "moon")
    text = refusal("target", "moom")
    assert text.endswith("nearest: moon")


def test_a_driver_of_ours_is_told_with_the_distribution_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.registry.choosing.metadata.distributions", list)
    for pyproject in Path(__file__).parents[3].glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(pyproject.read_text())["project"]
        for kind in plugins.KINDS:
            for name in project.get("entry-points", {}).get(f"kube_provision.{kind}", ()):
                assert refusal(kind, name).endswith(f"pip install {project['name']}")


def test_a_missing_driver_is_not_logged_beside_its_error(caplog: pytest.LogCaptureFixture) -> None:
    refusal("target", "moon")
    assert not caplog.records


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
    assert plugins.choose("target", "moon")


def test_a_damaged_distribution_leaves_the_others_working(install: Install) -> None:
    site = install("kp-mars", "target", "mars")
    (site / "kp_mars-1.2.dist-info" / "entry_points.txt").write_bytes(b"[kube_provision.target]\nmars = \xff\xfe\n")
    install("kp-moon", "target", "moon")
    assert plugins.choose("target", "moon")


def test_an_entry_point_that_names_no_class_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", source="Driver = 3")
    assert "not a class" in refusal("target", "moon")


def test_an_entry_point_that_names_nothing_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", attribute="Absent")
    assert "cannot be loaded" in refusal("target", "moon")


def test_a_driver_without_a_configuration_model_is_refused(install: Install) -> None:
    install("kp-moon", "target", "moon", body="Config = dict")
    assert "Config must be a subclass of DriverConfig" in refusal("target", "moon")


@pytest.mark.parametrize(
    ("fields", "objection"),
    [
        ("x: str = option('x', help='X.')\n    @field_validator('z')\n    def check(cls, v): return v", "PydanticUserError"),
        ("x: Token = option(help='X.')", "PydanticSchemaGenerationError"),
        ("x: 'Absent' = option(help='X.')", "PydanticUndefinedAnnotation"),
    ],
)
def test_a_configuration_model_that_pydantic_refuses_is_told_in_a_line(
    install: Install, fields: str, objection: str
) -> None:
    source = f"""\
from pydantic import field_validator
from kube_provision_core import DriverConfig, option

class Token: ...

class Config(DriverConfig):
    {fields}

class Driver:
    pass

Driver.Config = Config
"""
    install("kp-moon", "target", "moon", source=source)
    text = refusal("target", "moon")
    assert f"Config is refused by pydantic: {objection}: " in text
    assert "\n" not in text
    (row,) = (it for it in plugins.installed(try_out) if it.distribution == "kp-moon")
    assert row.problem == text


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


def test_what_a_driver_inherits_and_leaves_out_is_no_answer(install: Install) -> None:
    source = """
        from kube_provision_core import DriverConfig, TargetDriver, hookimpl

        class Driver(TargetDriver):
            Config = DriverConfig
            parallel = 4

            @hookimpl
            def preflight(self, machines): return []
    """
    install("kp-moon", "target", "moon", source=source)
    with plugins.connect([chosen("target", "moon")]) as manager:
        assert [hook for hook in ("preflight", "list_vms", "arrange_vms") if plugins.answers(manager, hook)] == ["preflight"]
        assert plugins.get(manager, "target", "moon").boot_timeout > 0


def test_an_instance_may_have_what_its_class_inherits(install: Install) -> None:
    source = """
        from kube_provision_core import DiscoveryDriver, DriverConfig

        class Driver(DiscoveryDriver):
            Config = DriverConfig
            def __init__(self, config): self.address, self.port = "192.0.2.1", 8500
    """
    install("kp-moon", "discovery", "moon", source=source)
    assert plugins.construct(chosen("discovery", "moon")).port == 8500


def test_an_address_is_inherited_by_nobody(install: Install) -> None:
    source = """
        from kube_provision_core import DiscoveryDriver, DriverConfig

        class Driver(DiscoveryDriver):
            Config = DriverConfig
    """
    install("kp-moon", "discovery", "moon", source=source)
    with pytest.raises(PluginError, match="its `address` must be"):
        plugins.construct(chosen("discovery", "moon"))


def test_an_override_of_what_is_inherited_needs_its_mark(install: Install) -> None:
    source = """
        from kube_provision_core import DriverConfig, TargetDriver

        class Driver(TargetDriver):
            Config = DriverConfig
            def arrange_vms(self, cluster, vms): return True
    """
    install("kp-moon", "target", "moon", source=source)
    assert "Driver.arrange_vms is named like a hook but is not marked with @hookimpl" in refusal("target", "moon")


def test_installed_lists_every_plugin_without_importing_any(install: Install) -> None:
    install("kp-moon", "target", "moon")
    listed = [plugin for plugin in plugins.installed() if plugin.name == "moon"]
    assert listed == [plugins.InstalledPlugin("target", "moon", "kp-moon", "1.2")]
    assert "kp_moon" not in sys.modules


def test_installed_says_on_request_what_is_broken(install: Install) -> None:
    install("kp-moon", "target", "moon", source="1/0")
    install("kp-mars", "os", "mars")
    problems = {plugin.name: plugin.problem for plugin in plugins.installed(lambda found: None)}
    assert "ZeroDivisionError" in problems["moon"]
    assert problems["mars"] == ""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("@hookimpl\ndef render_boot(self, machine): ...", "render_boot takes `machine`, which the hook does not have"),
        ("def __init__(self, config): raise OSError('no such library')", "cannot be constructed: OSError: no such library"),
        (
            "Config = type('Config', (DriverConfig,), {'__annotations__': {'level': int}, 'level': 1})",
            "must begin with moon_",
        ),
        ("@hookimpl\ndef render_boots(self): ...", "did you mean render_boot?"),
        ("Config = dict", "Config must be a subclass of DriverConfig"),
        ("", ""),
    ],
)
def test_installed_says_what_is_wrong_with_an_extension(install: Install, body: str, told: str) -> None:
    install("kp-moon", "extension", "moon", body=body)
    (problem,) = (plugin.problem for plugin in plugins.installed(try_out) if plugin.name == "moon")
    assert told in problem if told else not problem
    assert not told or "kp-moon" in problem


def test_a_plugin_that_wants_to_be_configured_is_not_wrong(install: Install) -> None:
    body = """
        Config = type("Config", (DriverConfig,), {"__annotations__": {"moon_pool": str}})
        def __init__(self, config): raise ValueError("no pool")
    """
    install("kp-moon", "target", "moon", body=body)
    (problem,) = (plugin.problem for plugin in plugins.installed(try_out) if plugin.name == "moon")
    assert problem == ""


def test_installed_says_who_clashes(install: Install) -> None:
    install("kp-moon", "target", "moon")
    install("kp-other-moon", "target", "moon")
    clashing = [plugin for plugin in plugins.installed() if plugin.name == "moon"]
    assert [plugin.distribution for plugin in clashing] == ["kp-other-moon", "kp-moon"]
    assert all("kp-moon and kp-other-moon" in plugin.problem for plugin in clashing)


# --- calling --------------------------------------------------------------------------------------------------------


def test_connected_drivers_answer_under_their_names(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef preflight(self, machines): return ['full']")
    with plugins.connect([chosen("target", "moon")]) as manager:
        assert manager.ask.preflight(machines=[]) == [["full"]]
        assert plugins.get(manager, "target", "moon") is manager.driver("moon")


def test_a_driver_receives_its_configuration_by_role(install: Install) -> None:
    install("kp-moon", "target", "moon")
    with plugins.connect([chosen("target", "moon")]) as manager:
        assert set(plugins.get(manager, "target", "moon").config) == set(Role)


def test_a_driver_that_is_false_is_a_driver(install: Install) -> None:
    install(
        "kp-moon", "target", "moon", body="def __len__(self): return 0\n@hookimpl\ndef destroy_vm(self, vm): return True"
    )
    with plugins.connect([chosen("target", "moon")]) as manager:
        assert plugins.get(manager, "target", "moon") is not None
        assert plugins.answers(manager, "destroy_vm")


def test_one_name_in_two_kinds_does_not_clash(install: Install) -> None:
    install("kp-moon-target", "target", "moon")
    install("kp-moon-os", "os", "moon")
    with plugins.connect([chosen("target", "moon"), chosen("os", "moon")]) as manager:
        assert type(plugins.get(manager, "target", "moon")).__module__ == "kp_moon_target"
        assert type(plugins.get(manager, "os", "moon")).__module__ == "kp_moon_os"


def test_a_driver_named_like_a_part_of_the_core_does_not_clash(install: Install) -> None:
    install("kp-node", "extension", "node")
    with plugins.connect([chosen("extension", "node")], {"node"}) as manager:
        assert manager.driver("node") is None
        assert type(plugins.get(manager, "extension", "node")).__module__ == "kp_node"


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (
            "@hookimpl\ndef destroy_vm(self, machine): ...",
            "Driver.destroy_vm takes `machine`, which the hook does not have: vm",
        ),
        ("@hookimpl\ndef destroy_vm(self, vm=None): ...", "`vm` has a default, and would never be passed"),
        ("@hookimpl\ndef destroy_vm(self, *, vm): ...", "`vm` would never be passed"),
        ("@hookimpl(wrapper=True)\ndef destroy_vm(self, vm): return True", "is to be a wrapper, and does not yield"),
        ("@hookimpl(hookwrapper=True)\ndef destroy_vm(self, vm): yield", "write @hookimpl(wrapper=True)"),
    ],
)
def test_hooks_that_pluggy_would_not_serve_are_refused_in_one_line(install: Install, hook: str, told: str) -> None:
    install("kp-moon", "target", "moon", body=hook)
    assert told in refusal("target", "moon")
    assert "\n" not in refusal("target", "moon")


def test_arguments_that_nobody_passes_are_the_plugins_own(install: Install) -> None:
    install(
        "kp-moon",
        "target",
        "moon",
        body="@hookimpl\ndef destroy_vm(self, vm, *rest, retries=3, **more): return retries == 3",
    )
    with plugins.connect([chosen("target", "moon")]) as manager:
        manager.ask.destroy_vm(vm=VM)


class SecretConfig(DriverConfig):
    password: SecretStr = SecretStr("hunter2")


def test_a_constructor_that_fails_says_why_but_tells_no_secret() -> None:
    class Failing:
        Config = SecretConfig

        def __init__(self, config: Mapping[Role, SecretConfig]) -> None:
            raise ValueError(f"no such pool; logged in with {config[Role.MASTER].password.get_secret_value()}\nbadly")

    failing = plugins.ChosenDriver("extension", "moon", "kp-moon", Failing, dict.fromkeys(Role, SecretConfig()))
    with pytest.raises(PluginError) as caught:
        plugins.construct(failing)
    assert str(caught.value) == (
        "extension driver 'moon' of kp-moon cannot be constructed: ValueError: no such pool; logged in with *** badly"
    )


@pytest.mark.parametrize("body", ["del parallel", "parallel = 0", "parallel = '4'", "parallel = True"])
def test_a_target_that_does_not_say_how_many_machines_it_makes_at_once_is_refused(install: Install, body: str) -> None:
    install("kp-moon", "target", "moon", body=body)
    with pytest.raises(PluginError, match=r"'moon' of kp-moon: its `parallel` must say"):
        plugins.construct(chosen("target", "moon"))


def test_what_a_driver_leaves_out_has_a_default() -> None:
    assert plugins.declared(object(), "address_timeout", 300.0) == 300.0


def test_what_a_driver_declares_is_of_the_type_that_is_expected() -> None:
    class Moon:
        address_timeout = "soon"

    with pytest.raises(PluginError, match=r"Moon.address_timeout: 'soon' is a str, where float is expected"):
        plugins.declared(Moon(), "address_timeout", 300.0)


@pytest.mark.parametrize("body", ["del address", "address = ipaddress.IPv4Address('192.0.2.1')"])
def test_a_discovery_driver_whose_address_is_no_text_is_told_what_it_must_be(install: Install, body: str) -> None:
    install("kp-moon", "discovery", "moon", body=f"import ipaddress\n{body}")
    with pytest.raises(PluginError, match=r"'moon' of kp-moon: its `address` must be .* a str, or None"):
        plugins.construct(chosen("discovery", "moon"))


class Closing:
    """A driver that counts how often it was closed."""

    Config = DriverConfig
    closed = 0

    def __init__(self, config: object) -> None:
        type(self).closed = 0

    @hookimpl
    def close(self) -> None:
        type(self).closed += 1


class FailingToClose(Closing):
    @hookimpl
    def close(self) -> None:
        super().close()
        raise OSError("gone")


def driver(cls: type[Any], name: str = "a") -> plugins.ChosenDriver:
    return plugins.ChosenDriver("extension", name, "tests", cls)


def test_everyone_is_closed_once_though_one_fails() -> None:
    with plugins.connect([driver(Closing), driver(FailingToClose, "b")]):
        pass
    assert (Closing.closed, FailingToClose.closed) == (1, 1)


def test_everyone_is_closed_when_the_run_fails() -> None:
    with pytest.raises(TargetError), plugins.connect([driver(Closing)]):
        raise TargetError("down")
    assert Closing.closed == 1


def test_what_was_connected_is_closed_when_a_later_one_does_not_fit(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef destroy_vm(self, machine): ...")
    with pytest.raises(PluginError), plugins.connect([driver(Closing), chosen("target", "moon")]):
        pass
    assert Closing.closed == 1


class Wrapper(Closing):
    @hookimpl(wrapper=True)
    def destroy_vm(self) -> Any:
        return (yield)


def test_a_wrapper_is_no_answer() -> None:
    with plugins.connect([driver(Wrapper)]) as manager:
        assert not plugins.answers(manager, "destroy_vm")


def test_a_hook_that_nobody_answers_is_told_before_anything_is_touched() -> None:
    with (
        plugins.connect([]) as manager,
        pytest.raises(PluginError, match="target moon does not answer destroy_vm"),
    ):
        plugins.require(manager, "destroy_vm", "target", "moon")


def test_a_hook_that_is_answered_passes(install: Install) -> None:
    install("kp-moon", "target", "moon", body="@hookimpl\ndef destroy_vm(self, vm): return True")
    with plugins.connect([chosen("target", "moon")]) as manager:
        plugins.require(manager, "destroy_vm", "target", "moon")
