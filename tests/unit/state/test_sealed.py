"""A cluster's folder in a store: for whom it is, who was quicker, and what nobody mistakes for an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import fsspec
import pytest
from doubles.site import Site
from doubles.states import ONE, OTHER, recipients, sealed
from fsspec.implementations.memory import MemoryFileSystem

from kube_provision_core import Discovery
from kube_provision_core.backup import Recipients
from kube_provision_core.contract.errors import BusyError, ConfigError, FolderError, StateError
from kube_provision_core.engine.report import DONE
from kube_provision_core.folder.store import Folder
from kube_provision_core.state import SealedState, entries, prune, pull, push, rotate, verify
from kube_provision_core.state.stores import store_of


@pytest.fixture
def url() -> Iterator[str]:
    name = uuid4().hex
    yield f"memory://{name}"
    with suppress(FileNotFoundError):
        fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


@pytest.fixture
def state(url: str, tmp_path: Path) -> SealedState:
    return sealed(url, tmp_path / "home")


@pytest.fixture
def folder(state: SealedState) -> Folder:
    return Folder.create(state, "prod", {"consul_encrypt": lambda: "gossip"})


def opened(state: SealedState) -> Folder:
    found = Folder.open(state, "prod")
    assert found
    return found


class TestAWholeLife:
    """Of a cluster whose folder is in no folder."""

    @pytest.fixture
    def site(self, state: SealedState) -> Site:
        return Site(cast(Path, state))

    def test_is_provisioned_seen_and_destroyed(self, site: Site, state: SealedState) -> None:
        report = site.provision()
        assert (report.exit_code, report.kubeconfig, report.folder_error) == (DONE, None, "")
        site.registry.record = Discovery(initialised=True)
        assert site.provision().exit_code == DONE
        seen = site.status()
        assert (seen.folder, seen.kubeconfig, seen.initialised) == (f"{state.url}/prod", None, True)
        assert site.destroy().exit_code == DONE
        assert Folder.open(state, "prod") is None
        assert [it.changed for it in entries(state, "prod")] == [
            *("created", "begun", "history.jsonl"),
            *("begun", "initialised"),
            *("begun", "history.jsonl", "destroyed"),
        ]
        assert verify(state, "prod") == ([*range(1, 9)], [])

    def test_makes_room_for_the_next_one_of_its_name(self, site: Site, state: SealedState) -> None:
        site.provision()
        first = opened(state)
        site.destroy()
        site.provision()
        assert opened(state).cluster_id != first.cluster_id
        assert entries(state, "prod")[-1].number == 9

    def test_leaves_no_secret_on_this_host(self, site: Site, state: SealedState, tmp_path: Path) -> None:
        site.provision()
        folder = opened(state)
        secrets = [content for name, content in folder.pki.files.items() if name.endswith(".key")]
        for path in tmp_path.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert not any(secret in content for secret in [*secrets, folder.token.encode()]), path

    def test_a_run_that_was_overtaken_creates_no_machine(self, site: Site, state: SealedState, tmp_path: Path) -> None:
        Folder.create(state, "prod", {})
        theirs = Folder.open(sealed(state.url, tmp_path / "another"), "prod")
        assert theirs
        with site.session() as session:
            from doubles.site import Operator

            from kube_provision_core.engine.verb import Options
            from kube_provision_core.verbs import run
            from kube_provision_core.verbs.provision import PROVISION

            theirs.save()
            with pytest.raises(BusyError, match=r"number 2 .* Nothing was changed by this run"):
                run.run(PROVISION, session, Options(), Operator(site))
        assert not site.world.vms

    def test_without_its_store_it_is_not_made_a_second_time(self, site: Site, state: SealedState) -> None:
        site.provision()
        machines = dict(site.world.vms)
        fsspec.filesystem("memory").rm(f"/{state.url.partition('://')[2]}", recursive=True)
        with pytest.raises(StateError, match="shows nothing, and this host has seen number 3 there"):
            site.provision()
        assert site.world.vms == machines


class TestMeanwhile:
    """Another run has written, between what this one has read and what it writes."""

    def test_what_it_wrote_stays_beside_what_this_run_writes(self, state: SealedState, folder: Folder) -> None:
        theirs = opened(state)
        theirs.mark_initialised()
        key = folder.renew_certificate_key()
        assert (opened(state).initialised, opened(state).certificate_key) == (True, key)

    def test_the_same_file_is_not_written_over(self, state: SealedState, folder: Folder) -> None:
        theirs = opened(state)
        kept = theirs.renew_certificate_key()
        with pytest.raises(BusyError, match="number 2"):
            folder.renew_certificate_key()
        assert opened(state).certificate_key == kept

    def test_a_number_that_is_free_again_is_not_taken(self, state: SealedState, folder: Folder) -> None:
        """It was pruned."""
        theirs = opened(state)
        theirs.mark_initialised()
        kept = theirs.renew_certificate_key()
        prune(state, "prod")
        with pytest.raises(BusyError, match="number 3"):
            folder.save()
        assert [it.number for it in entries(state, "prod")] == [3]
        assert opened(state).certificate_key == kept

    @pytest.mark.parametrize("rotations", [1, 2])
    def test_nor_is_the_first_one(self, state: SealedState, tmp_path: Path, rotations: int) -> None:
        draft = Folder.draft(sealed(state.url, tmp_path / "another"), "prod", {})
        assert not draft.saved
        theirs = Folder.create(state, "prod", {})
        last = [rotate(state, "prod") for _ in range(rotations)][-1]
        prune(state, "prod")
        with pytest.raises(BusyError, match=f"number {last}"):
            draft.save()
        assert [it.number for it in entries(state, "prod")] == [last]
        assert opened(state).cluster_id == theirs.cluster_id

    def test_a_first_one_that_was_followed_at_once_is_in_turn(
        self, state: SealedState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = MemoryFileSystem.pipe_file

        def followed(self: Any, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
            real(self, path, value, mode=mode, **more)
            if path.endswith("00000001.age"):
                rotate(state, "prod")

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", followed)
        created = Folder.create(state, "prod", {})
        assert [it.number for it in entries(state, "prod")] == [1, 2]
        assert opened(state).cluster_id == created.cluster_id

    def test_a_cluster_that_is_gone_is_not_brought_back(self, state: SealedState, folder: Folder) -> None:
        opened(state).archive()
        with pytest.raises(BusyError):
            folder.mark_initialised()
        assert Folder.open(state, "prod") is None

    def test_another_of_its_name_is_not_written_to(self, state: SealedState, folder: Folder) -> None:
        opened(state).archive()
        theirs = Folder.create(state, "prod", {})
        with pytest.raises(BusyError):
            folder.mark_initialised()
        assert not opened(state).initialised
        assert opened(state).cluster_id == theirs.cluster_id


class TestRecipients:
    def test_who_is_none_is_told_so(self, state: SealedState, folder: Folder, tmp_path: Path) -> None:
        other = sealed(state.url, tmp_path / "other", opens=OTHER)
        with pytest.raises(FolderError, match=r"00000001\.age: it was written for others: --state-identity-file does not"):
            Folder.open(other, "prod")

    def test_nobody_writes_what_he_could_not_read(self, state: SealedState, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="name your own one among them"):
            Folder.create(sealed(state.url, tmp_path, to=recipients(OTHER)), "prod", {})
        assert store_of(state.url, "prod").names() == []

    def test_nobody_is_added_or_left_out_by_the_way(self, state: SealedState, folder: Folder, tmp_path: Path) -> None:
        both = sealed(state.url, tmp_path, to=recipients(ONE, OTHER))
        with pytest.raises(FolderError, match=r"is for 1 recipient .*, and 2 are named .* rotate-recipients"):
            Folder.open(both, "prod")

    def test_that_are_named_twice_count_once(self, state: SealedState, folder: Folder, tmp_path: Path) -> None:
        """Also where an earlier number has one twice."""
        assert opened(sealed(state.url, tmp_path / "home", to=recipients(ONE, ONE))).pki == folder.pki
        (tmp_path / "team").write_text(f"{recipients(ONE).names[0]}\n")
        assert Recipients.read(recipients(ONE, OTHER).names, [tmp_path / "team"]) == recipients(ONE, OTHER)

    def test_are_changed_by_one_more_number(self, state: SealedState, folder: Folder, tmp_path: Path) -> None:
        assert rotate(sealed(state.url, tmp_path / "home", to=recipients(ONE, OTHER)), "prod") == 2
        theirs = sealed(state.url, tmp_path / "other", opens=OTHER, to=recipients(OTHER, ONE))
        assert opened(theirs).pki == folder.pki
        numbers, faults = verify(theirs, "prod")
        assert (numbers, [(it.number, it.for_others) for it in faults]) == ([1, 2], [(1, True)])
        assert [it.recipients for it in entries(theirs, "prod")] == [None, 2]
        assert prune(theirs, "prod") == 1
        assert verify(theirs, "prod") == ([2], [])

    def test_there_are_none_of_nothing(self, state: SealedState) -> None:
        with pytest.raises(ConfigError, match="has no cluster yet"):
            rotate(state, "prod")


class TestTheStore:
    def damage(self, state: SealedState, name: str, content: bytes | None) -> None:
        files, path = fsspec.filesystem("memory"), f"/{state.url.partition('://')[2]}/prod/{name}"
        if content is None:
            files.rm_file(path)
        else:
            files.pipe_file(path, content)

    def test_that_has_gone_back_is_not_believed(self, state: SealedState, folder: Folder) -> None:
        folder.mark_initialised()
        self.damage(state, "00000002.age", None)
        with pytest.raises(StateError, match=r"shows number 1, and this host has seen number 2 there: the store is stale"):
            Folder.open(state, "prod")

    def test_that_shows_another_in_its_place_is_not_believed(
        self, state: SealedState, folder: Folder, tmp_path: Path
    ) -> None:
        self.damage(state, "00000001.age", None)
        other = Folder.create(sealed(state.url, tmp_path / "another"), "prod", {})
        with pytest.raises(StateError, match="this host has seen another there"):
            Folder.open(state, "prod")
        assert other.cluster_id != folder.cluster_id

    def test_of_which_a_number_is_cut_or_changed_says_which(self, state: SealedState, folder: Folder) -> None:
        content = store_of(state.url, "prod").read("00000001.age")
        for broken in (content[:-40], content[:300], content[:-1] + b"x"):
            self.damage(state, "00000001.age", broken)
            with pytest.raises(FolderError, match=r"00000001\.age is not whole"):
                Folder.open(state, "prod")
            _, (fault,) = verify(state, "prod")
            assert (fault.number, fault.for_others) == (1, False)
            (entry,) = entries(state, "prod")
            assert (entry.number, entry.recipients, "is not whole" in entry.problem) == (1, None, True)

    def test_of_which_the_last_number_is_for_others_shows_the_rest(self, state: SealedState, folder: Folder) -> None:
        theirs = sealed(state.url, state.home / "theirs", to=recipients(ONE, OTHER))
        rotate(theirs, "prod")
        rotate(sealed(state.url, state.home / "theirs", opens=OTHER, to=recipients(OTHER)), "prod")
        found = [(it.number, it.recipients, it.problem) for it in entries(state, "prod")]
        assert found == [(1, 1, ""), (2, 2, ""), (3, None, "for others")]
        assert [(it.number, it.for_others) for it in verify(state, "prod")[1]] == [(3, True)]

    def test_of_which_a_number_was_renamed_or_taken_out_is_found_out(self, state: SealedState, folder: Folder) -> None:
        folder.mark_initialised()
        folder.end_restore()
        folder.renew_certificate_key()
        store = store_of(state.url, "prod")
        second = store.read("00000002.age")
        self.damage(state, "00000002.age", None)
        numbers, (fault,) = verify(state, "prod")
        assert (numbers, fault.number) == ([1, 3], 3)
        self.damage(state, "00000004.age", second)
        with pytest.raises(StateError, match=r"00000004\.age is number 2 of cluster prod: somebody has renamed it"):
            Folder.open(state, "prod")

    def test_that_writes_one_over_another_is_refused(self, state: SealedState, monkeypatch: pytest.MonkeyPatch) -> None:
        """As some servers do that know nothing of conditions."""
        real = MemoryFileSystem.pipe_file

        def ignoring(self: Any, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
            real(self, path, value, mode="overwrite", **more)

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", ignoring)
        with pytest.raises(StateError, match="writes one object over another"):
            Folder.create(state, "prod", {})
        assert store_of(state.url, "prod").names() == []

    def test_that_fails_is_told_in_a_line(self, state: SealedState, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ConnectionError("the wire\nis cut")

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", fail)
        with pytest.raises(StateError) as told:
            folder.mark_initialised()
        assert str(told.value) == f"{state.url}/prod: number 2 could not be written: the wire is cut"
        monkeypatch.setattr(MemoryFileSystem, "ls", fail)
        with pytest.raises(StateError, match="the wire is cut"):
            Folder.open(state, "prod")


class TestBetweenStoreAndDisk:
    def test_what_is_brought_there_comes_back_as_it_was(self, state: SealedState, tmp_path: Path) -> None:
        before = Folder.create(tmp_path / "disk", "prod", {})
        before.mark_initialised()
        before.write_kubeconfig("10.0.0.1")
        before.write_known_hosts(b"m-prod-1 ssh-ed25519 AAAA\n")
        assert push(state, "prod", tmp_path / "disk") == 1
        found = Folder.open(pull(state, "prod", tmp_path / "other").parent, "prod")
        assert found
        assert (found.cluster_id, found.pki, found.token, found.initialised) == (
            before.cluster_id,
            before.pki,
            before.token,
            True,
        )
        assert {*before.files.names()} - {*found.files.names()} == {"kubeconfig", "known_hosts"}

    def test_neither_is_written_over(self, state: SealedState, tmp_path: Path) -> None:
        Folder.create(tmp_path / "disk", "prod", {})
        push(state, "prod", tmp_path / "disk")
        with pytest.raises(FolderError, match="has the folder of this cluster already"):
            push(state, "prod", tmp_path / "disk")
        with pytest.raises(FolderError, match="exists already, and no folder is written over another"):
            pull(state, "prod", tmp_path / "disk")

    def test_what_is_not_there_cannot_be_had(self, state: SealedState, tmp_path: Path) -> None:
        for look in (entries, verify):
            with pytest.raises(ConfigError, match=r"/prod has no cluster: name another --state"):
                look(state, "prod")
        with pytest.raises(ConfigError, match=r"has no cluster: name another --state"):
            pull(state, "prod", tmp_path)
        with pytest.raises(ConfigError, match=r"cluster prod has no folder at "):
            push(state, "prod", tmp_path)
