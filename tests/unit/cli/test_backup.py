"""`backup` on the command line: what is refused before anything is touched, and in which words."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from doubles.backups import Snapshot
from doubles.terminal import typed

from kube_provision_core.backup import About, Recipients, keep, place
from kube_provision_core.folder.store import Folder

CONFIG = ("--config", "config.yml")
KEY = pyrage.x25519.Identity.generate()
TO = ("--recipient", str(KEY.to_public()))


@pytest.fixture
def refused(run, world) -> Callable[..., str]:
    """The line of a command that has changed nothing."""

    def refused(*arguments: object) -> str:
        before = sorted(Path().rglob("*"))
        ran = run("backup", *arguments)
        assert ran.code == 2, ran.err
        assert ran.out == ""
        assert sorted(Path().rglob("*")) == before
        return str(ran.err.splitlines()[-1])

    return refused


def test_nobody_is_named_who_could_open_it(refused) -> None:
    assert "nobody could open the backup" in refused("prod.age", *CONFIG)


@pytest.mark.parametrize("key", ["age1nonsense", "ssh-dss AAAA", pytest.param(str(KEY), id="a secret one")])
def test_a_recipient_is_a_public_key(refused, key: str) -> None:
    line = refused("prod.age", "--recipient", key, *CONFIG)
    assert "recipient" in line
    assert str(KEY) not in line


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"\xff\xfe"])
def test_a_passphrase_is_one_line(refused, content: bytes) -> None:
    Path("passphrase").write_bytes(content)
    assert "--passphrase-file passphrase: " in refused("prod.age", "--passphrase-file", "passphrase", *CONFIG)


def test_a_passphrase_file_that_is_not_there_is_told(refused) -> None:
    line = refused("prod.age", "--passphrase-file", "none", *CONFIG)
    assert "--passphrase-file none cannot be read: No such file or directory" in line


@pytest.mark.parametrize("option", [TO, ("--recipients-file", "keys"), ("--keep", "3")])
def test_what_makes_one_does_not_go_with_trying_one(refused, option: tuple[str, ...]) -> None:
    assert f"{option[0]} goes with a backup that is made" in refused("prod.age", "--verify", *option)


def test_what_opens_one_does_not_go_with_making_one(refused) -> None:
    assert "--identity-file goes with --verify" in refused("prod.age", "--identity-file", "key", *TO, *CONFIG)


@pytest.mark.parametrize("option", ["--config", "-e"])
def test_a_configuration_that_can_be_read_once_only(refused, world, option: str) -> None:
    """A backup would hold nothing of it."""
    Folder.create(Path("state/kube-provision"), "prod", {}).mark_initialised()
    reading, writing = os.pipe()
    os.write(writing, b"masters: 1\n")
    os.close(writing)
    pipe = f"/dev/fd/{reading}"
    try:
        line = refused("prod.age", *TO, *CONFIG, option, pipe if option == "--config" else f"@{pipe}")
    finally:
        os.close(reading)
    assert f"{pipe} is no file" in line


def test_a_cluster_without_a_folder_has_nothing_to_back_up(refused) -> None:
    assert "cluster prod has no folder" in refused("prod.age", *TO, *CONFIG)


def test_what_exists_is_not_written_over(run, world) -> None:
    assert run(*CONFIG, "--no-wait").code == 0
    Path("prod.age").write_text("mine")
    ran = run("backup", "prod.age", *TO, *CONFIG)
    assert (ran.code, Path("prod.age").read_text()) == (2, "mine")
    assert "prod.age exists already" in ran.line


@pytest.mark.parametrize("more", [(), ("--keep", "3")], ids=["a file", "a folder"])
def test_what_ends_with_the_program_keeps_no_backup(run, world, more: tuple[str, ...]) -> None:
    assert run(*CONFIG, "--no-wait").code == 0
    ran = run("backup", "memory://backups", *more, *TO, *CONFIG)
    assert (ran.code, ran.out) == (2, "")
    assert ran.line.endswith(
        "memory://backups is in this program's memory, and ends with it: name a file, or a store that stays"
    )


def test_a_cluster_that_is_not_initialised_has_nothing_to_back_up(run, world) -> None:
    assert run(*CONFIG, "--no-wait").code == 0
    ran = run("backup", "prod.age", *TO, *CONFIG)
    assert (ran.code, Path("prod.age").exists()) == (2, False)
    assert "is not initialised" in ran.line


class TestAtATerminal:
    """The program at a terminal of its own, which asks for what opens a backup."""

    ASKS, AGAIN = "Passphrase of the backup: ", "Repeat for confirmation: "

    def test_a_passphrase_is_asked_for_until_it_was_typed_twice(self, world) -> None:
        answers = [(self.ASKS, "correct horse"), (self.AGAIN, "corect horse")]
        answers += [(self.ASKS, "correct horse"), (self.AGAIN, "correct horse")]
        code, seen = typed("backup", "prod.age", *CONFIG, answers=answers)
        assert (code, Path("prod.age").exists()) == (2, False)
        assert "cluster prod has no folder" in seen
        assert "horse" not in seen

    def test_a_passphrase_opens_one_and_another_does_not(self, world) -> None:
        about = About("prod", "47d7b307", "1.37.1", "3.6.8", datetime(2026, 11, 29, tzinfo=UTC), {})
        keep(place("prod.age"), Recipients((), "correct horse"), about, {}, Snapshot(b"x"))
        for answer, says in (
            ("correct horse", "prod.age: the authorities of the cluster are missing in it"),
            ("wrong horse", "prod.age: the passphrase does not open it"),
        ):
            code, seen = typed("backup", "--verify", "prod.age", answers=[(self.ASKS, answer)])
            assert code == 2
            assert says in seen
            assert "horse" not in seen


class TestVerify:
    def test_needs_no_configuration(self, refused) -> None:
        assert "none.age: No such file or directory" in refused("none.age", "--verify")

    def test_tells_what_is_no_backup(self, refused) -> None:
        Path("prod.age").write_text("something else")
        assert "prod.age: it is no backup of kube-provision" in refused("prod.age", "--verify")

    def test_tells_an_identity_that_is_none(self, refused) -> None:
        Path("key").write_text("something else")
        assert "key: no identity" in refused("prod.age", "--verify", "--identity-file", "key")
