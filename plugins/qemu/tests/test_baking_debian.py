"""Building Debian from its packages: where they come from, and what is said when that fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from servers.debian import install

from kube_provision_core import Repository, TargetError
from kube_provision_qemu.baking import debian
from kube_provision_qemu.baking.sources import DebianRelease

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINB\n-----END PGP PUBLIC KEY BLOCK-----\n"
UNREACHABLE = "E: Failed to fetch http://127.0.0.1:9/debian/dists/trixie/InRelease  Could not connect to 127.0.0.1:9"
CONSEQUENCES = """\
E: Some index files failed to download. They have been ignored, or old ones used instead.
E: apt-get update --error-on=any -oAPT::Status-Fd=<$fd> -oDpkg::Use-Pty=false failed
I: removing tempdir /tmp/mmdebstrap.VMkEhpkP0N...
E: mmdebstrap failed to run
"""
IN_THE_SCRIPT = "bake: debian/packages: E: Unable to locate package kubeadm"
BY_THE_SCRIPT = (
    'E: setup failed: E: command failed: chroot "$1" bash /var/tmp/bake.sh packages\nE: mmdebstrap failed to run\n'
)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (f"I: running apt-get update...\n{UNREACHABLE}\n{CONSEQUENCES}", UNREACHABLE),
        (f"E: Unable to locate package kubeadm\n{IN_THE_SCRIPT}\n{BY_THE_SCRIPT}", IN_THE_SCRIPT),
        ("tar: ./usr: Cannot mkdir: No space left on device\n", "tar: ./usr: Cannot mkdir: No space left on device"),
        ("", "without a word"),
    ],
)
def test_the_cause_is_told_and_not_what_follows_from_it(said: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(said)
    assert debian.last_words(tmp_path / "log") == cause


@pytest.mark.integration
def test_a_mirror_out_of_reach_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "RETRIES", 0)
    install("mmdebstrap", "debian-archive-keyring")
    mirrors = {"os": Repository("http://127.0.0.1:9/debian")}
    (tmp_path / "machine").mkdir(mode=0o700)
    with pytest.raises(TargetError, match=r"^mmdebstrap failed: E: Failed to fetch http://127\.0\.0\.1:9/.*\(see .*/log\)$"):
        debian.build(DebianRelease("13"), "#!/bin/bash\n", mirrors, tmp_path / "machine", tmp_path / "log", 1)


def test_a_mirror_takes_debians_place() -> None:
    told = debian.sources({"os": Repository("http://mirror.example/debian/", KEY)}, "trixie").split("\n\n")
    assert told[0].startswith("Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\n")
    assert "URIs: http://mirror.example/debian-security\nSuites: trixie-security\n" in told[1]
    assert "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n" in told[0]


def test_a_key_that_would_have_to_be_fetched_is_refused() -> None:
    with pytest.raises(TargetError, match="the key as a file or as text, not as a URL"):
        debian.sources({"os": Repository("http://mirror.example/debian", "https://mirror.example/key.asc")}, "trixie")


def test_debians_keys_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "KEYRING", "/nowhere/keyring.gpg")
    with pytest.raises(TargetError, match=r"/nowhere/keyring\.gpg are missing: install debian-archive-keyring"):
        debian.sources({}, "trixie")


def test_users_need_the_other_users_of_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(debian, "find", lambda program: None if program == "newuidmap" else f"/usr/bin/{program}")
    with pytest.raises(TargetError, match=r"newuidmap, which is not installed \(Debian: apt install uidmap\)"):
        debian.require(debian.host_architecture())
