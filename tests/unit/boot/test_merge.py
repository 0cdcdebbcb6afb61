"""Fragments come together in any order; what contradicts is refused by name."""

from __future__ import annotations

import base64
from itertools import permutations

import pytest

from kube_provision_core import BootError, File, Role, Stage, Step, Unit
from kube_provision_core.boot.merge import CLOCK, TRUST, merge
from kube_provision_core.boot.relay import NamedFragment

SERVICE = "[Service]\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIN\n-----END EC PRIVATE KEY-----\n"


def with_files(plugin: str, *files: File) -> NamedFragment:
    return NamedFragment(plugin=plugin, files=files)


def test_the_order_of_fragments_does_not_matter() -> None:
    fragments = (
        NamedFragment(plugin="b", files=(File("/b", "b"),), steps=(Step("x", Stage.JOIN, "x"),), cloud_config={"k": ["b"]}),
        NamedFragment(plugin="a", files=(File("/a", "a"),), steps=(Step("x", Stage.JOIN, "x"),), cloud_config={"k": ["a"]}),
        NamedFragment(plugin="c", units=(Unit("c.service", SERVICE),), steps=(Step("y", Stage.PREPARE, "y"),)),
    )
    assert len({repr(merge(order, Role.WORKER)) for order in permutations(fragments)}) == 1


def test_two_contents_for_one_path_name_both_plugins_and_no_content() -> None:
    with pytest.raises(BootError, match=r"^/etc/x: plugins one and two both claim it") as caught:
        merge((with_files("two", File("/etc/x", "secret-2")), with_files("one", File("/etc/x", "secret-1"))), Role.WORKER)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("other", [File("/etc/x", "same", mode=0o600), File("/etc/x", "same", owner="a:b")])
def test_another_mode_or_owner_is_another_content(other: File) -> None:
    with pytest.raises(BootError, match="/etc/x"):
        merge((with_files("one", File("/etc/x", "same")), with_files("two", other)), Role.WORKER)


def test_equal_content_merges_silently_and_stays_secret() -> None:
    same = File("/etc/x", "same"), File("/etc/x", "same", secret=True)
    for first, second in permutations(same):
        merged = merge((with_files("one", first), with_files("two", second)), Role.WORKER)
        assert merged.files == (same[1],)


def test_a_unit_and_a_file_of_its_path_contradict() -> None:
    unit = NamedFragment(plugin="one", units=(Unit("x.service", SERVICE),))
    with pytest.raises(BootError, match=r"x\.service: plugins one and two"):
        merge((unit, with_files("two", File("/etc/systemd/system/x.service", "other"))), Role.WORKER)


def test_two_steps_of_one_name_contradict() -> None:
    steps = Step("x", Stage.JOIN, "true"), Step("x", Stage.JOIN, "false")
    with pytest.raises(BootError, match="plugin one claims it twice, with"):
        merge((NamedFragment(plugin="one", steps=steps),), Role.WORKER)


def test_steps_of_a_stage_run_in_the_order_of_plugins_and_then_as_declared() -> None:
    second, first = Step("second", Stage.INSTALL, ""), Step("first", Stage.PREPARE, "")
    fragments = (
        NamedFragment(plugin="b", steps=(second, first)),
        NamedFragment(plugin="a", steps=(Step("z", Stage.INSTALL, ""), Step("y", Stage.INSTALL, ""))),
    )
    merged = merge(fragments, Role.WORKER)
    assert [(owned.plugin, owned.step.name) for owned in merged.steps] == [
        ("b", "first"),
        ("a", "z"),
        ("a", "y"),
        ("b", "second"),
    ]


@pytest.mark.parametrize("system", ["aaa", "zzz"])
def test_the_operating_systems_steps_come_before_those_that_build_on_it(system: str) -> None:
    steps = (Step("z", Stage.PREPARE, ""), Step("y", Stage.INSTALL, ""))
    fragments = [NamedFragment(plugin=name, steps=steps) for name in ("kubeadm", system, CLOCK, TRUST)]
    merged = merge(fragments, Role.WORKER, {system, f"os-{system}"})
    assert [owned.plugin for owned in merged.steps] == [CLOCK, TRUST, system, "kubeadm"] * 2


def test_a_step_is_a_script_that_stops_at_the_first_failure() -> None:
    (file,) = merge((NamedFragment(plugin="a", steps=(Step("x", Stage.JOIN, "true"),)),), Role.WORKER).files
    assert file.path == "/usr/local/lib/kube-provision/steps/40-join/a-x.sh"
    assert file.content == "#!/usr/bin/env bash\nset -euo pipefail\ntrue\n"


@pytest.mark.parametrize(
    "path", ["etc/x", "/etc/../x", "/etc//x", "//etc/x", "/run/x", "/run", "/var/run/x", "/tmp/x", "/etc/", "/"]
)
def test_a_path_that_does_not_last_or_is_not_plain_is_refused(path: str) -> None:
    with pytest.raises(BootError, match="plugin one"):
        merge((with_files("one", File(path, "")),), Role.WORKER)


def test_a_folder_that_only_begins_like_a_vanishing_one_is_allowed() -> None:
    assert merge((with_files("one", File("/runner/x", "")),), Role.WORKER).files


@pytest.mark.parametrize("role", [Role.WORKER, Role.DISCOVERY])
@pytest.mark.parametrize(
    "fragment",
    [
        with_files("one", File("/etc/x", KEY)),
        with_files("one", File("/etc/x", f"some: text\n{KEY}")),
        with_files("one", File("/etc/x", KEY.encode())),
        with_files("one", File("/etc/x", f"client-key-data: {base64.b64encode(KEY.encode()).decode()}")),
        NamedFragment(plugin="one", units=(Unit("x.service", KEY, enable=False),)),
        NamedFragment(plugin="one", steps=(Step("x", Stage.JOIN, KEY),)),
        NamedFragment(plugin="one", cloud_config={"ssh_keys": {"rsa_private": KEY}}),
    ],
    ids=["file", "inside text", "bytes", "base64", "unit", "step", "cloud-config"],
)
def test_a_private_key_reaches_masters_only(fragment: NamedFragment, role: Role) -> None:
    with pytest.raises(BootError, match=f"plugin one puts a private key into the boot data of a {role} machine") as caught:
        merge((fragment,), role)
    assert "MHcCAQEEIN" not in str(caught.value)
    merge((fragment,), Role.MASTER)


@pytest.mark.parametrize("role", [Role.WORKER, Role.DISCOVERY])
def test_a_key_that_is_declared_as_a_machines_own_reaches_it(role: Role) -> None:
    own = with_files("one", File("/etc/agent.key", KEY, mode=0o600, secret=True, own_key=True))
    assert merge((own,), role).files
    with pytest.raises(BootError, match=r"/etc/other\.key: plugin one puts a private key"):
        merge((own, with_files("one", File("/etc/other.key", KEY))), role)


def test_units_are_enabled_that_want_it() -> None:
    units = Unit("b.service", SERVICE), Unit("a.timer", SERVICE), Unit("c.service", SERVICE, enable=False)
    assert merge((NamedFragment(plugin="one", units=units),), Role.WORKER).enabled == ("a.timer", "b.service")


def test_a_unit_that_cannot_be_enabled_is_refused() -> None:
    with pytest.raises(BootError, match=r"x\.service: plugin one wants it enabled"):
        merge((NamedFragment(plugin="one", units=(Unit("x.service", "[Service]\nExecStart=/bin/true\n"),)),), Role.WORKER)
