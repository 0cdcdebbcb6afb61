"""`pools`: workers of several kinds, each a role with keys of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kube_provision_core import Role
from kube_provision_core.config.per_role import PerRole
from kube_provision_core.config.shown import shown

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
GPU = Role.of_pool("gpu")


@pytest.mark.parametrize("written", ["{gpu: 2}", "{gpu: {count: 2}}", "{gpu: {count: 2, cpu: 4}}"])
def test_a_count_stands_alone_or_in_its_section(load_text, written: str) -> None:
    assert load_text(f"{MINIMAL}pools: {written}").core.pools == {"gpu": 2}


def test_without_any_the_roles_are_those_of_before(load_text) -> None:
    config = load_text(MINIMAL)
    assert [*config.by_role] == [*Role]
    assert config.core.counts == {Role.MASTER: 3, Role.WORKER: 3}


def test_a_pool_has_its_own_keys_then_the_documents_then_workers_defaults(load_text) -> None:
    text = "mem: 7\nworkers: {count: 1, boot_disk_size: 50}\npools: {gpu: {count: 2, template: g}, b: 1}"
    config = load_text(MINIMAL + text)
    gpu, plain = config.by_role[GPU], config.by_role[Role.WORKER]
    assert (gpu.cpu, gpu.mem, gpu.boot_disk_size, plain.boot_disk_size) == (4, 7, None, 50)
    templates = {role: keys.template for role, keys in config.driver("target").config.items()}  # type: ignore[attr-defined]
    assert templates == {**dict.fromkeys(Role, "t"), GPU: "g", Role.of_pool("b"): "t"}
    assert config.core.counts == {Role.MASTER: 3, Role.WORKER: 1, Role.of_pool("b"): 1, GPU: 2}


def test_pools_of_several_sources_are_merged_key_by_key(load_text, folder: Path) -> None:
    config = load_text(
        MINIMAL + "pools: {gpu: {count: 2, cpu: 5, mem: 5}, edge: 1}\n",
        "pools: {gpu: {cpu: 6}}\n",
        extra=["pools={gpu: {count: 4}}"],
        environ={"KUBE_PROVISION_POOLS": "{gpu: {mem: 9, count: 3}}"},
    )
    gpu = config.by_role[GPU]
    assert (gpu.cpu, gpu.mem) == (6, 9)
    assert config.core.pools == {"edge": 1, "gpu": 4}


def test_the_number_of_workers_is_no_pools(load_text) -> None:
    config = load_text(MINIMAL + "pools: {gpu: 2}", flags={"workers": 7}, environ={"KUBE_PROVISION_WORKERS": "6"})
    assert (config.core.workers, config.core.pools) == (7, {"gpu": 2})


def test_a_pool_that_is_not_named_any_more_has_what_workers_have(load_text) -> None:
    config = load_text(MINIMAL + "workers: {cpu: 9}").with_generated({"beacon_key": "x"})
    assert config.by_role[GPU] is config.by_role[Role.WORKER]
    target = config.driver("target").config
    assert target[GPU] is target[Role.WORKER]
    with pytest.raises(KeyError):
        PerRole({Role.WORKER: 1})[Role.MASTER]


def test_what_a_machine_is_made_of_is_the_pools_own(load_text) -> None:
    plain = load_text(MINIMAL)
    pooled = load_text(MINIMAL + "pools: {same: 1, gpu: {count: 1, kubelet: {maxPods: 40}}}")
    assert {role: pooled.spec(role) for role in Role} == {role: plain.spec(role) for role in Role}
    assert pooled.spec(Role.of_pool("same")) == plain.spec(Role.WORKER) != pooled.spec(GPU)
    assert pooled.content(GPU) != pooled.content(Role.WORKER)


def test_secrets_of_a_pool_are_hidden_as_any(load_text) -> None:
    config = load_text(MINIMAL + "pools: {gpu: {count: 1, moon_token: hush-hush}}")
    assert "hush" not in json.dumps(shown(config)) + repr(config)
    assert "worker-gpu" in shown(config)["core"]


def test_a_secret_of_a_pool_is_refused_on_the_command_line(complaints) -> None:
    (line,) = complaints(MINIMAL, extra=["pools={gpu: {count: 1, moon_token: hush}}"])
    assert line.startswith("-e pools: moon_token is a secret")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("pools: 3", "config.yml:6: pools must be a mapping of names to a count, or to a section"),
        ("pools:\n  Big: 3", "config.yml:7: pools: Big is no name for a pool: it must be a DNS label"),
        ("pools:\n  workers: 3", "config.yml:7: pools: workers is no name for a pool"),
        ("pools:\n  masters: 3", "config.yml:7: pools: masters is no name for a pool"),
        ("pools:\n  beacon: 3", "config.yml:7: pools: beacon is no name for a pool"),
        ("pools:\n  gpu:\n    cpu: 3", "config.yml:7: pools.gpu has no count: how many machines it is to have"),
        ("pools:\n  gpu: -1", "config.yml:7: count: must be at least 0"),
        ("pools:\n  gpu:\n    count: many", "config.yml:8: count: must be a whole number"),
        ("pools:\n  gpu:\n    count: 1\n    cpu: 0", "config.yml:9: cpu: must be at least 1"),
        ("pools:\n  gpu:\n    count: 1\n    cpuu: 1", "config.yml:9: unknown key cpuu in pools.gpu; did you mean cpu?"),
        ("pools:\n  gpu:\n    counts: 1", "config.yml:8: unknown key counts in pools.gpu; did you mean count?"),
        (
            "pools:\n  gpu:\n    count: 1\n    name: x",
            "config.yml:9: name cannot differ per role; write it outside of pools.gpu",
        ),
        (
            "pools:\n  gpu:\n    count: 1\n    taints: [x:Never]",
            "config.yml:9: taints[0]",
        ),
        ("pools:\n  gpu:\n    count: 1\n    ami: a\n    template: b", "config.yml:10: template and ami"),
        (
            "pools:\n  gpu:\n    count: 1\n    volumes: [{dev: /dev/b, mount: /x}, {dev: /dev/c, mount: /x}]",
            "config.yml:9: volumes: the mount point /x is named twice",
        ),
        ("worker_label: gpu-\npools: {gpu: 1}", "config.yml:7: pools.gpu: machines would bear the same names as those with"),
        ("master_label: gpu-\npools: {gpu: 1}", "config.yml:7: pools.gpu: machines would bear the same names as those with"),
        (
            "pools: {w: 1}",
            "config.yml:6: pools.w: machines would bear the same names as those with worker_label w-",
        ),
        (
            "pools: {m: 0}",
            "config.yml:6: pools.m: machines would bear the same names as those with master_label m-",
        ),
        (f"pools: {{{'a' * 60}: 1}}", f"config.yml:1: the worker of pool {'a' * 60}'s host name {'a' * 60}-prod-1 is 67"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(complaints, written: str, line: str) -> None:
    assert any(it.startswith(line) for it in complaints(MINIMAL + written)), complaints(MINIMAL + written)


@pytest.mark.parametrize(
    ("section", "value", "subject"),
    [
        ("pools", "{gpu: -1}", "pools.gpu.count: must be at least 0"),
        ("pools", "{gpu: {count: -1}}", "pools.gpu.count: must be at least 0"),
        ("pools", "{gpu: 1, edge: {count: 1, cpu: 0}}", "pools.edge.cpu: must be at least 1"),
        ("pools", "{gpu: {count: 1, kubelet: {maxPods: x}}}", "pools.gpu.kubelet.maxPods: must be a whole number"),
        ("pools", "{gpu: {workerz: 1}}", "unknown key workerz in pools.gpu"),
        ("workers", "{cpu: 0}", "workers.cpu: must be at least 1"),
        ("workers", "{count: -1}", "must be at least 0"),
        ("workers", "-1", "must be at least 0"),
    ],
)
def test_a_section_that_is_no_lines_says_which_of_its_keys_is_wrong(
    complaints, section: str, value: str, subject: str
) -> None:
    variable = f"KUBE_PROVISION_{section.upper()}"
    assert f"-e {section}: {subject}" in complaints(MINIMAL, extra=[f"{section}={value}"])
    assert f"{variable}: {subject}" in complaints(MINIMAL, environ={variable: value})


def test_a_key_that_is_missing_for_a_pool_says_which(complaints) -> None:
    text = MINIMAL.replace("template: t", "masters: {template: a}\nworkers: {template: a}\nbeacon: {template: a}")
    (line,) = complaints(text + "pools: {b: 1, c: 0}")
    assert line.startswith("config.yml: template is missing for pools.b: ")
    assert "under pools.b:" in line


def test_more_nodes_than_networks_of_pods_are_warned_about(load_text) -> None:
    (warning,) = load_text(MINIMAL + "pod_subnet: 10.9.0.0/21\npools: {gpu: 3}\n").warnings
    assert warning == "pod_subnet 10.9.0.0/21 has networks for 8 nodes; 9 are wanted"
