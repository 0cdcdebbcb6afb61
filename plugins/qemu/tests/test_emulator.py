"""Finding QEMU, and finding out what it can do; programs that only pretend stand in for broken ones."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kube_provision_core import TargetError
from kube_provision_qemu import accelerator, emulator, kvm
from kube_provision_qemu.boards import BOARDS
from kube_provision_qemu.driver import Qemu

HERE = accelerator.host_architecture()


def program(folder: Path, script: str, name: str = f"qemu-system-{HERE}") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def version(number: str) -> str:
    return f'[ "$1" != --version ] || {{ echo "QEMU emulator version {number} (Debian)"; exit 0; }}'


def test_the_installed_qemu_is_found() -> None:
    found = emulator.find(None, "tcg")
    assert found.binary.name == f"qemu-system-{HERE}"
    assert found.image_tool.name == "qemu-img"
    assert found.version >= (7, 2)
    assert (found.architecture, found.accelerator) == (HERE, "tcg")


def test_no_qemu_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match=r"qemu-system-\w+ is not installed \(Debian: apt install .* brew install"):
        emulator.find(None, "auto")


def test_no_qemu_img_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = program(tmp_path, version("9.1.0"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError, match="qemu-img is not installed, neither beside"):
        emulator.find(str(binary), "auto")


@pytest.mark.parametrize("number", ["4.2.1", "6.2.0", "7.1.91"])
def test_a_qemu_that_is_too_old_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(TargetError, match=r"is QEMU \d\.\d; 7\.2 or later is needed"):
        emulator.find(str(program(tmp_path, version(number))), "auto")


@pytest.mark.parametrize("number", ["7.2.22", "8.0.0", "10.1.2"])
def test_a_qemu_that_is_new_enough_is_taken(tmp_path: Path, number: str) -> None:
    assert emulator.find(str(program(tmp_path, version(number))), "tcg").version >= (7, 2)


def test_a_program_that_is_no_qemu_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="does not say which version of QEMU it is"):
        emulator.find(str(program(tmp_path, "exit 0")), "auto")


def test_an_architecture_without_a_machine_of_ours_is_refused(tmp_path: Path) -> None:
    binary = program(tmp_path, version("9.0.0"), "qemu-system-sparc")
    with pytest.raises(TargetError, match="architecture sparc are not supported; x86_64 and aarch64 are"):
        emulator.find(str(binary), "auto")


def test_the_probe_gets_through_where_a_processor_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain emulation runs the ROM as hardware does; there is no other accelerator that every host has."""
    emulated = BOARDS[HERE].processor("tcg", (7, 2))
    monkeypatch.setattr(accelerator, "PROCESSOR", emulated)
    assert accelerator.problem(emulator.find(None, "tcg").binary, HERE, "tcg") == ""


def test_an_accelerator_that_hangs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "TIMEOUT", 0.3)
    binary = program(tmp_path, f"{version('9.0.0')}\nexec sleep 60")
    assert emulator.find(str(binary), "auto").accelerator == "tcg"


def test_an_accelerator_that_is_denied_is_passed_over(tmp_path: Path) -> None:
    binary = program(tmp_path, f"{version('9.0.0')}\necho 'could not access KVM: Permission denied' >&2; exit 1")
    assert emulator.find(str(binary), "auto").accelerator == "tcg"


def test_emulation_that_nobody_asked_for_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = emulator.find(str(program(tmp_path, f"{version('9.0.0')}\necho 'kvm: out of luck' >&2; exit 1")), "auto")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: found.accelerator, range(4))) == ["tcg"] * 4
    (line,) = caplog.messages
    assert line.startswith("machines are emulated, and many times slower: ")
    assert f" does not work here: kvm: out of luck. {kvm.advice(kvm.look())}; " in line
    assert line.endswith("qemu_accelerator: tcg accepts that")


def test_emulation_that_was_asked_for_is_not_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert emulator.find(str(program(tmp_path, f"{version('9.0.0')}\nexit 1")), "tcg").accelerator == "tcg"
    assert caplog.messages == []


def test_an_accelerator_that_works_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done = accelerator.PROBES[HERE].exit_code
    found = emulator.find(str(program(tmp_path, f"{version('9.0.0')}\nexit {done}")), "auto")
    assert found.accelerator in ("kvm", "hvf")
    assert caplog.messages == []


def test_an_accelerator_that_was_asked_for_and_does_not_work_is_refused(tmp_path: Path) -> None:
    binary = program(tmp_path, f"{version('9.0.0')}\necho 'could not access KVM: Permission denied' >&2; exit 1")
    with pytest.raises(TargetError, match=r"qemu_accelerator: kvm does not work here: .*denied.* auto, or to tcg"):
        _ = emulator.find(str(binary), "kvm").accelerator


def test_another_architecture_is_emulated(tmp_path: Path) -> None:
    other = next(name for name in BOARDS if name != HERE)
    done = accelerator.PROBES[other].exit_code
    binary = program(tmp_path, f"{version('9.0.0')}\nexit {done}", f"qemu-system-{other}")
    assert emulator.find(str(binary), "auto").accelerator == "tcg"


def test_old_versions_emulate_a_processor_that_they_emulate_well() -> None:
    assert BOARDS["x86_64"].processor("tcg", (7, 2)) == "Nehalem,-cx16"
    assert BOARDS["x86_64"].processor("tcg", (8, 0)) == "max"
    assert BOARDS["x86_64"].processor("kvm", (7, 2)) == "host"


def test_an_emulated_machine_may_boot_for_longer(make_driver: Callable[..., Qemu], tmp_path: Path) -> None:
    done = accelerator.PROBES[HERE].exit_code
    binary = str(program(tmp_path, f"{version('9.0.0')}\nexit {done}"))
    emulated, usual = (make_driver(qemu_binary=binary, qemu_accelerator=wanted) for wanted in ("tcg", "auto"))
    assert emulated.boot_timeout > usual.boot_timeout
