"""What machines are made of: what of it a stamp tells, and how a change is named later on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kube_provision_core import Role, Stamp
from kube_provision_core.config import Config
from kube_provision_core.config.specification import OTHER, Change

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
DISK, DISK_B = '{"size": 9, "mount": "/a"}', '{"size": 9, "mount": "/b"}'
JOIN = "kubeadm: {join: {nodeRegistration: {kubeletExtraArgs: [{name: v, value: '%s'}]}}}\n"
HEADER = "kubelet: {maxPods: %d, staticPodURLHeader: {Authorization: [%s]}}\n"


def stamp(config: Config, role: Role = Role.WORKER) -> Stamp:
    """Of a machine that was made from it, as a target gives it back."""
    made = Stamp("prod", "id-1", role, config.spec(role), made_of=config.made_of(role))
    found = Stamp.parse(made.text)
    assert found == made
    return made


def told(changes: tuple[Change, ...]) -> list[str]:
    return [change.text for change in changes]


@pytest.fixture
def change(load_text):
    """What is told of a machine that was made from one document, once another one is there."""

    def made(before: str, after: str, role: Role = Role.WORKER) -> tuple[Change, ...]:
        return load_text(MINIMAL + after).changes(role, stamp(load_text(MINIMAL + before), role))

    return made


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("kubelet: {maxPods: 110}\n", "kubelet: {maxPods: 200}\n", "kubelet.maxPods: 110 → 200"),
        ("", "kubelet: {maxPods: 200}\n", "kubelet.maxPods: unset → 200"),
        ("kubelet: {maxPods: 110}\n", "", "kubelet.maxPods: 110 → unset"),
        ("", "kubelet: {evictionHard: {memory.available: 5%}}\n", "kubelet.evictionHard.memory.available: unset → 5%"),
        ("", "kubelet: {allowedUnsafeSysctls: [a, b]}\n", 'kubelet.allowedUnsafeSysctls: unset → ["a", "b"]'),
        ("", "kubelet: {evictionSoft: {}}\n", "kubelet.evictionSoft: unset → {}"),
        ("", "kubelet: {failCgroupV1: false}\n", "kubelet.failCgroupV1: unset → false"),
        ("cpu: 2\n", "cpu: 4\n", "cpu: 2 → 4"),
        ("", "boot_disk_size: 50\n", "boot_disk_size: unset → 50"),
        (
            "data_volumes: [{size: 9, mount: /a, format: xfs}]\n",
            "data_volumes: [{size: 8, mount: /a, format: xfs}]\n",
            'data_volumes: [{"size": 9, "mount": "/a", "format": "xfs"}] → [{"size": 8, "mount": "/a", "format": "xfs"}]',
        ),
        ("", f"data_volumes: [{DISK}, {DISK_B}]\n", f"data_volumes: unset → [{DISK}, {DISK_B}]"),
        (f"data_volumes: [{DISK}, {DISK_B}]\n", "", f"data_volumes: [{DISK}, {DISK_B}] → unset"),
        ("data_volume: 9\n", "data_volumes: [{size: 20, mount: /data}]\n", "data_volume: 9 → 20"),
        ("", "workers: {template: u}\n", "template: t → u"),
        ("", "taints: ['a=b:NoSchedule']\n", 'taints: unset → ["a=b:NoSchedule"]'),
        ("", "cloud_provider: external\n", "cloud_provider: unset → external"),
        ("", "swap: true\n", "swap: false → true"),
        ("swap: 4\n", "", "swap: 4 → false"),
        ("swap: true\n", "swap: 1\n", "swap: true → 1"),
    ],
)
def test_a_change_is_named_by_its_key_with_what_was_said_before(change, before: str, after: str, text: str) -> None:
    assert told(change(before, after)) == [text]


def test_all_that_has_changed_is_named_by_keys_in_their_order(change) -> None:
    found = change("kubelet: {maxPods: 110, podPidsLimit: 9}\n", "kubelet: {maxPods: 200}\ncpu: 8\n")
    assert told(found) == ["cpu: 4 → 8", "kubelet.maxPods: 110 → 200", "kubelet.podPidsLimit: 9 → unset"]


def test_of_a_machine_that_is_as_it_was_made_nothing_is_told(change) -> None:
    assert change("kubelet: {maxPods: 110}\n", "kubelet: {maxPods: 110}\ncommands: [a]\nlabels: {a: b}\n") == ()


def test_a_further_disk_is_the_same_by_whichever_key_it_is_said(load_text) -> None:
    short, long = load_text(MINIMAL + "data_volume: 9\n"), load_text(MINIMAL + "data_volumes: [{size: 9, mount: /data}]\n")
    assert (short.spec(Role.WORKER), short.made_of(Role.WORKER)) == (long.spec(Role.WORKER), long.made_of(Role.WORKER))


def test_swap_that_is_off_counts_for_nothing(load_text) -> None:
    """Machines that were made before there was the key are what they would be made of today."""
    was, now = load_text(MINIMAL), load_text(MINIMAL + "swap: false\nworkers: {swap: false}\n")
    assert now.spec(Role.WORKER) == was.spec(Role.WORKER)
    assert "swap" not in was.made_of(Role.WORKER)["core"]
    assert now.changes(Role.WORKER, stamp(was)) == ()
    swapping = load_text(MINIMAL + "swap: 4\n")
    assert swapping.spec(Role.DISCOVERY) == was.spec(Role.DISCOVERY)
    assert swapping.changes(Role.DISCOVERY, stamp(was, Role.DISCOVERY)) == ()


def test_a_role_is_told_of_alone(change) -> None:
    assert change("", "workers: {cpu: 8}\n", Role.MASTER) == ()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (JOIN % 1, JOIN % 2),
        (HEADER % (110, "one"), HEADER % (110, "another")),
        (HEADER % (110, "one"), "kubelet: {maxPods: 110}\n"),
    ],
)
def test_what_may_hold_a_secret_is_not_told_and_that_something_has_changed_is(change, before: str, after: str) -> None:
    assert change(before, after) == (OTHER,)
    assert OTHER.text == "something that its stamp does not tell"


def test_beside_a_key_that_is_named_it_is_told_too(change) -> None:
    found = change(HEADER % (110, "one"), HEADER % (200, "another"))
    assert (told(found[:-1]), found[-1]) == (["kubelet.maxPods: 110 → 200"], OTHER)


def test_a_key_that_is_named_beside_a_secret_that_stays_is_all(change) -> None:
    assert told(change(HEADER % (110, "one"), HEADER % (200, "one"))) == ["kubelet.maxPods: 110 → 200"]


def test_a_stamp_holds_no_secret_and_nothing_made_of_one(load_text) -> None:
    text = MINIMAL + HEADER % (110, "hush-1") + JOIN % "hush-2" + "moon_password: hush-3\n"
    before = {role: load_text(text).made_of(role) for role in Role}
    assert "hush" not in json.dumps(before)
    assert {role: load_text(text.replace("hush", "hish")).made_of(role) for role in Role} == before


def test_the_discovery_machine_is_no_node(load_text) -> None:
    assert "kubelet" not in load_text(MINIMAL + "kubelet: {maxPods: 110}\n").made_of(Role.DISCOVERY)["core"]


def test_of_a_stamp_of_an_earlier_version_the_hash_is_known_alone(load_text) -> None:
    before, after = load_text(MINIMAL), load_text(MINIMAL + "cpu: 8\n")
    early = replace(stamp(before), made_of={})
    assert (before.changes(Role.WORKER, early), after.changes(Role.WORKER, early)) == ((), (OTHER,))


def test_of_a_stamp_that_somebody_has_changed_no_more_is_believed_than_fits(load_text) -> None:
    config = load_text(MINIMAL + "cpu: 8\n")
    broken = replace(stamp(load_text(MINIMAL)), made_of={"core": "nothing", "target": {"template": "t"}})
    assert config.changes(Role.WORKER, broken)[-1] == OTHER
