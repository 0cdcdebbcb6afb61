"""What a machine tells when it is asked: whole, for nobody else to read, and to be forged by nobody."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles.member import NODE, STAMP, Member

from kube_provision_core import NodeStatus
from kube_provision_core.boot.tasks import Answer, Sealed, Task, asking, read_answer, room_in
from kube_provision_core.boot.tasks.asking import BESIDE
from kube_provision_core.contract.kinds import ANSWER_LIMIT
from kube_provision_core.folder.pki import Pki
from kube_provision_node import results
from kube_provision_node.evidence import Diagnosis
from kube_provision_node.publishing import Publisher, Status

ROOM = room_in(ANSWER_LIMIT)
WORD = "hush-4pV9tQ2mXw"


@pytest.fixture
def member(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Member:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return Member(tmp_path, pki)


def question(member: Member, script: str, room: int = ROOM) -> Task:
    """As it is asked of a machine whose root is a folder."""
    task = asking("tell", replace(NODE, name=member.name, stamp=member.stamp), script, room=room)

    def moved(text: str) -> str:
        return text.replace("/usr/local", f"{member.root}/usr/local").replace(
            f" {room}\n", f" {room} --root {member.root}\n"
        )

    steps = (replace(it, step=replace(it.step, script=moved(it.step.script))) for it in task.steps)
    return replace(task, steps=tuple(steps))


def ask(member: Member, script: str, room: int = ROOM) -> Answer:
    given = member.give(question(member, script, room))
    member.tasks().look()
    found = read_answer(member.heard, member.key)
    assert found
    assert found.id == given.id
    return found


@pytest.mark.parametrize(
    "content",
    [b"", b"one\n", "größer\n".encode(), bytes(range(256)) * 3, b"\n\n7\n"],
    ids=["nothing", "word", "ü", "bytes", "lines"],
)
def test_what_a_step_writes_comes_back_byte_for_byte(member: Member, content: bytes) -> None:
    (member.root / "content").write_bytes(content)
    answer = ask(member, f"cat {member.root}/content")
    assert (answer.status.finished, answer.result, answer.cut) == (True, content, 0)


@pytest.mark.parametrize("size", [3_000, 50_000, 400_000])
def test_of_what_is_too_large_the_end_comes_and_how_much_was_cut(member: Member, size: int) -> None:
    noise = base64.b64encode(os.urandom(size))[:size]
    (member.root / "content").write_bytes(noise)
    answer = ask(member, f"cat {member.root}/content")
    assert answer.result
    assert noise.endswith(answer.result)
    assert answer.cut == size - len(answer.result)
    assert len(answer.result) > ROOM * 0.9, "nearly all of the room is used"
    assert len(member.published) <= ANSWER_LIMIT


def test_what_packs_well_comes_whole_through_a_narrow_road(member: Member) -> None:
    answer = ask(member, "seq -f 'line %g of a journal, much like the last' 500")
    assert answer.result
    assert (len(answer.result.splitlines()), answer.cut) == (500, 0)


def test_a_wider_road_carries_more(member: Member) -> None:
    noise = base64.b64encode(os.urandom(15_000))
    (member.root / "content").write_bytes(noise)
    assert ask(member, f"cat {member.root}/content", room_in(32 * 1024)).result == noise


def test_where_there_is_no_room_at_all_the_task_fails(member: Member) -> None:
    answer = ask(member, "echo one", room=24)
    assert (answer.status.state, answer.result) == ("failed", None)
    assert "there is no room" in answer.status.error


def test_a_document_with_a_result_stays_within_the_road_whatever_the_boot_says(member: Member) -> None:
    long = "e" * 5000
    status = Status(
        "join",
        "failed",
        long,
        "plugin-of-somebody/step-with-a-long-name",
        5,
        5,
        long,
        Diagnosis("x", long, long),
        (long,) * 20,
    )
    Publisher(member.places.programs / "publish", str, member.places.state).publish(status)
    (member.root / "content").write_bytes(os.urandom(9_000))
    answer = ask(member, f"cat {member.root}/content")
    assert answer.result
    address = len('"address": "2001:0db8:0000:0000:0000:0000:0000:0001", ')
    assert len(member.published) + address <= ANSWER_LIMIT
    assert BESIDE < ANSWER_LIMIT


def test_what_fails_brings_nothing(member: Member) -> None:
    answer = ask(member, "echo half; echo broken >&2; exit 3")
    assert (answer.status.state, answer.result) == ("failed", None)
    assert "broken" in answer.status.error


def test_an_attempt_that_failed_leaves_nothing_in_the_next_ones(member: Member) -> None:
    assert ask(member, f"echo attempt; mkdir {member.root}/second").result == b"attempt\n"
    assert (
        ask(member, f"mkdir {member.root}/third 2>/dev/null && {{ echo first; exit 1; }}; echo second").result == b"second\n"
    )


def test_a_task_that_leaves_nothing_answers_without(member: Member) -> None:
    member.give(member.task(member.step(member.say("done"))))
    member.tasks().look()
    found = read_answer(member.heard, member.key)
    assert found
    assert (found.status.finished, found.result) == (True, None)


def test_what_one_task_has_left_is_not_the_next_ones(member: Member) -> None:
    assert ask(member, "echo one").result == b"one\n"
    member.give(member.task(member.step(member.say("done"))))
    member.tasks().look()
    found = read_answer(member.heard, member.key)
    assert found
    assert found.result is None


# --- attacks -------------------------------------------------------------------------------------------------------


def test_who_reads_along_learns_nothing(member: Member) -> None:
    """Neither of what is published, nor of what stays on the disk."""
    answer = ask(member, f"for number in 1 2 3; do echo {WORD}; done")
    assert answer.result == f"{WORD}\n".encode() * 3
    assert WORD not in repr(answer)
    sealed = base64.b64decode(json.loads(member.heard.task)["result"])
    assert sealed.startswith(b"Salted__")
    kept = [path.read_bytes() for path in member.places.state.rglob("*") if path.is_file()]
    assert not [text for text in (member.published.encode(), sealed, *kept) if WORD.encode() in text]
    assert not (member.places.state / "tasks/taken").exists()


def test_the_key_stands_in_no_command_line(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[Any] = []
    honest = subprocess.run
    monkeypatch.setattr(
        results.subprocess,
        "run",
        lambda command, **more: commands.append((command, more.get("env"))) or honest(command, **more),
    )
    (member.places.state / "tasks/taken").mkdir(parents=True)
    results.leave(b"content", 0, ROOM, member.places)
    derived = results.sealed.derive(member.key, "result")
    assert len(commands) == 1
    assert member.key not in str(commands)
    assert derived not in str(commands)


def forged(member: Member, **changes: Any) -> NodeStatus:
    return replace(member.heard, task=json.dumps({**json.loads(member.heard.task), **changes}))


def test_a_result_that_is_cut_or_changed_is_nothing_heard(member: Member) -> None:
    ask(member, "seq 100")
    sealed = json.loads(member.heard.task)["result"]
    for other in (sealed[:-4], sealed[4:], "", sealed.swapcase(), None, 7, [sealed]):
        assert read_answer(forged(member, result=other), member.key) is None
    without = {name: value for name, value in json.loads(member.heard.task).items() if name != "result"}
    assert read_answer(replace(member.heard, task=json.dumps(without)), member.key) is None


def test_a_result_of_another_task_is_nothing_heard(member: Member) -> None:
    """Of the same machine, with the same key."""
    ask(member, "echo one")
    one = json.loads(member.heard.task)
    ask(member, "echo two")
    assert read_answer(forged(member, result=one["result"]), member.key) is None
    assert read_answer(forged(member, result=one["result"], mac=one["mac"]), member.key) is None
    replayed = read_answer(replace(member.heard, task=json.dumps(one)), member.key)
    assert replayed, "it is the machine's own"
    assert replayed.id == one["id"], "and says which task it answers"


def test_a_result_of_another_machine_is_nothing_heard(tmp_path: Path, pki: Pki, member: Member) -> None:
    other = Member(tmp_path / "another", pki, name="w-prod-2")
    ask(other, "echo other")
    ask(member, "echo mine")
    said = json.loads(other.heard.task)
    assert read_answer(other.heard, member.key) is None
    assert read_answer(forged(member, result=said["result"]), member.key) is None
    earlier = Member(tmp_path / "earlier", pki, stamp=replace(STAMP, instance="5f0d"))
    ask(earlier, "echo earlier")
    assert read_answer(earlier.heard, member.key) is None


@pytest.mark.parametrize(
    "junk",
    [
        "x",
        "####",
        base64.b64encode(b"Salted__").decode(),
        base64.b64encode(b"Salted__12345678" + b"x" * 90).decode(),
        7,
        None,
        {},
    ],
)
def test_a_machine_that_was_taken_over_breaks_nothing(member: Member, junk: Any) -> None:
    """Its root has the key: what it signs is its own word, and yet no result."""
    from kube_provision_node.tasks import code

    given: Sealed = member.give(question(member, "echo one"))
    said = {"stage": "finish", "state": "done", "error": "", "id": given.id, "verb": "tell", "result": junk}
    status = replace(member.heard, task=json.dumps({**said, "mac": code(member.key, said)}))
    found = read_answer(status, member.key)
    assert found
    assert (found.status.finished, found.result, found.cut) == (True, None, 0)


def test_what_unpacks_without_end_is_no_result(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    from kube_provision_node.tasks import code

    packed = results.zlib.compress(b"0\n" + b"x" * (2 << 20), 9)
    sealed = base64.b64encode(results._encrypted(packed, results.sealed.derive(member.key, "result"))).decode()
    said = {"stage": "finish", "state": "done", "error": "", "id": "one", "verb": "tell", "result": sealed}
    found = read_answer(replace(member.heard, task=json.dumps({**said, "mac": code(member.key, said)})), member.key)
    assert found
    assert found.result is None


def test_openssl_that_fails_says_why(member: Member, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "bin/openssl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no such cipher >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(ValueError, match="openssl enc: no such cipher"):
        results.leave(b"content", 0, ROOM, member.places)
