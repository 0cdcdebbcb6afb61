"""`--state URL` and `state` on the command line: what is refused, and a cluster whose folder is in a store."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from doubles.states import ONE, OTHER

from kube_provision_core.folder.rebuilding import HOW
from kube_provision_core.folder.store import Folder

CONFIG = ("--config", "config.yml")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def url(world) -> str:
    """Nothing is there. The files of the current folder say for whom it is, and open it."""
    Path("team").write_text(f"# the operators\n{ONE.to_public()}\n")
    Path("mine").write_text(f"{ONE}\n")
    Path("others").write_text(f"{OTHER}\n")
    return f"file://{Path('team-state').absolute()}"


@pytest.fixture
def store(url: str) -> tuple[str, ...]:
    return ("--state", url, "--state-recipients-file", "team", "--state-identity-file", "mine")


@pytest.fixture
def refused(run, world) -> Callable[..., str]:
    """The lines of a command that has changed nothing."""

    def refused(*arguments: object) -> str:
        ran = run(*arguments)
        assert (ran.code, ran.out) == (2, ""), ran.err
        assert not world.vms
        return str(ran.err)

    return refused


class TestIsRefused:
    def test_without_who_can_open_it_and_what_does(self, refused, url: str) -> None:
        first, second = refused("status", *CONFIG, "--state", url).splitlines()
        assert "name all who can open it by --state-recipient KEY or --state-recipients-file FILE" in first
        assert "name what opens it by --state-identity-file FILE" in second

    def test_an_identity_that_does_not_open_it(self, run, refused, url: str, store: tuple[str, ...]) -> None:
        Folder.create(Path("disk"), "prod", {})
        assert run("state", "push", "prod", "disk", *store).code == 0
        given = ("--state", url, "--state-recipients-file", "team", "--state-identity-file", "others")
        assert "was written for others: --state-identity-file does not open it" in refused("provision", *CONFIG, *given)

    def test_an_identity_that_could_not_read_what_it_writes(self, refused, url: str) -> None:
        given = ("--state", url, "--state-recipients-file", "team", "--state-identity-file", "others")
        assert "name your own one among them" in refused("provision", *CONFIG, *given)

    @pytest.mark.parametrize(
        ("where", "told"),
        [
            ("nope://there/is", "--state nope://…: two runs could both win there: name a store of s3, gs, sftp or file"),
            ("memory://kube", "--state memory://…: two runs could both win there"),  # and it would end with the program
            ("webdav://host/secret", "--state webdav://…: two runs could both win there"),
            ("file://tmp/kube", "a file:// URL has three slashes and a whole path: file:///…"),
            ("file://localhost/kube", "three slashes"),
            ("file://~/kube", "three slashes"),
            ("local://kube", "a local:// URL has three slashes and a whole path: local:///…"),
            ("gs://bucket/kube", "Please install gcsfs"),
            ("sftp://me:secret@host/kube", "a password, or what may be one, stands in the sftp URL"),
        ],
    )
    def test_a_store_that_nobody_can_use(self, refused, url: str, where: str, told: str) -> None:
        given = ("--state", where, "--state-recipients-file", "team", "--state-identity-file", "mine")
        (line,) = refused("status", *CONFIG, *given).splitlines()
        assert told in line
        assert "secret" not in line

    def test_an_sftp_server_whose_host_key_nobody_could_check(self, refused, url: str, monkeypatch) -> None:
        """As with older ones of fsspec."""
        monkeypatch.delattr("fsspec.implementations.sftp.HOST_KEY_POLICIES")
        given = ("--state", "sftp://host/kube", "--state-recipients-file", "team", "--state-identity-file", "mine")
        (line,) = refused("status", *CONFIG, *given).splitlines()
        assert "fsspec from 2026.9 on and paramiko have to be installed for it" in line

    def test_keys_of_a_folder_that_is_not_encrypted(self, refused, url: str) -> None:
        line = refused("status", *CONFIG, "--state-identity-file", "mine")
        assert "--state-identity-file goes with a --state that is a URL: a folder of this host is not encrypted" in line

    def test_a_folder_for_the_commands_of_stores(self, refused, url: str) -> None:
        assert "--state is a folder of this host: name the URL" in refused("state", "list", "prod", "--state", "disk")

    def test_a_cluster_of_another_name(self, refused, store: tuple[str, ...]) -> None:
        Folder.create(Path("disk"), "other", {})
        assert "cluster prod has no folder at" in refused("state", "push", "prod", "disk", *store)
        assert "has no cluster: name another --state" in refused("state", "pull", "prod", "out", *store)
        for verb in ("list", "verify"):
            (line,) = refused("state", verb, "prod", *store).splitlines()
            assert "has no cluster: name another --state" in line
        assert "'../other' is no cluster name" in refused("state", "list", "../other", *store)

    def test_what_is_no_recipient(self, refused, url: str) -> None:
        line = refused("status", *CONFIG, "--state", url, "--state-recipient", ONE, "--state-identity-file", "mine")
        assert "--state-recipient: a secret key is no recipient" in line
        assert str(ONE) not in line


def test_a_cluster_lives_without_a_folder(run, world, url: str, store: tuple[str, ...]) -> None:
    made = run("provision", *CONFIG, *store, "--masters", 1, "--workers", 0, "--no-wait")
    assert made.code == 0, made.err
    assert world.vms
    assert f"{url}/prod" in run("status", *CONFIG, *store).out
    assert not list(Path("state").rglob("*.key"))
    assert run("destroy", *CONFIG, *store, "--yes").code == 0
    assert not world.vms
    rows = run("state", "list", "prod", *store).out.splitlines()
    assert [row.split()[0] for row in rows] == ["NUMBER", *"123456"]
    assert "destroyed" in rows[-1]


def test_the_environment_says_it_as_well(run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_STATE", url)
    monkeypatch.setenv("KUBE_PROVISION_STATE_RECIPIENTS_FILE", "team")
    monkeypatch.setenv("KUBE_PROVISION_STATE_IDENTITY_FILE", "mine")
    made = run("provision", *CONFIG, "--masters", 1, "--workers", 0, "--no-wait")
    assert made.code == 0, made.err
    assert "means nothing" not in made.err
    assert "created" in run("state", "list", "prod").out


def test_what_the_environment_says_of_stores_is_for_those_alone(run, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_PROVISION_STATE", url)
    monkeypatch.setenv("KUBE_PROVISION_STATE_RECIPIENTS_FILE", "team")
    monkeypatch.setenv("KUBE_PROVISION_STATE_IDENTITY_FILE", "mine")
    made = run("provision", *CONFIG, "--state", "disk", "--masters", 1, "--workers", 0, "--no-wait")
    assert made.code == 0, made.err
    assert Folder.open(Path("disk"), "prod")
    assert not Path("team-state").exists()


def test_a_slash_at_its_end_makes_no_other_store_of_it(run, url: str, store: tuple[str, ...]) -> None:
    Folder.create(Path("disk"), "prod", {})
    assert run("state", "push", "prod", "disk", "--state", f"{url}//", *store[2:]).code == 0
    Path("team-state/prod/00000001.age").rename("gone")
    told = run("state", "list", "prod", *store)
    assert (told.code, "this host has seen number 1 there" in told.err) == (3, True)


def test_advice_says_it_as_well(run, world, url: str, store: tuple[str, ...]) -> None:
    assert run("provision", *CONFIG, *store, "--masters", 1, "--workers", 0, "--no-wait").code == 0
    told = run("provision", *CONFIG, "--state", "elsewhere", "--masters", 1, "--workers", 0)
    assert told.code == 2
    assert f"--state {Path('elsewhere').absolute()}" in told.err
    other = f"{url}/other"
    told = run("provision", *CONFIG, "--state", other, *store[2:], "--masters", 1, "--workers", 0)
    assert told.code == 2
    team, mine = Path("team").absolute(), Path("mine").absolute()
    words = f"--state {other} --state-recipients-file {team} --state-identity-file {mine}"
    assert words in told.err


def test_a_folder_goes_there_and_back(run, url: str, store: tuple[str, ...]) -> None:
    before = Folder.create(Path("disk"), "prod", {})
    assert "prod is number 1 of" in run("state", "push", "prod", "disk", *store).line
    assert run("state", "verify", "prod", *store).out == "numbers:  1\n"
    assert run("state", "pull", "prod", "back", *store).out == f"{Path('back/prod').absolute()}\n"
    after = Folder.open(Path("back"), "prod")
    assert after
    assert after.pki == before.pki


def test_recipients_are_changed(run, url: str, store: tuple[str, ...]) -> None:
    Folder.create(Path("disk"), "prod", {})
    assert run("state", "push", "prod", "disk", *store).code == 0
    both = (*store, "--state-recipient", OTHER.to_public())
    told = run("state", "rotate-recipients", "prod", *both)
    assert (told.code, "number 2 of cluster prod is for 2 recipients" in told.err) == (0, True)
    assert "whoever could open older numbers still can" in told.err
    assert "1 older numbers are deleted" not in told.err
    theirs = ("--state", url, "--state-recipient", OTHER.to_public(), "--state-recipients-file", "team")
    found = run("state", "verify", "prod", *theirs, "--state-identity-file", "others")
    assert (found.code, "1:        " in found.out) == (0, True), found
    assert "2 older numbers are deleted" in run("state", "rotate-recipients", "prod", "--prune", *both).err


def test_what_is_not_whole_is_told_by_the_exit_code(run, url: str, store: tuple[str, ...]) -> None:
    Folder.create(Path("disk"), "prod", {})
    run("state", "push", "prod", "disk", *store)
    run("state", "rotate-recipients", "prod", *store)
    Path("team-state/prod/00000001.age").write_bytes(b"age-encryption.org/v1\nrubbish")
    found = run("state", "verify", "prod", *store)
    assert found.code == 2
    assert "00000001.age is not whole" in found.out
    assert "2:        " in found.out  # which was not written after that
    assert "2 of 2 numbers of cluster prod are not as they should be" in found.err


@pytest.mark.parametrize("where", ["disk", "store"])
def test_a_lost_folder_is_made_anew_from_a_master(run, url: str, store: tuple[str, ...], where: str) -> None:
    lost = Folder.create(Path("lost"), "prod", {"consul_encrypt": lambda: "gossip"})
    node = Path("root/etc/kube-provision/node.json")
    node.parent.mkdir(parents=True)
    node.write_text(json.dumps({"cluster": "prod", "cluster_id": lost.cluster_id, "ca_pin": lost.pki.ca_pin}))
    shutil.copytree("lost/prod/pki", "root/etc/kubernetes/pki")
    paths = ["etc/kubernetes/pki", "etc/kube-provision/node.json"]
    subprocess.run(["tar", "-C", "root", "-czf", "pki.tgz", *paths], check=True, timeout=60)
    Path("values.yml").write_text("consul_encrypt: gossip\n")
    given = store if where == "store" else ("--state", "anew")
    told = run("state", "rebuild", "prod", "pki.tgz", "--values", "values.yml", *given)
    assert (told.code, f"is that of cluster {lost.cluster_id}" in told.err) == (0, True)
    assert "pki.tgz holds the keys of its authorities: delete it on both hosts" in told.err
    again = run("state", "rebuild", "prod", "pki.tgz", *given)
    assert (again.code, "is there already: nothing was changed" in again.line) == (2, True)


def test_how_the_archive_is_made_is_one_text(run) -> None:
    """A line of it, with what nobody else on the master can read."""
    assert HOW in run("state", "rebuild", "--help").out
    assert f"    {HOW}\n" in (ROOT / "docs/secrets.md").read_text()
