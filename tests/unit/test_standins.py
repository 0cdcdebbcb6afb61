"""The stand-ins of hosts are as strict as what they stand in for, and say what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography import x509
from machines.standins import certificates, configuration, kubelet, master, preflight
from machines.standins.faults import StandInError
from servers.cluster_objects import CONFIG_MAPS, NODES, ClusterObjects
from servers.control_plane import Call
from servers.refusals import RefusedError
from servers.workloads import MERGE_PATCH

from kube_provision_core.folder.pki import create_pki

TESTS = Path(__file__).parents[1]
ADVICE = "if you choose to ignore these errors, turn validation off with --validate=false"


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        ("kind: ConfigMap\n", "apiVersion not set"),
        ("apiVersion: v1\n", "kind not set"),
        ("metadata: {name: x}\n", "[apiVersion not set, kind not set]"),
        ("- a\n- b\n", "invalid object to validate"),
        ("only text\n", "invalid object to validate"),
    ],
)
def test_kubectl_refuses_what_is_no_object(tmp_path: Path, manifest: str, problem: str) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(manifest)
    assert apply(path) == f'error: error validating "{path}": error validating data: {problem}; {ADVICE}\n'


@pytest.mark.parametrize("manifest", ["", "# nothing\n---\n"])
def test_kubectl_refuses_to_apply_nothing(tmp_path: Path, manifest: str) -> None:
    path = tmp_path / "seed.yaml"
    path.write_text(manifest)
    assert apply(path) == "error: no objects passed to apply\n"


def test_kubectl_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "seed.yaml"
    assert apply(path) == f'error: the path "{path}" does not exist\n'


def test_lists_say_what_they_list_once_for_all() -> None:
    objects = ClusterObjects()
    objects.add_node("m-prod-1", "127.0.0.11")
    found = objects.list(NODES, 0, 0)
    assert (found["apiVersion"], found["kind"]) == ("v1", "NodeList")
    assert [item.keys() & {"apiVersion", "kind"} for item in found["items"]] == [set()]
    assert objects.list(CONFIG_MAPS, 0, 0)["kind"] == "ConfigMapList"


def test_what_was_changed_by_others_since_it_was_read_is_not_replaced() -> None:
    objects = ClusterObjects()
    objects.add_node("m-prod-1", "127.0.0.11")
    read = objects.get(NODES, "m-prod-1")
    objects.replace(NODES, "m-prod-1", read)
    with pytest.raises(
        RefusedError, match='Operation cannot be fulfilled on nodes "m-prod-1": the object has been modified'
    ):
        objects.replace(NODES, "m-prod-1", read)


def test_a_patch_is_tried_again_where_others_have_changed_what_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = ClusterObjects()
    objects.add_node("m-prod-1", "127.0.0.11")
    get, others = objects.get, iter(["a kubelet", "another"])

    def get_and_be_late(collection: str, name: str) -> dict[str, Any]:
        read = get(collection, name)
        if next(others, ""):
            objects.replace(collection, name, {**read, "metadata": {**read["metadata"], "resourceVersion": ""}})
        return read

    monkeypatch.setattr(objects, "get", get_and_be_late)
    document = {"spec": {"unschedulable": True}}
    call = Call("PATCH", f"{NODES}/m-prod-1", {}, document, "admin", frozenset(), "", MERGE_PATCH)
    assert objects.workloads.act(call, objects)
    assert get(NODES, "m-prod-1")["spec"] == {"unschedulable": True}


def test_objects_of_another_kind_are_refused() -> None:
    with pytest.raises(RefusedError, match='Secret in version "v1" cannot be handled as a Node'):
        ClusterObjects().create(NODES, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "m-prod-1"}})


def apply(manifest: Path) -> str:
    """What it says about one that it refuses."""
    command = [sys.executable, "-m", "machines.standins.kubectl", "--kubeconfig", "none", "apply", "--server-side", "-f"]
    done = subprocess.run([*command, manifest], env={"PYTHONPATH": str(TESTS)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("clusterName: prod", ""),
        ("nope: 1", 'strict decoding error: unknown field "nope"'),
        ("featureGates: {Gone: true}", "Gone is not a valid feature name"),
    ],
)
def test_kubeadm_validates_what_it_is_configured_with(tmp_path: Path, line: str, refusal: str) -> None:
    """As kubeadm 1.37.0 answered."""
    path = tmp_path / "kubeadm.yaml"
    path.write_text(f"apiVersion: {configuration.API}\nkind: ClusterConfiguration\n{line}\n")
    with pytest.raises(StandInError, match=refusal) if refusal else nullcontext():
        configuration.validate(path)


class TestKubeadmCerts:
    """As kubeadm 1.36.2 answered, on the same files."""

    @pytest.fixture
    def kubernetes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The folder /etc/kubernetes of a master that initialised its cluster, with certificates of ten minutes."""
        for module in (certificates, master):
            monkeypatch.setattr(module, "KUBERNETES", tmp_path)
            monkeypatch.setattr(module, "PKI", tmp_path / "pki")
        monkeypatch.setattr(master, "ADMIN", tmp_path / "admin.conf")
        monkeypatch.setattr(certificates, "connect", unreachable)
        pki, life = create_pki("prod"), timedelta(minutes=10)
        for path, content in pki.files.items():
            master.write_private(tmp_path / "pki" / path, content)
        master.write_certificates(pki, "m-prod-1", "10.77.0.11", ["localhost", "127.0.0.1"], life)
        master.write_kubeconfigs(pki, "localhost:8443", "10.77.0.11", life)
        master.write_super_administrator(pki, "localhost:8443", life)
        return tmp_path

    def test_all_are_renewed_for_whom_they_were(self, kubernetes: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = {leaf.name: leaf.load() for leaf in certificates.LEAVES}
        certificates.renew("all")
        said = capsys.readouterr().out
        assert [line for line in said.splitlines() if line.endswith(" renewed")] == [
            f"{leaf.text} renewed" for leaf in certificates.LEAVES
        ]
        assert said.endswith("so that they can use the new certificates.\n")
        for leaf in certificates.LEAVES:
            old, new = before[leaf.name], leaf.load()
            assert (old.subject, names(old)) == (new.subject, names(new))
            assert new.not_valid_after_utc - old.not_valid_after_utc > timedelta(days=364)  # the cluster was not asked

    def test_when_they_end_is_told(self, kubernetes: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (kubernetes / "super-admin.conf").unlink()
        (kubernetes / "pki/ca.key").unlink()
        certificates.tell_expiration()
        told = json.loads(capsys.readouterr().out)
        found = {entry["name"]: entry for entry in told["certificates"]}
        assert len(found) == 11
        assert 590 < found["apiserver"]["residualTime"] < 601
        assert found["apiserver"]["externallyManaged"]
        assert not found["etcd-server"]["externallyManaged"]
        assert found["etcd-server"]["caName"] == "etcd-ca"
        assert found["super-admin.conf"]["missing"]
        assert {entry["name"] for entry in told["certificateAuthorities"]} == {"ca", "etcd-ca", "front-proxy-ca"}

    def test_what_cannot_be_renewed_is_told_and_is_no_failure(
        self, kubernetes: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (kubernetes / "pki/front-proxy-client.crt").unlink()
        (kubernetes / "pki/ca.key").unlink()
        certificates.renew("all")
        said = capsys.readouterr().out
        assert "MISSING! certificate for the front proxy client" in said
        assert "Detected external ca, certificate for serving the Kubernetes API can't be renewed" in said
        assert "certificate for serving etcd renewed" in said

    def test_one_that_is_half_written_ends_it(self, kubernetes: Path) -> None:
        (kubernetes / "pki/apiserver.crt").write_text("")
        with pytest.raises(StandInError, match="failed to load existing certificate apiserver: "):
            certificates.renew("all")

    def test_one_of_them_leaves_the_others(self, kubernetes: Path) -> None:
        before = (kubernetes / "pki/etcd/server.crt").read_bytes()
        certificates.renew("apiserver")
        assert (kubernetes / "pki/etcd/server.crt").read_bytes() == before


def unreachable() -> NoReturn:
    raise OSError("no cluster here")


def names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]


@pytest.mark.parametrize(
    ("settings", "rows", "runs"),
    [({}, [], True), ({}, ["/swapfile file 9 0 -2"], False), ({"failSwapOn": False}, ["/swapfile file 9 0 -2"], True)],
)
def test_a_kubelet_runs_beside_swap_only_where_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], rows: list[str], runs: bool
) -> None:
    monkeypatch.setattr(preflight, "SWAPS", tmp_path / "swaps")
    preflight.SWAPS.write_text("\n".join(["Filename Type Size Used Priority", *rows, ""]))
    with nullcontext() if runs else pytest.raises(SystemExit, match="running with swap on is not supported"):
        kubelet.refuse_swap(settings)


def test_kubeadm_only_warns_of_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preflight, "SWAPS", tmp_path / "swaps")
    monkeypatch.setattr(preflight, "_runtime", lambda: [])
    monkeypatch.setattr(preflight, "_unset", lambda *names: [])
    preflight.SWAPS.write_text("Filename Type Size Used Priority\n/swapfile file 9 0 -2\n")
    assert not [problem for problem in preflight._system() if "swap" in problem.lower()]
    assert "[WARNING Swap]: swap is supported for cgroup v2 only." in capfd.readouterr().err
