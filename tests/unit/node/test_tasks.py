"""What a living machine is given to do, on a real `openssl`: done once, told to whom it concerns, and never to be forged."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles.member import STAMP, Member

from kube_provision_core import File
from kube_provision_core.boot.tasks import Answer, Sealed, read_answer, seal, sealing
from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_core.folder.x509 import sign_client
from kube_provision_node import sealed as opening
from kube_provision_node.exclusion import alone

HOUR = 3600.0


@pytest.fixture
def member(tmp_path: Path, pki: Pki) -> Member:
    return Member(tmp_path, pki)


def answer(member: Member, given: Sealed) -> Answer | None:
    found = read_answer(member.heard, member.key)
    return found if found and found.id == given.id else None


def outcome(member: Member, given: Sealed) -> str:
    found = answer(member, given)
    return found.status.state if found else "unanswered"


# --- the way of a task ---------------------------------------------------------------------------------------------


def test_it_is_done_and_answered(member: Member) -> None:
    given = member.give(member.task(member.step(member.say("renewed"))))
    member.tasks().look()
    assert member.said == ["renewed"]
    found = answer(member, given)
    assert found
    assert (found.verb, found.status.finished) == ("renew", True)


def test_its_files_are_there_before_its_steps(member: Member) -> None:
    secret = File("/srv/made/secret", b"\x00\xff hush", mode=0o400, secret=True)
    plain = File("/srv/made/plain", "ü\n")
    member.give(member.task(member.step(f"cmp {member.root}/srv/made/plain <(echo ü)"), files=[secret, plain]))
    member.tasks().look()
    assert read_answer(member.heard, member.key)
    assert (member.root / "srv/made/secret").read_bytes() == b"\x00\xff hush"
    assert [oct((member.root / "srv/made" / name).stat().st_mode)[-3:] for name in ("secret", "plain")] == ["400", "644"]
    assert {path.name for path in (member.root / "srv/made").iterdir()} == {"secret", "plain"}


def test_files_of_an_owner_whom_the_machine_does_not_know_fail_it(member: Member) -> None:
    given = member.give(member.task(member.step(member.say("never")), files=[File("/srv/its", "", owner="stranger:root")]))
    member.tasks().look()
    assert outcome(member, given) == "failed"
    assert member.said == []


def test_what_it_does_is_told_while_it_does_it_and_what_failed_with_its_cause(member: Member) -> None:
    step = member.step("echo 'could not connect to the container runtime: DeadlineExceeded' >&2; exit 3", attempts=2)
    given = member.give(member.task(step, member.step(member.say("never"), name="two")))
    member.tasks().look()
    answers = [found for status in member.statuses if (found := read_answer(status, member.key))]
    assert [(it.status.state, it.status.attempt) for it in answers] == [("running", 1), ("running", 2), ("failed", 2)]
    assert answers[-1].id == given.id
    assert (answers[-1].status.step, answers[-1].status.diagnosis) == ("test/one", "runtime-late")
    assert member.said == []


def test_the_boots_own_word_stays(member: Member) -> None:
    member.give(member.task(member.step("exit 1")))
    member.tasks().look()
    assert all(status.finished for status in member.statuses)


def test_secrets_of_its_files_are_not_told(member: Member) -> None:
    secret = File("/srv/secret", "password: Zk8sNs83nSn29s\n", mode=0o600, secret=True)
    member.give(member.task(member.step("echo 'no such user: Zk8sNs83nSn29s' >&2; exit 1"), files=[secret]))
    member.tasks().look()
    assert "Zk8sNs83nSn29s" not in member.heard.task


def test_two_in_a_row_are_both_done(member: Member) -> None:
    for number in (1, 2):
        given = member.give(member.task(member.step(member.say(f"task-{number}"))))
        member.tasks().look()
        assert outcome(member, given) == "done"
    assert member.said == ["task-1", "task-2"]


def test_the_same_one_given_anew_is_done_anew(member: Member) -> None:
    tasks, task = member.tasks(), member.task(member.step(member.say("renewed")))
    for _ in range(2):
        member.give(task)
        tasks.look()
    assert member.said == ["renewed"] * 2


def test_one_that_failed_is_not_tried_again(member: Member) -> None:
    member.give(member.task(member.step(f"{member.say('tried')}exit 1")))
    member.tasks().look()
    member.tasks().look()
    assert member.said == ["tried"]


def test_nothing_that_waits_is_nothing_to_do(member: Member) -> None:
    before = len(member.statuses)
    member.tasks().look()
    assert len(member.statuses) == before


def test_nothing_secret_of_it_stays_on_the_machine(member: Member) -> None:
    member.give(member.task(member.step(f"# hush-hush\n{member.say('done')}")))
    member.tasks().look()
    kept = [path for path in member.places.state.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hush-hush" in path.read_bytes()]


def test_while_it_is_kept_nobody_else_reads_it(member: Member) -> None:
    folder = member.places.state / "tasks/taken"
    member.give(member.task(member.step(f"stat -c '%a' {folder} {folder}/*.json {folder}/*.sh >{member.root}/modes")))
    member.tasks().look()
    assert set((member.root / "modes").read_text().split()) == {"700", "600"}


def test_it_waits_while_something_else_of_ours_works(member: Member) -> None:
    member.give(member.task(member.step(member.say("done"))))
    with alone(member.places):
        looking = member.start()
        time.sleep(1.0)
        assert member.said == []
        assert looking.poll() is None
    assert looking.wait(60) == 0
    assert member.said == ["done"]


# --- power cuts ----------------------------------------------------------------------------------------------------


def cutting(member: Member, moment: str) -> str:
    """A line of a script at which the power goes, once."""
    return f"if mkdir {member.root}/cut-{moment} 2>/dev/null; then kill -9 $PPID; sleep 60; fi\n"


@pytest.mark.parametrize("moment", ["begin", "end"])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_power_cut_at_a_step_goes_on_there(member: Member, cut: int, moment: str) -> None:
    scripts = [member.say(f"step-{number}") for number in range(3)]
    line = cutting(member, moment)
    scripts[cut] = line + scripts[cut] if moment == "begin" else scripts[cut] + line
    steps = [member.step(script, name=f"step-{number}") for number, script in enumerate(scripts)]
    given = member.give(member.task(*steps))
    cut_off = member.start()
    assert cut_off.wait(60) == -signal.SIGKILL
    member.mailbox.unlink()  # what was taken needs the target no more
    assert outcome(member, given) == "running"
    again = member.start()
    assert again.wait(60) == 0
    assert outcome(member, given) == "done"
    expected = [f"step-{number}" for number in range(3)]
    if moment == "end":
        expected.insert(cut, f"step-{cut}")  # a step is idempotent, and one whose end nobody saw is run again
    assert member.said == expected


@pytest.mark.parametrize("number", range(1, 40))
def test_a_power_cut_at_any_moment_of_its_bookkeeping_loses_nothing(
    member: Member, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The machine loses its power right before its `number`-th call that writes."""
    given = member.give(member.task(member.step(member.say("done"))))
    count = itertools.count(1)

    class PowerCut(BaseException):
        pass

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(count) >= number:
                raise PowerCut
            return function(*arguments, **named)

        return call

    with monkeypatch.context() as patched:
        for name in ("mkdir", "rename", "replace", "touch", "write_text"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        patched.setattr("os.fsync", counted(os.fsync))
        patched.setattr("os.unlink", counted(os.unlink))
        patched.setattr("os.sync", lambda: None)
        with contextlib.suppress(PowerCut):
            member.tasks().look()
    member.tasks().look()
    assert outcome(member, given) == "done"
    assert member.said in (["done"], ["done"] * 2)
    member.tasks().look()
    assert len(member.said) <= 2


# --- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong_by", [-HOUR, 2 * HOUR, 30 * 24 * HOUR], ids=["behind", "ahead", "far ahead"])
def test_a_wrong_clock_is_told_and_nothing_is_done(member: Member, wrong_by: float) -> None:
    given = member.give(member.task(member.step(member.say("done"))))
    member.tasks(now=lambda: time.time() + wrong_by).look()
    found = answer(member, given)
    assert found
    assert (found.status.state, found.status.diagnosis, member.said) == ("failed", "wrong-clock", [])
    assert "here it is" in found.status.cause


def test_once_the_clock_is_right_it_is_done(member: Member) -> None:
    given = member.give(member.task(member.step(member.say("done"))))
    clock = iter([time.time() - HOUR, time.time()])
    tasks = member.tasks(now=lambda: next(clock))
    tasks.look()
    tasks.look()
    assert (outcome(member, given), member.said) == ("done", ["done"])


def test_what_was_taken_in_time_goes_on_after_its_time(member: Member) -> None:
    """A machine whose power came back the next day."""
    given = member.give(member.task(member.step(cutting(member, "x") + member.say("done"))))
    assert member.start().wait(60) == -signal.SIGKILL
    member.tasks(now=lambda: time.time() + 24 * HOUR).look()
    assert (outcome(member, given), member.said) == ("done", ["done"])


# --- attacks: by whoever can read and write the mailbox, and publish -------------------------------------------------


def refuse(member: Member) -> None:
    """Look into the mailbox: nothing is done, and nothing of it is told."""
    before = member.statuses
    member.tasks().look()
    assert member.said == []
    assert member.statuses == before
    assert not (member.places.state / "tasks").exists()


def test_who_sees_it_learns_nothing(member: Member) -> None:
    given = member.give(member.task(member.step("# hush-hush"), verb="renew-quietly", files=[File("/srv/hush-hush", "x")]))
    assert not [word for word in (b"hush", b"renew-quietly", member.name.encode()) if word in given.content]


@pytest.mark.parametrize(
    "junk",
    [b"x", b"\x00" * 100, os.urandom(5000), b"-----BEGIN CMS-----\n", b"{}"],
    ids=["word", "zeros", "noise", "pem", "json"],
)
def test_what_is_no_task_changes_nothing(member: Member, junk: bytes) -> None:
    member.mailbox.write_bytes(junk)
    refuse(member)


def test_one_that_is_cut_or_changed_is_refused(member: Member) -> None:
    content = member.give(member.task(member.step(member.say("done")))).content
    third = len(content) // 3
    for forged in (content[:-1], content[third:], content[:third] + b"x" + content[third + 1 :], content[:40]):
        member.mailbox.write_bytes(forged)
        refuse(member)


def test_one_of_another_authority_is_refused(tmp_path: Path, pki: Pki) -> None:
    """Somebody who knows even the machine's key."""
    member = Member(tmp_path, pki)
    stranger = create_pki("prod")
    task = member.task(member.step(member.say("done")))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pki, "machine_key", lambda *_: member.key)
        member.mailbox.write_bytes(seal(task, member.name, STAMP, stranger).content)
    refuse(member)


def test_one_that_the_systems_own_authorities_vouch_for_is_refused(
    member: Member, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = create_pki("prod")
    monkeypatch.setattr(Pki, "machine_key", lambda *_: member.key)
    member.mailbox.write_bytes(seal(member.task(member.step(member.say("done"))), member.name, STAMP, stranger).content)
    monkeypatch.setenv("SSL_CERT_FILE", str(member.write("trusted/stranger.pem", stranger.ca.decode())))
    subprocess.run(["openssl", "rehash", tmp_path / "trusted"], check=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "trusted"))
    refuse(member)


def test_a_kubelets_certificate_signs_no_task(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of the same authority: so is that of every node, and whoever is root there has it."""

    def kubelet(authority: Any, name: str, lifetime: Any, now: Any) -> Any:
        return sign_client(authority, "system:node:w-prod-2", "system:nodes", lifetime, now)

    monkeypatch.setattr(sealing, "sign_signer", kubelet)
    member.give(member.task(member.step(member.say("done"))))
    refuse(member)


def test_one_for_another_machine_is_refused(tmp_path: Path, pki: Pki) -> None:
    one, another = Member(tmp_path / "one", pki), Member(tmp_path / "another", pki, name="w-prod-2")
    another.mailbox.write_bytes(one.give(another.task(another.step(another.say("done")))).content)
    refuse(another)


def test_one_for_an_earlier_machine_of_this_name_is_refused(tmp_path: Path, pki: Pki) -> None:
    earlier = Member(tmp_path / "earlier", pki)
    member = Member(tmp_path / "now", pki, stamp=replace(STAMP, instance="5f0d"))
    member.mailbox.write_bytes(earlier.give(member.task(member.step(member.say("done")))).content)
    refuse(member)


def test_one_that_says_another_machine_is_refused_whatever_its_key(tmp_path: Path, pki: Pki) -> None:
    member = Member(tmp_path, pki)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Pki, "machine_key", lambda *_: member.key)
        sealed = seal(member.task(member.step(member.say("done"))), "w-prod-9", STAMP, pki)
    member.mailbox.write_bytes(sealed.content)
    refuse(member)


def test_one_that_is_done_is_not_done_again_whoever_sends_it(member: Member) -> None:
    first = member.give(member.task(member.step(member.say("first"))))
    member.tasks().look()
    second = member.give(member.task(member.step(member.say("second"))))
    member.tasks().look()
    member.mailbox.write_bytes(first.content)
    member.tasks().look()
    assert member.said == ["first", "second"]
    assert outcome(member, second) == "done"


def test_who_signs_may_not_sign_for_longer_than_he_may(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer's key that was stolen is of use for a day."""
    monkeypatch.setattr(sealing, "LATE", 2 * 24 * HOUR)
    member.give(member.task(member.step(member.say("done"))))
    refuse(member)


def test_a_mailbox_without_end_is_not_read_to_its_end(member: Member) -> None:
    member.program("receive", "exec cat /dev/zero")
    begun = time.monotonic()
    refuse(member)
    assert time.monotonic() - begun < 30


def test_what_unpacks_to_more_than_a_machine_takes_is_refused(member: Member) -> None:
    member.give(member.task(member.step(f"# {'x' * (opening.LARGEST + 1)}\n{member.say('done')}")))
    refuse(member)


@pytest.mark.parametrize("script", ["exit 1", "echo half; exit 1", "kill -9 $$"])
def test_a_mailbox_that_cannot_be_asked_is_asked_again(member: Member, script: str) -> None:
    member.program("receive", script)
    refuse(member)


def test_what_is_refused_is_looked_at_once(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    honest = opening.unseal
    monkeypatch.setattr(opening, "unseal", lambda *them: asked.append(them[0]) or honest(*them))
    member.mailbox.write_bytes(b"junk")
    tasks = member.tasks()
    tasks.look()
    tasks.look()
    assert asked == [b"junk"]


def test_what_is_not_signed_is_never_decrypted(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    honest = opening._openssl
    monkeypatch.setattr(opening, "_openssl", lambda *them, **more: asked.append(them[0]) or honest(*them, **more))
    content = member.give(member.task(member.step(member.say("done")))).content
    member.mailbox.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refuse(member)
    assert asked == ["cms"]


def test_an_answer_without_the_machines_code_is_nothing_heard(member: Member, pki: Pki) -> None:
    given = member.give(member.task(member.step("exit 1")))
    member.tasks().look()
    said = json.loads(member.heard.task)
    others = pki.machine_key("an-id", "w-prod-2", "5f0c")
    forgeries = [
        {**said, "state": "done"},
        {**said, "error": ""},
        {**said, "mac": "0" * 64},
        {**said, "mac": ""},
        {**said, "mac": None},
        {**said, "mac": "ü" * 64},
        {name: value for name, value in said.items() if name != "mac"},
        {**said, "id": "another"},
    ]
    for forged in forgeries:
        assert read_answer(replace(member.heard, task=json.dumps(forged)), member.key) is None
    assert read_answer(member.heard, others) is None
    assert outcome(member, given) == "failed"


@pytest.mark.parametrize("text", ["", "[]", "7", "null", '"x"', "{", "[" * 10**5, '{"mac": []}'])
def test_whatever_else_is_published_is_no_answer(member: Member, text: str) -> None:
    assert read_answer(replace(member.heard, task=text), member.key) is None
