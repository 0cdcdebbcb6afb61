"""Building Debian from its packages: where they come from, and what is said when that fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from servers.consul_agents import eventually
from servers.debian import install

from kube_provision_core import Repository, TargetError
from kube_provision_core.contract.driver import listening
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


def test_what_the_programs_do_is_told_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "LOOK", 0.05)
    script = "read word; echo \"I: installing $word...\"; sleep 0.4; echo Get:1; echo 'bake: install: x'; sleep 0.4; exit 3"
    told: list[str] = []
    with listening(told.append), pytest.raises(TargetError, match="mmdebstrap failed: bake: install: x"):
        debian._run("mmdebstrap", ["sh", "-c", script], tmp_path, tmp_path / "log", "packages\n")
    assert [text for text in told if "begins" not in text] == [
        "mmdebstrap: installing packages...",
        "mmdebstrap: bake: install: x",
    ]


PROGRAM = """
mkdir tree
trap 'rm -r tree; exit 1' TERM
sleep 1000 &
echo $$ $! >pids
wait
"""
"""Like mmdebstrap: it has children, and removes its tree when it is told to end."""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_bake_that_is_abandoned_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    begin = (  # whoever runs the tests in the background has SIGINT ignored, and so would the child
        "import pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"p = pathlib.Path({str(tmp_path)!r}); from kube_provision_qemu.baking import debian;"
    )
    run = [sys.executable, "-c", f"{begin} debian._run('mmdebstrap', ['sh', '-c', {PROGRAM!r}], p, p / 'log')"]
    with subprocess.Popen(run, stderr=subprocess.DEVNULL) as bake:
        assert eventually(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
        bake.send_signal(number)
    pids = (tmp_path / "pids").read_text().split()
    assert eventually(lambda: not any(map(runs, pids)))
    assert not (tmp_path / "tree").exists()


def runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


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
