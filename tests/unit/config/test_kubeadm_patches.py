"""A folder of kubeadm's patches: what it may hold, who is given what of it, and what a change of it means."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kube_provision_core import Role
from kube_provision_core.config.kubeadm_patches import patches

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
GIVEN = MINIMAL + "kubeadm_patches: patches\n"
NAMED = (
    "must be named target[suffix][+strategic|+merge|+json].yaml or .json, its target kube-apiserver, "
    "kube-controller-manager, kube-scheduler, etcd, kubeletconfiguration, corednsdeployment"
)


@pytest.fixture
def patched(folder: Path) -> Path:
    """One patch of each kind."""
    patched = folder / "patches"
    patched.mkdir()
    (patched / "kube-apiserver.yaml").write_text("spec: {priority: 2000001000}\n")
    (patched / "etcd0+json.json").write_text('[{"op": "remove", "path": "/metadata/labels"}]')
    (patched / "kubeletconfiguration1+merge.yaml").write_text("maxPods: 60\n")
    (patched / ".gitignore").write_text("*~\n")
    return patched


def test_masters_are_given_all_and_workers_what_is_their_kubelets(load_text, patched: Path) -> None:
    folder = load_text(GIVEN).core.kubeadm_patches
    assert folder == patched
    assert list(patches(folder, Role.MASTER)) == [
        "etcd0+json.json",
        "kube-apiserver.yaml",
        "kubeletconfiguration1+merge.yaml",
    ]
    assert patches(folder, Role.WORKER) == {"kubeletconfiguration1+merge.yaml": "maxPods: 60\n"}
    assert not patches(folder, Role.DISCOVERY)
    assert not patches(None, Role.MASTER)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("apiserver.yaml", "a: 1", NAMED),
        ("kube-apiserver.yml", "a: 1", NAMED),
        ("kube-apiserver+replace.yaml", "a: 1", NAMED),
        ("etcd+json.yaml", "a: 1", "must be YAML or JSON: a list of operations"),
        ("etcd+merge.yaml", "- a", "must be YAML or JSON: a mapping of fields"),
        ("etcd.json", "{", "must be YAML or JSON: a mapping of fields"),
        ("etcd.yaml", "a: " + "x" * 70_000, "is larger than 64 KiB"),
    ],
)
def test_a_patch_that_kubeadm_would_pass_over_or_stop_at_is_told(
    complaints, patched: Path, name: str, text: str, said: str
) -> None:
    (patched / name).write_text(text)
    assert complaints(GIVEN) == [f"config.yml:6: kubeadm_patches: {patched / name}: {said}"]


def test_a_patch_is_utf_8_whatever_this_hosts_language_is(complaints, patched: Path) -> None:
    (patched / "etcd.yaml").write_bytes("metadata: {annotations: {by: Zoë}}".encode())
    imports = (
        "import pathlib; from kube_provision_core import Role; from kube_provision_core.config import kubeadm_patches as it"
    )
    ask = f"{imports}; print(ascii(it.patches(pathlib.Path({str(patched)!r}), Role.MASTER)['etcd.yaml']))"
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    told = subprocess.run([sys.executable, "-c", ask], env=plain, capture_output=True, text=True, timeout=120, check=True)
    assert "Zo\\xeb" in told.stdout
    (patched / "etcd.yaml").write_bytes("metadata: {annotations: {by: Zoë}}".encode("latin-1"))
    assert complaints(GIVEN) == [f"config.yml:6: kubeadm_patches: {patched}/etcd.yaml: is not UTF-8 text"]


def test_a_folder_that_is_none_or_holds_none_is_told(complaints, folder: Path) -> None:
    assert complaints(GIVEN) == [f"config.yml:6: kubeadm_patches: there is no folder {folder}/patches"]
    (folder / "patches").mkdir()
    assert complaints(GIVEN) == [f"config.yml:6: kubeadm_patches: {folder}/patches holds no patch"]


def test_another_patch_makes_another_machine_and_another_plan(load_text, patched: Path) -> None:
    before = {role: (load_text(GIVEN).spec(role), load_text(GIVEN).content(role)) for role in Role}
    (patched / "etcd0+json.json").write_text("[]")
    after = {role: (load_text(GIVEN).spec(role), load_text(GIVEN).content(role)) for role in Role}
    changed = {role for role in Role if not set(before[role]) & set(after[role])}
    assert changed == {Role.MASTER}
    assert before[Role.WORKER] == after[Role.WORKER]
