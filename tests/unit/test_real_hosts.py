"""What stands between a host of tests and its real kubeadm and runc."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from machines.real import kubeadm, runc
from machines.standins import calls, faults
from machines.standins.faults import StandInError

PROGRAM = """\
#!/bin/sh
echo "[preflight] $*"
echo "[etcd] Announced"
echo "[mark-control-plane] Marking"
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a kubeadm, and a place for what is asked of it and what it noted."""
    (tmp_path / "kubeadm").write_text(PROGRAM)
    (tmp_path / "kubeadm").chmod(0o755)
    monkeypatch.setattr(kubeadm, "REAL", str(tmp_path / "kubeadm"))
    monkeypatch.setattr(faults, "FAULTS", tmp_path)
    monkeypatch.setattr(faults, "PAUSE", 0.1)
    monkeypatch.setattr(calls, "CALLS", tmp_path / "calls")
    monkeypatch.setattr("sys.argv", ["kubeadm", "join", "--config", "join.yaml"])
    return tmp_path


def events(host: Path) -> list[tuple[str, bool | None]]:
    return [(it["verb"], it.get("ok")) for it in map(json.loads, (host / "calls").read_text().splitlines())]


def test_kubeadm_is_called_as_it_was_and_noted(host: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kubeadm.main()
    assert capfd.readouterr().out.startswith(f"[preflight] join --config join.yaml {kubeadm.LENIENT}\n[etcd] Announced\n")
    assert events(host) == [("join", None), ("join", True)]


def test_kubeadm_fails_in_the_phase_that_was_asked_for_once(host: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (host / "join-etcd").write_text("fail\n")
    with pytest.raises(StandInError, match="error execution phase etcd: told to fail"):
        kubeadm.main()
    assert "[mark-control-plane]" not in capfd.readouterr().out
    kubeadm.main()
    assert events(host) == [("join", None), ("join", False), ("join", None), ("join", True)]


def test_kubeadm_goes_on_after_a_pause(host: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (host / "join-etcd").write_text("pause")
    kubeadm.main()
    assert "[mark-control-plane]" in capfd.readouterr().out
    assert not (host / "join-etcd").exists()


def test_kubeadm_that_fails_by_itself_fails_as_it_did(host: Path) -> None:
    (host / "kubeadm").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(SystemExit, match="3"):
        kubeadm.main()
    assert events(host) == [("join", None), ("join", False)]


def test_kube_proxy_leaves_the_machines_connections_alone(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host / "init.yaml"
    path.write_text("kind: InitConfiguration\n---\nkind: KubeProxyConfiguration\nmode: iptables\n")
    monkeypatch.setattr("sys.argv", ["kubeadm", "init", "--config", str(path)])
    kubeadm.main()
    assert list(yaml.safe_load_all(path.read_text())) == [
        {"kind": "InitConfiguration"},
        {"kind": "KubeProxyConfiguration", "mode": "iptables", "conntrack": {"maxPerCore": 0, "min": 0}},
    ]


def test_containers_have_no_limits_and_stay_in_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _, arguments: called.append(arguments))
    spec = {
        "process": {"args": ["etcd"], "rlimits": [{"type": "RLIMIT_NOFILE"}], "oomScoreAdj": -997},
        "linux": {"cgroupsPath": "/k8s.io/4d1e", "resources": {"cpu": {"shares": 2}, "devices": [{"allow": False}]}},
    }
    (tmp_path / "config.json").write_text(json.dumps(spec))
    monkeypatch.setattr("sys.argv", ["runc", "--root", "/run/x", "create", "--bundle", str(tmp_path), "4d1e"])
    runc.main()
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "process": {"args": ["etcd"], "oomScoreAdj": 0},
        "linux": {"cgroupsPath": "kubepods.slice:cri-containerd:4d1e", "resources": {"devices": [{"allow": False}]}},
    }
    assert called == [["runc", "--root", "/run/x", "create", "--bundle", str(tmp_path), "4d1e"]]
