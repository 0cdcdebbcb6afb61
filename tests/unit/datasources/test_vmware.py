"""Boot data fits into what VMware delivers, or is told with what makes it large."""

from __future__ import annotations

import base64
import gzip
import inspect
import json
import os
import random
import subprocess
from pathlib import Path

import pytest
import yaml
from servers.debian import install

from kube_provision_core import Boot, File, GuestInfo, NoCloudSeed, Stage, TargetError

BOOT = Boot("w-prod-1", "w-prod-1-instance", "#cloud-config\nruncmd: [echo]\n")


def decoded(value: str) -> str:
    return gzip.decompress(base64.b64decode(value)).decode()


def test_boot_data_is_compressed_and_says_so() -> None:
    values = GuestInfo(BOOT).values()
    assert decoded(values["guestinfo.userdata"]) == BOOT.user_data
    assert json.loads(decoded(values["guestinfo.metadata"])) == {
        "instance-id": "w-prod-1-instance",
        "local-hostname": "w-prod-1",
    }
    assert values["guestinfo.userdata.encoding"] == values["guestinfo.metadata.encoding"] == "gzip+base64"


def test_a_network_goes_into_the_metadata() -> None:
    values = GuestInfo(BOOT, {"network": {"version": 2}}).values()
    assert json.loads(decoded(values["guestinfo.metadata"]))["network"] == {"version": 2}


def test_equal_boot_data_is_encoded_equally() -> None:
    assert GuestInfo(BOOT).values() == GuestInfo(BOOT).values()


def test_scrubbed_boot_data_is_an_empty_cloud_config_and_leaves_the_metadata() -> None:
    values = GuestInfo.scrubbed()
    assert set(values) == {"guestinfo.userdata", "guestinfo.userdata.encoding"}
    text = decoded(values["guestinfo.userdata"])
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text) == {}


def test_only_emptied_user_data_counts_as_scrubbed() -> None:
    assert GuestInfo.is_scrubbed(GuestInfo.scrubbed()["guestinfo.userdata"])
    compressed_otherwise = base64.b64encode(gzip.compress(b"#cloud-config\n{}\n", 9, mtime=1)).decode()
    assert GuestInfo.is_scrubbed(compressed_otherwise)
    full = GuestInfo(BOOT).values()["guestinfo.userdata"]
    assert not any(map(GuestInfo.is_scrubbed, (None, "", full, full[:-9], "---", "#cloud-config\n{}\n", "é")))


def test_a_node_empties_its_user_data_before_it_installs_anything(tmp_path: Path) -> None:
    fragment = GuestInfo.node_part("vmware", "#!/bin/sh\n")
    (step,), (unit,) = fragment.steps, fragment.units
    (program,) = [file for file in fragment.files if file.path == step.script]
    assert step.stage is Stage.PREPARE
    assert f"ExecStart={program.path}\n" in unit.content, "what a guest sets may be forgotten with its power"
    assert ran(str(program.content), tmp_path) == [
        "sync",
        "vmtoolsd --cmd info-set guestinfo.userdata " + GuestInfo.scrubbed()["guestinfo.userdata"],
    ]


def ran(script: str, folder: Path) -> list[str]:
    """The commands that a script runs which touch more than itself, in their order."""
    for name in ("sync", "vmtoolsd"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name}${{*:+ $*}}" >>{folder}/ran\n')
        (folder / name).chmod(0o755)
    (folder / "script").write_text(script)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    subprocess.run(["sh", folder / "script"], env=environment, timeout=60, check=True)
    return (folder / "ran").read_text().splitlines()


def test_boot_data_within_the_limit_is_no_problem() -> None:
    assert list(GuestInfo(BOOT).problems("w-prod-1", "VMware")) == []


def test_boot_data_over_the_limit_is_told_with_the_largest_files(noise: str) -> None:
    files = (File("/etc/small", "x"), File("/etc/large", noise), File("/etc/larger", (noise + noise).encode()))
    large = GuestInfo(Boot("w-prod-1", "w-prod-1-instance", "#cloud-config\n" + noise, files))
    (line,) = large.problems("w-prod-1", "VMware")
    size = len(large.values()["guestinfo.userdata"])
    assert f"w-prod-1: boot data (guestinfo.userdata) is {size} bytes when compressed, {size - 65536} more than" in line
    assert "the 65536 that VMware delivers" in line
    assert line.index("/etc/larger") < line.index("/etc/large (") < line.index("/etc/small")


def test_what_only_the_hardest_compression_makes_fit_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(random.Random(3).choices("ab ", (5, 5, 1), k=20_000))
    usual, best = (len(base64.b64encode(gzip.compress(text.encode(), level, mtime=0))) for level in (1, 9))
    assert best < usual
    monkeypatch.setattr(GuestInfo, "LIMIT", best)
    assert list(GuestInfo(Boot("w-prod-1", "w-prod-1-instance", text)).problems("w-prod-1", "VMware")) == []


def test_what_gzip_leaves_too_large_is_squeezed_into_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(inspect.__file__).read_text()
    best = len(base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)))
    monkeypatch.setattr(GuestInfo, "LIMIT", int(0.97 * best))
    large = GuestInfo(Boot("w-prod-1", "w-prod-1-instance", text))
    assert list(large.problems("w-prod-1", "VMware")) == []
    assert gzip.decompress(base64.b64decode(large.values()["guestinfo.userdata"])).decode() == text


def test_secrets_are_not_shown() -> None:
    assert "echo" not in repr(GuestInfo(BOOT))


@pytest.fixture
def noise() -> str:
    """Text that does not compress below the limit."""
    return base64.b64encode(random.Random(7).randbytes(60_000)).decode()


# --- tasks ----------------------------------------------------------------------------------------------------------

TASK = b"sealed \x00\xff\r\n" + bytes(range(256)) + b"\n\n"


@pytest.mark.parametrize("task", [TASK, b"x" * GuestInfo.TASK_LIMIT])
def test_a_task_fits_its_key_and_is_read_back(task: bytes) -> None:
    assert len(GuestInfo.task(task)) <= GuestInfo.LIMIT
    assert GuestInfo.waiting(GuestInfo.task(task)) == task


def test_where_no_task_waits_the_key_is_empty() -> None:
    assert GuestInfo.task(None) == ""
    assert GuestInfo.waiting("") == GuestInfo.waiting(None) == b""


def test_a_task_that_vmware_would_cut_off_is_refused() -> None:
    with pytest.raises(TargetError, match="is larger than the 49152 that VMware carries"):
        GuestInfo.task(b"x" * (GuestInfo.TASK_LIMIT + 1))


def test_what_somebody_has_put_there_is_read_as_something_that_waits() -> None:
    assert GuestInfo.waiting("no base64 at all") == b"no base64 at all"


def received(folder: Path, tool: str) -> subprocess.CompletedProcess[bytes]:
    """What the receiver makes of this guest agent."""
    for name, script in (("vmtoolsd", tool), ("receive", str(GuestInfo.receiver().content))):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)}
    return subprocess.run([folder / "receive"], env=environment, capture_output=True, timeout=60, check=False)


def test_a_receiver_asks_the_guest_agent_for_the_key_and_decodes_it(tmp_path: Path) -> None:
    (tmp_path / "value").write_text(GuestInfo.task(TASK) + "\n")
    done = received(tmp_path, f'#!/bin/sh\n[ "$*" = "--cmd info-get {GuestInfo.TASK}" ] && cat "{tmp_path}/value"\n')
    assert (done.returncode, done.stdout, done.stderr) == (0, TASK, b"")
    assert {path.name for path in tmp_path.iterdir()} == {"vmtoolsd", "receive", "value"}


@pytest.mark.parametrize("tool", ["echo 'No value found' >&2; exit 1", "exit 0", "echo"], ids=["unset", "empty", "blank"])
def test_a_receiver_says_nothing_where_none_waits(tmp_path: Path, tool: str) -> None:
    done = received(tmp_path, f"#!/bin/sh\n{tool}\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("tool", ["echo 'Permission denied' >&2; exit 1", "echo '%%%'"], ids=["refused", "no task"])
def test_a_receiver_tells_trouble(tmp_path: Path, tool: str) -> None:
    done = received(tmp_path, f"#!/bin/sh\n{tool}\n")
    assert done.returncode != 0
    assert done.stderr


def test_the_receivers_are_clean_shell(tmp_path: Path) -> None:
    install("shellcheck")
    for number, file in enumerate((GuestInfo.receiver(), NoCloudSeed.receiver("/dev/disk/by-id/virtio-seed"))):
        script = tmp_path / f"receive-{number}"
        script.write_text(str(file.content))
        subprocess.run(["shellcheck", script], timeout=60, check=True)
