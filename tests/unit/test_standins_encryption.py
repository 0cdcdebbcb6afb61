"""The stand-in of an API server takes keys of Secrets as upstream's does, and tells what upstream does not start with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from machines.standins import encryption, manifests
from machines.standins.apiserver import EncryptedKeys
from machines.standins.etcd import EtcdError
from machines.standins.faults import StandInError

from kube_provision_core.boot import api_server
from kube_provision_core.folder.encryption import Stage, create_encryption

KEYS = create_encryption()
TEXT = api_server.encryption_configuration(KEYS)


def given(path: Path, text: str, mode: int = 0o600) -> Path:
    file = path / "encryption.yaml"
    file.write_text(text)
    file.chmod(mode)
    return file


def at(path: Path, stage: Stage) -> encryption.Plain:
    return encryption.load(given(path, api_server.encryption_configuration(KEYS.at(stage))))


def test_secrets_lie_in_etcd_encrypted_and_are_read_with_the_key(tmp_path: Path) -> None:
    held: dict[str, str] = {}
    etcd: Any = SimpleNamespace(put=held.__setitem__, get=held.get)
    keys = EncryptedKeys(etcd, "/registry/secrets/", encryption.load(given(tmp_path, TEXT)))
    keys["password"] = {"data": "hunter2"}
    (kept,) = held.values()
    assert kept.startswith(f"k8s:enc:secretbox:v1:{KEYS.key.name}:")
    assert "hunter2" not in kept
    assert keys["password"] == {"data": "hunter2"}
    for others in (encryption.Plain(), at(tmp_path, Stage.LEAVING)):
        with pytest.raises(EtcdError, match="Internal error occurred"):
            others.opened(kept)


def test_each_stage_reads_what_the_one_before_has_written(tmp_path: Path) -> None:
    reading, writing, leaving = (at(tmp_path, stage) for stage in (Stage.READING, Stage.WRITING, Stage.LEAVING))
    assert writing.opened(reading.sealed("old")) == reading.opened(writing.sealed("old")) == "old"
    assert leaving.opened(writing.sealed("new")) == "new"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (TEXT, 0o640, "is 0640, and others may read the keys"),
        (TEXT.replace("EncryptionConfiguration", "EncryptionConfig"), 0o600, "no kind 'EncryptionConfig' is registered"),
        (TEXT.replace("secretbox", "secretBox"), 0o600, "strict decoding error"),
        (TEXT.replace(KEYS.key.secret, "AAAA"), 0o600, "secret is not of the expected length, got 3, expected 32"),
        (TEXT.replace(KEYS.key.name, "''"), 0o600, "Invalid value"),
        ("", 0o600, "error while parsing encryption provider configuration file"),
        ("resources: [", 0o600, "error while parsing encryption provider configuration file"),
    ],
)
def test_what_upstream_does_not_start_with_is_told(tmp_path: Path, text: str, mode: int, said: str) -> None:
    with pytest.raises(StandInError) as told:
        encryption.load(given(tmp_path, text, mode))
    assert said in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StandInError, match="error opening encryption provider configuration file"):
        encryption.load(tmp_path / "encryption.yaml")


def test_its_manifest_mounts_what_its_arguments_name() -> None:
    arguments = [{"name": "encryption-provider-config", "value": api_server.KEYS}]
    volume = {"name": "kube-provision", "hostPath": api_server.FOLDER, "mountPath": api_server.FOLDER}
    cluster: dict[str, Any] = {"kubernetesVersion": "v1.37.1", "apiServer": {"extraArgs": arguments}}
    with pytest.raises(StandInError, match=r"encryption\.yaml is in no volume of kube-apiserver"):
        list(manifests.control_plane(cluster, "10.0.0.1"))
    cluster["apiServer"]["extraVolumes"] = [volume]
    pod = next(iter(manifests.control_plane(yaml.safe_load(yaml.safe_dump(cluster)), "10.0.0.1")))
    assert f"--encryption-provider-config={api_server.KEYS}" in pod["spec"]["containers"][0]["command"]
    assert pod["spec"]["volumes"][0]["hostPath"] == {"path": api_server.FOLDER}
