"""Swap, for roles that want it: how it is written, what it must fit, and whom it is not for."""

from __future__ import annotations

import pytest

from kube_provision_core import Role

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
GPU = Role.of_pool("gpu")
SAYS = "must be true, false, or the size of a swap file in whole GiB, 1 to 65536"


@pytest.mark.parametrize(
    ("written", "read"),
    [("true", True), ("'true'", True), ("false", False), ("1", 1), ("4", 4), ("'4'", 4), ("65536", 65536), ("${N}", 8)],
)
def test_it_is_said_or_a_size(load_text, written: str, read: bool | int) -> None:
    swap = load_text(f"{MINIMAL}swap: {written}\n", environ={"N": "8"}).core.swap
    assert (type(swap), swap) == (type(read), read)


def test_none_is_the_default(load_text) -> None:
    assert load_text(MINIMAL).core.swap is False


@pytest.mark.parametrize("given", [{"extra": ["swap=4"]}, {"environ": {"KUBE_PROVISION_SWAP": "4"}}])
def test_a_command_line_and_a_variable_say_the_same(load_text, given: dict[str, object]) -> None:
    assert load_text(MINIMAL, **given).core.swap == 4


@pytest.mark.parametrize("written", ["'yes'", "0", "-1", "1.5", "4GiB", "65537", "9" * 5000, "", "[4]", "{size: 4}"])
def test_anything_else_is_refused_in_one_line(complaints, written: str) -> None:
    assert complaints(f"{MINIMAL}swap: {written}\n") == [f"config.yml:6: swap: {SAYS}"]


def test_each_role_and_pool_has_its_own(load_text) -> None:
    config = load_text(f"{MINIMAL}workers: {{swap: true}}\npools: {{gpu: {{count: 1, swap: 8}}}}\n")
    assert [config.by_role[role].swap for role in (Role.MASTER, Role.WORKER, GPU)] == [False, True, 8]


def test_discoverys_machine_is_none_to_say_it_for(complaints, load_text) -> None:
    line = "swap: discovery's machine has no kubelet, and keeps its template's swap; leave it out here"
    assert complaints(f"{MINIMAL}swap: true\nbeacon: {{swap: 4}}\n") == [f"config.yml:7: {line}"]
    assert load_text(f"{MINIMAL}swap: true\nbeacon: {{cpu: 1, boot_disk_size: 4}}\n").core.swap is True


def test_a_file_must_leave_the_system_room_on_the_boot_disk(complaints, load_text) -> None:
    needs = "a system needs 6 besides, and boot_disk_size is 13"
    line = f"swap: a file of 8 GiB does not fit on the boot disk: {needs}"
    assert complaints(f"{MINIMAL}boot_disk_size: 13\nworkers: {{swap: 8}}\n") == [f"config.yml:7: {line}"]
    both = "a system needs 6 besides, and boot_disk_size is 7"
    assert complaints(f"{MINIMAL}boot_disk_size: 7\nswap: 4\n") == [
        f"config.yml:7: swap: a file of 4 GiB does not fit on the boot disk: {both}"
    ]
    assert load_text(f"{MINIMAL}boot_disk_size: 14\nworkers: {{swap: 8}}\n")
    assert load_text(f"{MINIMAL}boot_disk_size: 3\nswap: true\nbeacon: {{boot_disk_size: 3}}\n")


def test_a_kubelet_is_told_of_it_by_this_key_alone(complaints) -> None:
    assert complaints(f"{MINIMAL}kubelet: {{failSwapOn: false}}\n") == [
        "config.yml:6: kubelet.failSwapOn: is the key `swap`"
    ]


LIMITED = "{memorySwap: {swapBehavior: LimitedSwap}}"


@pytest.mark.parametrize(
    ("text", "whom"),
    [
        (f"kubelet: {LIMITED}\n", "masters, workers"),
        (f"workers: {{kubelet: {LIMITED}}}\n", "workers"),
        (f"kubelet: {LIMITED}\nmasters: {{swap: true}}\npools: {{gpu: 1}}\n", "workers, pools.gpu"),
        (f"kubelet: {LIMITED}\nmasters: {{swap: 2}}\nworkers: 0\n", ""),
        (f"kubelet: {LIMITED}\nswap: true\n", ""),
    ],
)
def test_what_pods_may_swap_where_there_is_no_swap_is_warned_of(load_text, text: str, whom: str) -> None:
    line = f"kubelet.memorySwap changes nothing for {whom}: their machines have no swap; give them some with swap"
    assert load_text(MINIMAL + text).warnings == ((line,) if whom else ())
