"""A lost folder, made anew from an archive of a master."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from doubles.site import Site

from kube_provision_core.boot.api_server import encryption_configuration
from kube_provision_core.cluster.desired import to_render
from kube_provision_core.contract.errors import ConfigError, FolderError
from kube_provision_core.folder.encryption import Stage, create_encryption
from kube_provision_core.folder.pki import PKI_FILES, create_pki
from kube_provision_core.folder.rebuilding import read_values, rebuild
from kube_provision_core.folder.store import Folder

NODE, KEYS = "etc/kube-provision/node.json", "etc/kubernetes/api-server/encryption.yaml"


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder.create(tmp_path_factory.mktemp("lost"), "prod", {"consul_encrypt": lambda: "gossip"})


def on_a_master(lost: Folder) -> dict[str, bytes]:
    """What tar finds there, by the paths that it gives; certificates of the master's own among it."""
    files = {f"etc/kubernetes/pki/{file}": lost.pki.files[file] for file in PKI_FILES}
    node = {"name": "m-prod-1", "cluster": "prod", "cluster_id": lost.cluster_id, "ca_pin": lost.pki.ca_pin}
    return {**files, "etc/kubernetes/pki/apiserver.key": b"its own", NODE: json.dumps(node).encode()}


def archived(path: Path, files: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content) if kind == tarfile.REGTYPE else 0, kind
            member.linkname = "/etc/shadow"
            tar.addfile(member, BytesIO(content))
    return path


def test_it_is_the_clusters_again(lost: Folder, tmp_path: Path) -> None:
    rebuild(tmp_path / "state", "prod", archived(tmp_path / "pki.tgz", on_a_master(lost)), lost.generated)
    found = Folder.open(tmp_path / "state", "prod")
    assert found
    assert (found.cluster_id, found.pki, found.generated) == (lost.cluster_id, lost.pki, lost.generated)
    assert found.initialised


def test_a_machine_can_be_added_to_it(lost: Folder, tmp_path: Path) -> None:
    """Its boot data is checked with them before any machine is made, and before a run mints its own."""
    site = Site(tmp_path / "state")
    found = rebuild(site.state, "prod", archived(tmp_path / "pki.tgz", on_a_master(lost)), lost.generated)
    with site.session(masters=1, workers=1) as session:
        desired = session.desired
        for node in desired.nodes:
            assert session.render(node, to_render(desired.cluster), found.join_secrets())
    assert found.token != lost.token
    assert found.certificate_key != lost.certificate_key


@pytest.mark.parametrize("stage", Stage)
def test_it_reads_what_masters_have_encrypted_at_rest(lost: Folder, tmp_path: Path, stage: Stage) -> None:
    """In the middle of a rotation nobody knows there which key is the new one: with either of both all is readable."""
    held = create_encryption().at(stage)
    files = on_a_master(lost) | {KEYS: encryption_configuration(held).encode()}
    rebuild(tmp_path / "state", "prod", archived(tmp_path / "pki.tgz", files), {})
    found = Folder.open(tmp_path / "state", "prod")
    assert found
    assert found.encryption
    assert found.encryption.keys == held.keys
    assert found.encryption.stage is (Stage.READING if len(held.keys) > 1 else Stage.SETTLED)


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "resources: []",
        "resources: [{resources: [secrets], providers: [{identity: {}}]}]",
        "resources: [{providers: [{secretbox: {keys: []}}]}]",
        "resources: [{providers: [{secretbox: {keys: [{name: a, secret: AAAA}]}}]}]",
        "resources: [",
    ],
)
def test_keys_that_are_not_ours_are_refused(lost: Folder, tmp_path: Path, keys: str) -> None:
    files = on_a_master(lost) | {KEYS: keys.encode()}
    with pytest.raises(ConfigError, match=r"encryption\.yaml in it is none that kube-provision has written"):
        rebuild(tmp_path / "state", "prod", archived(tmp_path / "pki.tgz", files), {})
    assert not (tmp_path / "state").exists()


def test_a_folder_that_is_there_stays(lost: Folder, tmp_path: Path) -> None:
    there = Folder.create(tmp_path, "prod", {})
    with pytest.raises(FolderError, match="prod is there already: nothing was changed"):
        rebuild(tmp_path, "prod", archived(tmp_path / "pki.tgz", on_a_master(lost)), {})
    assert Folder.open(tmp_path, "prod") == there


def test_what_is_missing_is_named_with_the_command_that_brings_it(lost: Folder, tmp_path: Path) -> None:
    files = on_a_master(lost)
    del files["etc/kubernetes/pki/sa.key"]
    with pytest.raises(ConfigError, match=r"lacks etc/kubernetes/pki/sa\.key: make it on a master by: \(umask 077; "):
        rebuild(tmp_path / "state", "prod", archived(tmp_path / "pki.tgz", files), {})
    assert not (tmp_path / "state").exists()


def test_another_clusters_is_refused(lost: Folder, tmp_path: Path) -> None:
    archive = archived(tmp_path / "pki.tgz", on_a_master(lost))
    with pytest.raises(ConfigError, match="is of a machine of cluster prod, not of other"):
        rebuild(tmp_path / "state", "other", archive, {})
    files = on_a_master(lost) | {f"etc/kubernetes/pki/{file}": it for file, it in create_pki("prod").files.items()}
    with pytest.raises(ConfigError, match="another one than the machine's own"):
        rebuild(tmp_path / "state", "prod", archived(tmp_path / "pki.tgz", files), {})
    assert Folder.open(tmp_path / "state", "prod") is None


def test_what_is_damaged_is_told(lost: Folder, tmp_path: Path) -> None:
    archive = archived(tmp_path / "pki.tgz", on_a_master(lost) | {NODE: b"{"})
    with pytest.raises(ConfigError, match="is damaged, or of no machine"):
        rebuild(tmp_path / "state", "prod", archive, {})
    archive.write_bytes(archive.read_bytes()[:-100])
    with pytest.raises(ConfigError, match=r"is no whole archive of tar's|cannot be read"):
        rebuild(tmp_path / "state", "prod", archive, {})
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        rebuild(tmp_path / "state", "prod", tmp_path / "none", {})


def test_a_link_in_a_files_place_is_not_followed(lost: Folder, tmp_path: Path) -> None:
    archive = archived(tmp_path / "pki.tgz", on_a_master(lost), tarfile.SYMTYPE)
    with pytest.raises(ConfigError, match="is no file of keys"):
        rebuild(tmp_path / "state", "prod", archive, {})


def test_values_are_texts_and_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "values.yml"
    path.write_text("consul_encrypt: gossip\n")
    assert read_values(path) == {"consul_encrypt": "gossip"}
    assert read_values(None) == {}
    for content in ("gossip", "consul_encrypt: [gossip]", "{gossip", ""):
        path.write_text(content)
        with pytest.raises(ConfigError) as told:
            read_values(path)
        assert "gossip" not in str(told.value)
