"""The place for a task at the end of a seed: whole or empty, whenever whoever writes it is killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from kube_provision_core import RECEIVER, Boot, NoCloudSeed, TargetError
from kube_provision_core.datasources import mailbox

TASK, OTHER = b"sealed \x00\xff\r\n" + bytes(range(256)) * 40 + b"\n\n", b"another"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "seed.iso"
    NoCloudSeed(Boot("w-home-1", "w-home-1-1", "#cloud-config\nsecret: 0pen-sesame\n"), "version: 2\n").write(path)
    return path


class Killed(BaseException):
    """What `except Exception` does not catch."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], bool]:
    """A function that lets a write be killed when it has done half of that step; whether it came to that step."""

    def kill(number: int, write: Callable[[], None]) -> bool:
        steps = iter(range(100))
        pwrite = os.pwrite

        def half(descriptor: int, content: bytes, start: int) -> int:
            if next(steps) == number:
                pwrite(descriptor, content[: len(content) // 2], start)
                raise Killed
            return pwrite(descriptor, content, start)

        with monkeypatch.context() as patch:
            patch.setattr(mailbox.os, "pwrite", half)
            try:
                write()
            except Killed:
                return True
        return False

    return kill


def head(image: Path) -> tuple[int, str]:
    """Length and digest, as a receiver takes them apart."""
    length, digest = image.read_bytes()[-mailbox.SIZE :].splitlines()[0].removeprefix(b"kube-provision task ").split()
    return int(length), digest.decode()


def received(image: Path) -> bytes | None:
    """What a receiver makes of it; None where it is not whole."""
    length, digest = head(image)
    task = image.read_bytes()[-mailbox.LIMIT :][:length]
    return task if sha256(task).hexdigest() == digest or not length else None


def test_a_new_seed_has_an_empty_place_at_an_even_block(image: Path) -> None:
    assert received(image) == NoCloudSeed.waiting(image) == b""
    assert image.stat().st_size % mailbox.BLOCK == 0


def test_what_is_delivered_waits_byte_for_byte_until_it_is_taken_away(image: Path) -> None:
    for task in (TASK, TASK, OTHER, b"x" * NoCloudSeed.TASK_LIMIT):
        NoCloudSeed.deliver(image, task)
        assert received(image) == NoCloudSeed.waiting(image) == task
    for _ in range(2):
        NoCloudSeed.deliver(image, None)
        assert received(image) == NoCloudSeed.waiting(image) == b""


def test_nothing_is_left_of_a_longer_task(image: Path) -> None:
    NoCloudSeed.deliver(image, b"sealed" * 1000)
    NoCloudSeed.deliver(image, OTHER)
    assert b"sealed" not in image.read_bytes()


def test_what_is_too_large_is_refused_and_what_waited_waits_on(image: Path) -> None:
    NoCloudSeed.deliver(image, OTHER)
    with pytest.raises(TargetError, match="larger than"):
        NoCloudSeed.deliver(image, b"x" * (NoCloudSeed.TASK_LIMIT + 1))
    assert NoCloudSeed.waiting(image) == OTHER


def test_no_byte_of_the_boot_data_changes_and_scrubbing_leaves_the_task(image: Path) -> None:
    before = image.read_bytes()[: -mailbox.SIZE]
    NoCloudSeed.deliver(image, TASK)
    assert image.read_bytes()[: -mailbox.SIZE] == before
    NoCloudSeed.scrub(image)
    assert NoCloudSeed.waiting(image) == TASK
    assert b"0pen-sesame" not in image.read_bytes()


@pytest.mark.parametrize("before", [None, TASK, OTHER])
def test_a_delivery_that_is_killed_anywhere_leaves_a_whole_task_or_none(
    image: Path, killed_at: Callable[[int, Callable[[], None]], bool], before: bytes | None
) -> None:
    for step in range(100):
        NoCloudSeed.deliver(image, before)
        if not killed_at(step, lambda: NoCloudSeed.deliver(image, b"new" * 500)):
            return
        assert received(image) in (b"", before or b"", b"new" * 500)
        assert NoCloudSeed.waiting(image) == received(image)
        NoCloudSeed.deliver(image, OTHER)
        assert received(image) == OTHER


def test_a_task_that_was_half_taken_away_is_seen_to_be_there_and_believed_by_nobody(
    image: Path, killed_at: Callable[[int, Callable[[], None]], bool]
) -> None:
    NoCloudSeed.deliver(image, TASK)
    assert killed_at(0, lambda: NoCloudSeed.deliver(image, None))
    assert received(image) in (None, TASK)
    assert NoCloudSeed.waiting(image), "no run would take the rest of it away"
    NoCloudSeed.deliver(image, None)
    assert received(image) == NoCloudSeed.waiting(image) == b""


EARLIER = {
    "nothing": b"",
    "small": b"an image" * 1000,
    "large": b"an image" * (mailbox.SIZE // 4),
    "not quite": b"kube-provision task 7\n".ljust(mailbox.SIZE, b"\n"),
}


@pytest.mark.parametrize("content", EARLIER.values(), ids=EARLIER)
def test_a_seed_without_such_a_place_is_told_as_that_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seed.iso"
    path.write_bytes(content)
    assert NoCloudSeed.waiting(path) == b""
    for task in (TASK, None):
        with pytest.raises(TargetError, match="has no place for tasks, since an earlier version of kube-provision made it"):
            NoCloudSeed.deliver(path, task)
    assert path.read_bytes() == content


def test_where_there_is_no_seed_nothing_waits(tmp_path: Path) -> None:
    assert NoCloudSeed.waiting(tmp_path / "none.iso") == b""


def test_the_receiver_knows_the_disk_and_where_on_it_to_look() -> None:
    file = NoCloudSeed.receiver("/dev/disk/by-id/virtio-seed")
    assert (file.path, file.mode) == (RECEIVER, 0o755)
    assert f"disk=/dev/disk/by-id/virtio-seed size={mailbox.SIZE} block={mailbox.BLOCK}\n" in str(file.content)
