"""`restore` on the command line: from a file and nothing else, and a line for whatever is in the way, before all else."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
from doubles.backups import back_up
from servers.control_plane import ControlPlaneServer

from kube_provision_core.contract.machines import Power
from kube_provision_core.folder.store import Folder

STATE = Path("state/kube-provision")
OPEN = ("prod.age", "--identity-file", "prod.key")
CONTENT = bytes(range(256)) * 100


@pytest.fixture
def made(world, tmp_path: Path) -> Callable[..., Folder]:
    """A backup of a cluster that was never there, with the configuration that the current folder has."""

    def made(name: str = "prod", version: str = "1.37.1", addresses: tuple[str, ...] = ()) -> Folder:
        folder = Folder.create(tmp_path / "made", name, {})
        given = b"masters: 1\nworkers: 2\n"
        documents = {"1-config.yml": Path("config.yml").read_bytes(), "extra/2-command-line.yml": given}
        back_up(folder, CONTENT, Path("prod.age"), version, documents, addresses)
        return folder

    return made


@pytest.fixture
def refused(run, world) -> Callable[..., str]:
    """The line of a command that has changed nothing."""

    def refused(*arguments: object) -> str:
        before = files()
        ran = run(*arguments)
        assert (ran.code, ran.out, world.vms, files()) == (2, "", {}, before), ran.err
        return str(ran.err.splitlines()[-1])

    return refused


def said() -> str:
    """How the configuration is named that is kept."""
    kept = STATE.absolute() / "prod.config"
    return f"--config {kept}/1-config.yml --extra @{kept}/extra/2-command-line.yml"


def files() -> set[Path]:
    """Folders, too: an empty one that is left is left."""
    return set(Path().rglob("*"))


@pytest.fixture(params=[("restore",), ("plan", "restore")], ids=" ".join)
def verb(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


def created(plan: str) -> set[str]:
    return {action["subject"] for action in json.loads(plan)["actions"] if action["action"] == "create"}


class TestFromTheFileAlone:
    def test_it_is_planned_with_the_configuration_in_it(self, run, made) -> None:
        made()
        Path("config.yml").unlink()
        ran = run("plan", "restore", *OPEN, "--output", "json")
        assert ran.code == 0, ran.err
        assert created(ran.out) == {"table-prod", "m-prod-1", "w-prod-1", "w-prod-2"}
        assert f"the configuration is the backup's, which is kept once it is restored: {said()}" in ran.err
        assert not STATE.exists()

    def test_it_is_kept_once_anything_is_made(self, run, made, world) -> None:
        made()
        Path("config.yml").unlink()
        world.breaks.add("table-prod")
        assert run("restore", *OPEN).code == 4
        kept = STATE.absolute() / "prod.config"
        assert {path.name: path.stat().st_mode & 0o777 for path in (kept, *kept.rglob("*"))} == {
            "prod.config": 0o700,
            "1-config.yml": 0o600,
            "extra": 0o700,
            "2-command-line.yml": 0o600,
        }
        assert (kept / "extra/2-command-line.yml").read_text() == "masters: 1\nworkers: 2\n"

    def test_files_that_it_names_are_looked_for_where_it_is_kept(self, run, made) -> None:
        Path("config.yml").write_text(Path("config.yml").read_text() + "seed_manifests: [network.yml]\n")
        made()
        assert str(STATE.absolute() / "prod.config/network.yml") in run("plan", "restore", *OPEN).err

    def test_a_refused_restoration_keeps_none(self, refused, made, verb) -> None:
        made()
        Folder.create(STATE.absolute(), "prod", {})
        assert "is the folder of another cluster than the backup's" in refused(*verb, *OPEN)

    def test_flags_count_all_the_same(self, run, made) -> None:
        made()
        ran = run("plan", "restore", *OPEN, "--workers", "0", "--output", "json")
        assert created(ran.out) == {"table-prod", "m-prod-1"}

    def test_a_configuration_that_is_given_takes_its_place(self, run, made) -> None:
        made()
        ran = run("plan", "restore", *OPEN, "-c", "config.yml", "--masters", "1", "--workers", "0", "--output", "json")
        assert ran.code == 0, ran.err
        assert not (STATE / "prod.config").exists()

    def test_what_was_changed_where_it_is_kept_is_not_written_over(self, run, made, world) -> None:
        """Whoever goes by it is told all of it: without what the command line said the cluster would be another one."""
        made()
        world.breaks.add("table-prod")
        assert [run("restore", *OPEN).code for _ in range(2)] == [4, 3]
        changed = STATE.absolute() / "prod.config/1-config.yml"
        changed.write_text(f"{changed.read_text()}# mine\n")
        ran = run("plan", "restore", *OPEN)
        assert ran.code == 2
        assert f"{changed} is not as the backup has it: move {changed.parent} aside, or go by what lies there: " in ran.line
        options = ran.line.partition("what lies there: ")[2]
        assert options == said()
        ran = run("plan", "restore", *OPEN, *shlex.split(options), "--output", "json")
        assert created(ran.out) == {"table-prod", "m-prod-1", "w-prod-1", "w-prod-2"}

    def test_what_is_planned_can_be_applied_by_who_opens_it_again(self, run, made) -> None:
        made()
        Path("plan.json").write_text(run("plan", "restore", *OPEN, "--output", "json").out)
        ran = run("apply", "plan.json")
        assert ran.code == 2
        assert "give one of them by --identity-file" in ran.line


class TestABackup:
    def test_that_is_not_there(self, refused, verb) -> None:
        assert "prod.age: No such file or directory" in refused(*verb, "prod.age")

    @pytest.mark.parametrize("size", [0, 10, 100, 1000, -1])
    def test_that_is_cut(self, refused, made, verb, size: int) -> None:
        made()
        Path("prod.age").write_bytes(Path("prod.age").read_bytes()[:size])
        assert "prod.age: " in refused(*verb, *OPEN)

    def test_that_is_changed(self, refused, made, verb) -> None:
        made()
        content = bytearray(Path("prod.age").read_bytes())
        content[-1] ^= 1
        Path("prod.age").write_bytes(content)
        assert "prod.age: " in refused(*verb, *OPEN)

    def test_that_nothing_given_opens(self, refused, made, verb) -> None:
        made()
        Path("prod.key").write_text(f"{pyrage.x25519.Identity.generate()}\n")
        assert "prod.age: " in (line := refused(*verb, *OPEN))
        assert "none of the keys given opens it" in line
        assert "give one of them by --identity-file" in refused(*verb, "prod.age")

    def test_of_another_cluster(self, refused, made, verb) -> None:
        made("test")
        line = refused(*verb, *OPEN, "-c", "config.yml")
        assert "the backup is of cluster test, and this is prod" in line

    def test_of_a_newer_kubernetes(self, refused, made, verb) -> None:
        made(version="1.99.1")
        assert "the backup is of Kubernetes 1.99.1" in refused(*verb, *OPEN, "-c", "config.yml")


class TestWhatIsThere:
    def test_a_folder_of_another_cluster_of_its_name(self, refused, made, verb) -> None:
        made()
        Folder.create(STATE.absolute(), "prod", {})
        assert "is the folder of another cluster than the backup's" in refused(*verb, *OPEN, "-c", "config.yml")

    def test_machines_that_may_not_be_lost(self, run, made, world, verb) -> None:
        shutil.copytree(made().path, STATE / "prod")
        assert run("provision", "-c", "config.yml", "--no-wait", "-m", "1", "-w", "0").code == 0
        before = dict(world.vms)
        ran = run(*verb, *OPEN, "-c", "config.yml", "-m", "1", "-w", "0")
        assert ran.code == 2
        assert "m-prod-1, table-prod: of cluster prod, and not known to be lost" in ran.line
        assert world.vms == before

    def test_a_cluster_that_lives(self, run, made, world, verb) -> None:
        folder = made()
        shutil.copytree(folder.path, STATE / "prod")
        assert run("provision", "-c", "config.yml", "--no-wait", "-m", "1", "-w", "0").code == 0
        with ControlPlaneServer(folder.pki, world.address("m-prod-1")):
            ran = run(*verb, *OPEN, "-c", "config.yml", "--abandon-old", *(["--yes"] if verb == ("restore",) else []))
        assert ran.code == 2
        assert "cluster prod lives: a master of it answers" in ran.line

    def test_a_cluster_that_lives_where_the_configuration_does_not_look(self, refused, made, verb) -> None:
        folder = made(addresses=("127.64.24.1", "127.64.24.2"))
        with ControlPlaneServer(folder.pki, "127.64.24.2"):
            line = refused(*verb, *OPEN, "-c", "config.yml", "--abandon-old", *(["--yes"] if verb == ("restore",) else []))
        assert "cluster prod lives: a master of it answers at 127.64.24.2, as the backup knows" in line
        assert "To try the backup beside it: kube-provision backup --verify prod.age, or restore it from a host that" in line

    def test_what_helps_names_no_document_that_nobody_has_written(self, run, made, world, verb) -> None:
        """The backup's own configuration is kept once a restoration begins, and this one does not."""
        folder = made()
        shutil.copytree(folder.path, STATE / "prod")
        assert run("provision", "-c", "config.yml", "--no-wait", "-m", "1", "-w", "0").code == 0
        with ControlPlaneServer(folder.pki, world.address("m-prod-1")):
            refusal = run(*verb, *OPEN, "--state", STATE, "--host-prefix", "").err.splitlines()[-1]
        command = f"kube-provision provision --name prod --host-prefix '' --state {STATE.absolute()}"
        assert f"is made by: {command}, with the configuration that it was made with" in refusal
        assert "--config" not in refusal


class TestMastersAlone:
    SIZE = ("-c", "config.yml", "-m", "1", "-w", "1")

    @pytest.fixture
    def lost(self, run, made, world) -> None:
        """Its master is off, and its worker runs."""
        shutil.copytree(made().path, STATE / "prod")
        assert run("provision", *self.SIZE, "--no-wait").code == 0
        world.vms["m-prod-1"] = replace(world.vms["m-prod-1"], power=Power.OFF)

    @pytest.mark.parametrize(
        "words", [(*OPEN, "--masters-only"), (*OPEN, "--masters"), ("--masters", *OPEN)], ids=["only", "last", "first"]
    )
    def test_are_meant_where_no_number_of_them_is_said(self, run, lost, world, verb, words: tuple[str, ...]) -> None:
        before = dict(world.vms)
        ran = run(*verb, *words, *self.SIZE)
        assert ran.code == 2
        assert ran.line.startswith("kube-provision: m-prod-1: of cluster prod, and not known to be lost")
        assert world.vms == before

    def test_go_and_come_and_workers_stay(self, run, lost) -> None:
        ran = run("plan", "restore", *OPEN, "--masters", "--abandon-old", *self.SIZE, "--output", "json")
        assert ran.code == 0, ran.err
        assert created(ran.out) == {"m-prod-1"}
        assert {it["subject"] for it in json.loads(ran.out)["actions"] if it["action"] == "destroy"} == {"m-prod-1"}
        assert "as they are stay: w-prod-1" in ran.err

    def test_that_run_and_say_nothing_may_be_a_cluster_that_lives(self, run, lost, world, verb) -> None:
        """Nobody listens at the address that it has."""
        world.vms["m-prod-1"] = replace(world.vms["m-prod-1"], power=Power.ON)
        ran = run(*verb, *OPEN, "--masters", "--abandon-old", *(["--yes"] if verb == ("restore",) else []), *self.SIZE)
        assert ran.code == 2
        assert "m-prod-1 is not off, and does not say whether etcd has lost its quorum: " in ran.line
        assert "Power it off, and run again" in ran.line

    @pytest.mark.parametrize(("of_another", "file"), [(False, "prod.age"), (True, "FILE")], ids=["this", "another"])
    def test_what_has_begun_goes_on_with_the_file_that_was_named(self, run, lost, verb, of_another: bool, file: str) -> None:
        """Unless that is another backup than the one that was begun with."""
        begun = run("plan", "restore", *OPEN, "--masters", "--abandon-old", *self.SIZE, "--output", "json")
        sha256 = next(it["details"]["sha256"] for it in json.loads(begun.out)["actions"] if it["action"] == "abandon")
        folder = Folder.open(STATE.absolute(), "prod")
        assert folder
        folder.begin_abandoning("ab" * 32 if of_another else sha256, masters_only=True)
        ran = run(*verb, *OPEN, "--masters", *self.SIZE)
        assert ran.code == 2
        command = "kube-provision restore --masters-only --abandon-old --name prod"
        assert f"To go on with that: {command} {file} --config" in ran.line

    def test_a_number_says_how_many_there_are(self, run, made) -> None:
        made()
        ran = run("plan", "restore", *OPEN, "-c", "config.yml", "--masters", "2", "--workers", "0", "--output", "json")
        assert created(ran.out) == {"table-prod", "m-prod-1", "m-prod-2"}

    def test_go_with_what_upgrades_and_what_restores(self, refused) -> None:
        line = refused("plan", "replace", "--masters-only", "--drifted", "-c", "config.yml")
        assert "--masters-only goes with `plan upgrade` and `plan restore`." in line
        assert "--workers-only goes with `plan upgrade`." in refused("plan", "restore", *OPEN, "--workers-only")


class TestWhatIsSaid:
    def test_a_file_is_named(self, refused) -> None:
        assert "`plan restore` takes FILE: the backup." in refused("plan", "restore", "-c", "config.yml")

    @pytest.mark.parametrize(
        "said", [("prod.age",), ("--abandon-old",), ("--identity-file", "k"), ("--passphrase-file", "k")]
    )
    def test_what_opens_a_backup_goes_with_nothing_else(self, refused, said: tuple[str, ...]) -> None:
        assert "goes with `plan restore`." in refused("plan", "provision", *said, "-c", "config.yml")

    def test_whoever_destroys_is_asked(self, refused, made) -> None:
        made()
        line = refused("restore", *OPEN, "-c", "config.yml", "--abandon-old")
        assert "restore --abandon-old asks for the cluster's name on a terminal" in line
