"""Who else is on a machine while it does what it was given: an account of no rights, and the root of a container."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.member import Member

from kube_provision_core import File
from kube_provision_core.boot.tasks import read_answer
from kube_provision_core.folder.pki import create_pki

SECRET = "hush-4pV9tQ2mXw"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
CONTAINED = (*NOBODY, "unshare", "--user", "--map-root-user")
"""Who believes to be root, as a process of a container does."""
SPY = """\
for process in /proc/[0-9]*; do tr '\\0' ' ' <$process/cmdline; tr '\\0' ' ' <$process/environ; done
find "$1" -type f -exec cat {} +; find "$1" -ls
"""


@pytest.fixture
def member() -> Iterator[Member]:
    """In a folder that everybody may enter, as `/` is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Member(Path(folder), create_pki("prod"))


@pytest.mark.parametrize("who", [NOBODY, CONTAINED], ids=["account", "container"])
def test_nobody_else_on_the_machine_learns_anything(member: Member, who: tuple[str, ...]) -> None:
    """From the moment when it is opened to the one when it is done, as often as they can look."""
    waits = f"# {SECRET}\nuntil test -e {member.root}/go-on; do sleep 0.1; done\n"
    file = File("/srv/given", SECRET, mode=0o600, secret=True)
    given = member.give(member.task(member.step(waits), files=[file]))
    machine, seen = member.start(), ""
    looks, until = 0, time.monotonic() + 60
    while looks < 5 and time.monotonic() < until:
        done = subprocess.run([*who, "sh", "-c", SPY, "sh", member.root], capture_output=True, text=True, errors="replace")
        seen += done.stdout + done.stderr
        looks += (member.root / "srv/given").exists()
    (member.root / "go-on").touch()
    assert machine.wait(60) == 0
    assert "Permission denied" in seen, "they have not looked"
    assert "machine.key" in seen, "they have not come near it"
    assert "openssl" in seen or looks, "they have come too late"
    assert SECRET not in seen
    assert given.key not in seen
    answer = read_answer(member.heard, member.key)
    assert answer
    assert (answer.id, answer.status.finished) == (given.id, True)


@pytest.mark.parametrize("who", [NOBODY, CONTAINED], ids=["account", "container"])
def test_who_may_write_to_the_mailbox_and_publish_changes_nothing(member: Member, who: tuple[str, ...]) -> None:
    """As any process of a guest may on VMware: it copies, cuts, repeats, and answers in the machine's name."""
    given = member.give(member.task(member.step(member.say("done"))))
    member.tasks().look()
    heard = member.root / "heard"
    for file in (member.mailbox, heard):
        os.chown(file, 65534, 65534)
    for forged in ("head -c 700", "cat", "tac", "sed s/e/f/"):
        script = f'{forged} "$1"'
        content = subprocess.run([*who, "sh", "-c", script, "sh", member.mailbox], capture_output=True, check=True).stdout
        subprocess.run([*who, "sh", "-c", 'cat >"$1"', "sh", member.mailbox], input=content, check=True)
        before = member.statuses
        member.tasks().look()
        assert member.statuses == before
        member.mailbox.write_bytes(given.content)
    assert member.said == ["done"]
    lie = 'grep -o \'{.*\' "$1" | tail -1 | sed "s/running/done/; s/failed/done/; s/renew/other/" >>"$1"'
    subprocess.run([*who, "sh", "-c", lie, "sh", heard], check=True)
    assert read_answer(member.heard, member.key) is None
