"""One run at a time, between threads and between processes, however the other one ends."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Barrier, Event, Lock

import pytest

from kube_provision_core.contract.errors import BusyError, FolderError
from kube_provision_core.folder.on_disk import lock_templates
from kube_provision_core.folder.store import Folder

HOLDER = """
import sys, time
from pathlib import Path
from kube_provision_core.folder.store import Folder
with Folder.lock(Path(sys.argv[1]), "prod"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def another_run(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(state)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def test_another_process_is_kept_out_and_told_who_is_at_work(tmp_path: Path) -> None:
    with another_run(tmp_path) as other:
        expected = rf"process {other.pid} on {re.escape(socket.gethostname())}, since \d{{4}}-\d\d-\d\dT[\d:]{{8}}Z"
        with pytest.raises(BusyError, match=rf"another run is at work on cluster prod \({expected}\)"):
            Folder.lock(tmp_path, "prod").__enter__()


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    with another_run(tmp_path) as other:
        other.kill()
        other.wait(60)
        with Folder.lock(tmp_path, "prod"):
            pass


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_child_that_has_not_begun_its_program_yet_keeps_no_lock(tmp_path: Path) -> None:
    read, write = os.pipe()
    with Folder.lock(tmp_path, "prod"):
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        with Folder.lock(tmp_path, "prod"):
            pass
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)


def test_of_many_threads_one_gets_in(tmp_path: Path) -> None:
    barrier, done = Barrier(8), Barrier(8)

    def enter(_: int) -> bool:
        barrier.wait(60)
        try:
            with Folder.lock(tmp_path, "prod"):
                done.wait(60)
                return True
        except FolderError:
            done.wait(60)
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enter, range(8))) == 1


def test_other_clusters_are_free(tmp_path: Path) -> None:
    with Folder.lock(tmp_path, "prod"), Folder.lock(tmp_path, "other"):
        pass


def test_it_may_be_held_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        with Folder.lock(tmp_path, "prod"):
            pass


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    with Folder.lock(tmp_path / "a/state", "prod"), Folder.lock(tmp_path / "a/state", "other"):
        pass
    with lock_templates(tmp_path / "a/state"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_there_or_hold_something_stay(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with Folder.lock(tmp_path / "mine", "prod"):
        pass
    with Folder.lock(tmp_path / "state", "prod"):
        Folder.create(tmp_path / "state", "prod", {})
    assert {path.name for path in (*tmp_path.iterdir(), *(tmp_path / "state").iterdir())} == {"mine", "state", "prod"}


def test_the_lock_of_a_file_that_is_gone_is_nobodys(tmp_path: Path) -> None:
    """Whoever waited for it would else act beside who has made a new one."""
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(Folder.lock(tmp_path, "prod", briefly=True))
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(lambda: second.enter_context(Folder.lock(tmp_path, "prod")))
            with pytest.raises(TimeoutError):
                waits.result(0.3)
            first.close()
            waits.result(60)
            with pytest.raises(BusyError):
                Folder.lock(tmp_path, "prod").__enter__()


def test_of_many_that_come_and_go_one_is_in_at_a_time(tmp_path: Path) -> None:
    inside = Lock()

    def come_and_go(_: int) -> int:
        entered = 0
        for _ in range(200):
            with suppress(BusyError), Folder.lock(tmp_path / "state", "prod", briefly=True):
                assert inside.acquire(blocking=False), "another one is in as well"
                entered += 1
                inside.release()
        return entered

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(come_and_go, range(4)))
    assert list((tmp_path / "state").rglob("*")) == []


def test_folders_that_go_while_they_are_made_are_made_again(tmp_path: Path) -> None:
    """By runs of other clusters, which end."""
    ended = Event()

    def remove() -> None:
        while not ended.wait(0.0002):
            for folder in ("state/inner", "state"):
                with suppress(OSError):
                    (tmp_path / folder).rmdir()

    with ThreadPoolExecutor(2) as pool:
        removing = [pool.submit(remove) for _ in range(2)]
        try:
            for _ in range(100):
                enter_once(tmp_path / "state/inner")
        finally:
            ended.set()
    assert [it.result() for it in removing] == [None, None]


def test_it_never_waits(tmp_path: Path) -> None:
    with Folder.lock(tmp_path, "prod"):
        begin = time.monotonic()
        with pytest.raises(FolderError):
            Folder.lock(tmp_path, "prod").__enter__()
        assert time.monotonic() - begin < 30


def test_who_holds_it_briefly_is_waited_for(tmp_path: Path) -> None:
    held = ExitStack()
    held.enter_context(Folder.lock(tmp_path, "prod", briefly=True))
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(enter_once, tmp_path)
        with pytest.raises(TimeoutError):
            waits.result(0.3)
        held.close()
        waits.result(60)


def enter_once(state: Path) -> None:
    with Folder.lock(state, "prod"):
        pass


def test_who_wants_it_briefly_waits_for_nobody(tmp_path: Path) -> None:
    for briefly in (True, False):
        with Folder.lock(tmp_path, "prod", briefly=briefly), pytest.raises(BusyError):
            Folder.lock(tmp_path, "prod", briefly=True).__enter__()


def test_who_holds_it_briefly_and_for_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.folder.lock._PATIENCE", 0.2)
    with Folder.lock(tmp_path, "prod", briefly=True), pytest.raises(BusyError, match="process"):
        Folder.lock(tmp_path, "prod").__enter__()


def test_a_holder_that_has_not_said_who_it_is_still_holds(tmp_path: Path) -> None:
    with Folder.lock(tmp_path, "prod"):
        (tmp_path / "prod.lock").write_bytes(b'{"pid": ')
        with pytest.raises(FolderError, match="it has just begun"):
            Folder.lock(tmp_path, "prod").__enter__()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "prod.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(FolderError, match="symbolic link"):
        Folder.lock(tmp_path, "prod").__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("state", ["file", "file/below"])
def test_a_state_that_cannot_be_a_folder_is_named(tmp_path: Path, state: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match=f"{re.escape(str(tmp_path / 'file'))}.* is no folder: choose another --state"):
        Folder.lock(tmp_path / state, "prod").__enter__()
