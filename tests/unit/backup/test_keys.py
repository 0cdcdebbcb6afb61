"""Whom a backup is for, and where what opens it must not lie."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pyrage
import pytest

from kube_provision_core.backup import Keys, Recipients
from kube_provision_core.contract.errors import ConfigError

KEY, OTHER = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
TO = Recipients((str(KEY.to_public()),))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A cluster's, with what opens nothing."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "cluster.json").write_text('{"name": "prod"}\n')
    (tmp_path / "other.txt").write_text(f"{OTHER}\nAGE-SECRET-KEY-1NONSENSE\n")
    (tmp_path / "large").write_bytes(bytes(2 * 1024 * 1024))
    return tmp_path


def refused(recipients: Recipients, folder: Path, lies: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        recipients.refuse_kept_in(folder)
    line = str(raised.value)
    assert line.startswith(f"{lies} opens the backup and lies in the cluster's folder")
    assert "SECRET-KEY" not in line
    assert "horse" not in line


def test_an_identity_of_age(folder: Path) -> None:
    TO.refuse_kept_in(folder)
    (folder / "pki/key.txt").write_text(f"# created: today\n{KEY}\n")
    refused(TO, folder, folder / "pki/key.txt")


@pytest.mark.parametrize("form", [[], ["-m", "PEM"]])
def test_a_key_of_ssh(folder: Path, tmp_path: Path, form: list[str]) -> None:
    key = folder / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", *form, "-f", key], check=True, timeout=120)
    recipients = Recipients((key.with_suffix(".pub").read_text().strip(),))
    refused(recipients, folder, key)
    key.unlink()
    recipients.refuse_kept_in(folder)


def test_a_passphrase(folder: Path) -> None:
    recipients = Recipients((), "correct horse")
    recipients.refuse_kept_in(folder)
    (folder / "passphrase").write_text("correct horse\n")
    refused(recipients, folder, folder / "passphrase")
    Recipients((), "another horse").refuse_kept_in(folder)
    TO.refuse_kept_in(folder)


@pytest.mark.parametrize(("content", "line"), [(b"age-encryption.org/v1\n-> \xff\n" * 500, 2), (bytes(range(256)), 3)])
def test_a_file_that_holds_no_text_is_one_line(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        Recipients.read([], [tmp_path / "list"])
    assert str(raised.value) == f"{tmp_path}/list is no list of recipients, one a line: line {line} holds no text"


@pytest.mark.parametrize("content", ["", "\n", "# nobody yet\n"])
@pytest.mark.parametrize("given", [[], list(TO.names)])
def test_a_list_without_recipients_is_told_and_not_taken_for_none(tmp_path: Path, given: list[str], content: str) -> None:
    (tmp_path / "list").write_text(content)
    with pytest.raises(ConfigError) as raised:
        Recipients.read(given, [tmp_path / "list"])
    assert str(raised.value) == f"{tmp_path}/list names no recipient: one a line is meant"


def test_comments_may_be_of_any_alphabet(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(f"# f\xfcr uns\n{TO.names[0]}\n".encode("latin-1"))
    assert Recipients.read([], [tmp_path / "list"]).names == TO.names


def test_of_a_file_that_was_meant_for_something_else_a_few_lines_are_told(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a: b\n" * 900)
    with pytest.raises(ConfigError) as raised:
        Recipients.read([], [tmp_path / "list"])
    lines = str(raised.value).splitlines()
    assert (len(lines), lines[-1]) == (6, "and 895 more like these")
    assert lines[0].startswith(f"{tmp_path}/list:1: no recipient")


class TestAnIdentityThatIsItselfEncrypted:
    PLAIN = f"{KEY}\n".encode()

    @staticmethod
    def told(path: Path) -> str:
        with pytest.raises(ConfigError) as raised:
            Keys.read([path])
        assert "SECRET-KEY" not in str(raised.value)
        return str(raised.value)

    @pytest.mark.parametrize("armored", [False, True], ids=["binary", "armored"])
    def test_to_a_key_of_age(self, tmp_path: Path, armored: bool) -> None:
        (tmp_path / "my key").write_bytes(pyrage.encrypt(self.PLAIN, [OTHER.to_public()], armored=armored))
        assert self.told(tmp_path / "my key") == (
            f"{tmp_path}/my key is itself encrypted, to keys and under no passphrase: decrypt it where one of these is "
            f"(age --decrypt --identity KEY '{tmp_path}/my key'), and give what comes of it"
        )

    @pytest.mark.parametrize("kind", ["ed25519", "rsa"])
    def test_to_a_key_of_ssh(self, tmp_path: Path, kind: str) -> None:
        ssh = tmp_path / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", ssh], check=True, timeout=120)
        to = pyrage.ssh.Recipient.from_str(ssh.with_suffix(".pub").read_text().strip())
        (tmp_path / "key").write_bytes(pyrage.encrypt(self.PLAIN, [to]))
        assert "is itself encrypted, to keys" in self.told(tmp_path / "key")

    @pytest.mark.parametrize("armored", [False, True], ids=["binary", "armored"])
    def test_under_a_passphrase(self, tmp_path: Path, armored: bool) -> None:
        (tmp_path / "key").write_bytes(pyrage.passphrase.encrypt(self.PLAIN, "correct horse", armored=armored))
        assert "is under a passphrase: give it by --passphrase-file" in self.told(tmp_path / "key")
        assert len(Keys.read([tmp_path / "key"], lambda: "correct horse").identities) == 1

    def test_one_that_is_cut(self, tmp_path: Path) -> None:
        whole: bytes = pyrage.encrypt(self.PLAIN, [OTHER.to_public()], armored=True)
        (tmp_path / "key").write_bytes(whole[:38])
        assert self.told(tmp_path / "key")
