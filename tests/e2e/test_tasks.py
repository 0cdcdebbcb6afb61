"""Tasks on whole hosts, Debian 13 and 12: done, told, cut off by the power, and out of everybody else's reach."""

from __future__ import annotations

import base64
import io
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from machines.lab import Lab, until
from machines.nspawn import Host

from kube_provision_core import REBOOT_REQUIRED, BootFragment, File, Machine, Node, NodeStatus, Role, Stage, Stamp, Step
from kube_provision_core.boot.tasks import Answer, Sealed, make, read_answer, seal
from kube_provision_core.boot.tasks.upgrade import system

WORKERS = ("w-prod-1", "w-prod-2")
LIMIT = 60.0
SECRET = "hush-4pV9tQ2mXw"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
CONTAINED = (*NOBODY, "unshare", "--user", "--map-root-user")
"""Who believes to be root, as a process of a container does."""
AT_WORK = f"# {SECRET}\necho 'now: waits for the test'\nuntil test -e /run/go-on; do sleep 0.1; done\necho x >>/run/worked\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), bookworm={"w-prod-2"}) as lab:
        run = lab.provision("--wait", masters=1, workers=2)
        assert run.code == 0, run.errors
        yield lab


def stamp_of(lab: Lab, name: str) -> tuple[str, Stamp]:
    return next((it.id, it.stamp) for it in lab.hypervisor.records() if it.name == name)


def sealed_for(lab: Lab, name: str, script: str) -> Sealed:
    _, stamp = stamp_of(lab, name)
    node = Node(name, Role(stamp.role), 1, Machine(1, 1), stamp)
    steps = (Step("one", Stage.FINISH, script, timeout=120, attempts=1),)
    files = (File("/srv/given", SECRET, mode=0o600, secret=True),)
    return seal(make("try", node, {"test": BootFragment(files=files, steps=steps)}), name, stamp, lab.secrets.pki)


def upgrade_of_the_system(lab: Lab, name: str) -> Sealed:
    """With a step in place of the driver's that wants a reboot."""
    _, stamp = stamp_of(lab, name)
    version = lab.hosts[name].run("kubelet", "--version").strip().removeprefix("Kubernetes v")
    packages = Step("packages", Stage.INSTALL, f"echo upgraded >>/srv/upgraded\ntouch {REBOOT_REQUIRED}\n", timeout=60)
    task = system(Node(name, Role(stamp.role), 1, Machine(1, 1), stamp), version, (packages,))
    return seal(task, name, stamp, lab.secrets.pki)


def deliver(lab: Lab, name: str, content: bytes | None) -> None:
    lab.hypervisor.deliver(*stamp_of(lab, name), content)


def give(lab: Lab, name: str, script: str) -> Sealed:
    given = sealed_for(lab, name, script)
    deliver(lab, name, given.content)
    return given


def answer(lab: Lab, name: str, given: Sealed) -> Answer | None:
    said = next(it.status for it in lab.hypervisor.records() if it.name == name)
    found = read_answer(NodeStatus.parse(said), given.key)
    return found if found and found.id == given.id else None


def state(lab: Lab, name: str, given: Sealed) -> str:
    found = answer(lab, name, given)
    return found.status.state if found else ""


def await_state(lab: Lab, name: str, given: Sealed, wanted: str) -> None:
    until(lambda: state(lab, name, given) == wanted, LIMIT, f"{name} tells {wanted}: {lab.hosts[name].journal(lines=15)}")


def saw(host: Host, who: tuple[str, ...], script: str) -> str:
    """All that somebody finds."""
    with suppress(RuntimeError):
        return host.run(*who, "sh", "-c", f"{script} 2>&1; true")
    return ""


@pytest.mark.parametrize("name", WORKERS)
def test_it_is_done_and_answered_beside_the_boots_own_word(lab: Lab, name: str) -> None:
    given = give(lab, name, "cat /srv/given >/run/seen")
    await_state(lab, name, given, "done")
    deliver(lab, name, None)
    assert lab.hosts[name].run("cat", "/run/seen") == SECRET
    assert lab.stages()[name] == "finish done"


@pytest.mark.parametrize("name", WORKERS)
def test_a_power_cut_goes_on_there(lab: Lab, name: str) -> None:
    host = lab.hosts[name]
    given = give(lab, name, "if mkdir /srv/cut; then sleep 100; fi")
    await_state(lab, name, given, "running")
    until(lambda: host.succeeds("test", "-d", "/srv/cut"), LIMIT, "the step runs")
    host.kill()
    deliver(lab, name, None)  # what was taken needs the target no more
    lab.hypervisor.start(name)
    await_state(lab, name, given, "done")


@pytest.mark.parametrize("name", [*WORKERS, "m-prod-1"])
def test_an_upgrade_of_the_system_reboots_once_and_goes_on_after_it(lab: Lab, name: str) -> None:
    host = lab.hosts[name]
    before = host.run("cat", "/proc/sys/kernel/random/boot_id")
    given = upgrade_of_the_system(lab, name)
    deliver(lab, name, given.content)
    until(lambda: state(lab, name, given) == "done", 4 * LIMIT, f"{name} is done: {host.journal(lines=15)}")
    assert host.run("cat", "/proc/sys/kernel/random/boot_id") != before
    assert host.run("cat", "/srv/upgraded").split() == ["upgraded"]
    assert host.succeeds("systemctl", "is-active", "kubelet.service")
    assert not host.succeeds("test", "-e", REBOOT_REQUIRED)
    deliver(lab, name, None)


@pytest.mark.parametrize("name", WORKERS)
def test_an_operator_has_a_program_run_and_reads_a_journal(lab: Lab, name: str) -> None:
    script = "hostname; id --user; echo 'this went wrong' >&2; exit 7"
    done = subprocess.run(
        [*lab.command("exec", name), "--", "sh", "-c", script],
        env=lab.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * LIMIT,
        check=False,
    )
    assert (done.returncode, done.stdout.split("\n")) == (7, [name, "0", "this went wrong", ""]), done.stderr
    journal = lab.run("logs", name, "kubelet.service", "--lines", "5", limit=4 * LIMIT)
    assert journal.code == 0, journal.errors
    lines = journal.output.splitlines()
    assert 0 < len(lines) <= 5
    assert all(f" {name} " in line for line in lines), lines
    assert [it.task for it in lab.hypervisor.records() if it.name == name] == [b""]


def test_a_bundle_tells_of_every_machine_and_no_secret(lab: Lab, tmp_path: Path) -> None:
    """Also of those that a unit of ours has written into the journal of each."""
    key, leak = "/etc/kube-provision/machine.key", "kube-provision-leak"
    for name in ("m-prod-1", *WORKERS):
        script = f"cat {key}; base64 {key}; base64 --wrap 0 {key}; cat /etc/kubernetes/pki/*.key; echo leaked; true"
        lab.hosts[name].run("systemd-run", "--wait", f"--unit={leak}", "sh", "-c", script)
    path = tmp_path / "it.tar.zst"
    run = lab.run("support-bundle", str(path), limit=10 * LIMIT)
    assert (run.code, run.output.strip()) == (0, str(path)), run.errors
    told = unpacked(path)
    for name in ("m-prod-1", *WORKERS):
        of_it = {file: text for file, text in told.items() if file.startswith(f"prod-support/machines/{name}/")}
        assert "leaked\n" in of_it[f"prod-support/machines/{name}/kube-provision.txt"]
        assert "(secret)" in of_it[f"prod-support/machines/{name}/kube-provision.txt"]
        assert "kubelet" in of_it[f"prod-support/machines/{name}/kubelet.txt"], run.errors
        assert "PRETTY_NAME" in of_it[f"prod-support/machines/{name}/system.txt"]
        secret = lab.hosts[name].run("cat", key).strip()
        assert secret not in "".join(told.values())
        assert base64.b64encode(secret.encode()).decode()[:76] not in "".join(told.values())
    assert "BEGIN RSA PRIVATE KEY" not in "".join(told.values())
    keys = lab.hosts["m-prod-1"].run("sh", "-c", "cat /etc/kubernetes/pki/*.key").splitlines()
    assert [line for line in keys if "--" not in line and line in "".join(told.values())] == []
    assert name in told["prod-support/cluster/nodes.json"]
    assert all(it.task == b"" for it in lab.hypervisor.records())


def unpacked(path: Path) -> dict[str, str]:
    content = zstandard.ZstdDecompressor().decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {member.name: file.read().decode() for member in archive if (file := archive.extractfile(member))}


def test_an_operator_follows_a_journal_until_that_is_interrupted(lab: Lab, tmp_path: Path) -> None:
    name, unit, told = "w-prod-1", "kube-provision-chat", tmp_path / "told"
    lab.hosts[name].run("systemd-run", "--wait", f"--unit={unit}", "echo", "one")
    with told.open("wb") as out, (tmp_path / "errors").open("wb") as errors:
        following = subprocess.Popen(
            [*lab.command("logs", name, f"{unit}.service"), "--follow"], env=lab.environment, stdout=out, stderr=errors
        )
    try:
        until(lambda: ": one\n" in told.read_text(), 4 * LIMIT, "what was there is told")
        lab.hosts[name].run("systemd-run", "--wait", f"--unit={unit}", "echo", "two")
        until(lambda: ": two\n" in told.read_text(), 4 * LIMIT, "what has come is told")
        following.send_signal(signal.SIGINT)
        assert following.wait(4 * LIMIT) == 130, (tmp_path / "errors").read_text()
    finally:
        following.kill()
        following.wait()
    assert told.read_text().count(": one\n") == 1
    assert [it.task for it in lab.hypervisor.records() if it.name == name] == [b""]


def test_a_machine_that_is_off_finds_it_when_it_is_back(lab: Lab) -> None:
    lab.hosts["w-prod-1"].kill()
    given = give(lab, "w-prod-1", "true")
    lab.hypervisor.start("w-prod-1")
    await_state(lab, "w-prod-1", given, "done")


@pytest.mark.parametrize("who", [NOBODY, CONTAINED], ids=["user", "container"])
@pytest.mark.parametrize("name", WORKERS)
def test_nobody_else_on_the_machine_learns_anything(lab: Lab, name: str, who: tuple[str, ...]) -> None:
    host = lab.hosts[name]
    host.run("rm", "-f", "/run/go-on")
    given = give(lab, name, AT_WORK)
    await_state(lab, name, given, "running")
    places = "/etc/kube-provision/machine.key /srv/given /var/lib/kube-provision /run/kube-provision /tmp"
    found = saw(host, who, f"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '; grep -r . {places}")
    assert "Permission denied" in found
    assert SECRET not in found
    assert given.key not in found
    assert "echo x" not in found
    host.run("touch", "/run/go-on")
    await_state(lab, name, given, "done")


@pytest.mark.parametrize("name", WORKERS)
def test_what_others_put_there_changes_nothing(lab: Lab, name: str) -> None:
    """Noise, what was done already, and what is meant for the other machine."""
    other = next(it for it in WORKERS if it != name)
    given = give(lab, name, "echo x >>/run/once")
    await_state(lab, name, given, "done")
    host, told = lab.hosts[name], lab.hosts[name].read_channel("status.json")
    for forged in (b"noise", sealed_for(lab, other, "touch /run/forged").content, given.content, given.content[:-1]):
        deliver(lab, name, forged)
        before = host.run("sh", "-c", "journalctl --unit kube-provision-tasks | wc -l")
        looked = ("sh", "-c", f"test $(journalctl --unit kube-provision-tasks | wc -l) != {before.strip()}")
        until(lambda looked=looked: host.succeeds(*looked), LIMIT, "it has looked")
    deliver(lab, name, None)
    assert host.read_channel("status.json") == told
    assert host.run("cat", "/run/once").split() == ["x"]
    assert not host.succeeds("test", "-e", "/run/forged")
