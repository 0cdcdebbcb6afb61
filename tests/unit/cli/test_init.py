"""`init`: asked at a terminal, and answered beforehand; what it writes is what `validate` takes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from doubles.terminal import CTRL_C, typed

from kube_provision_core.config import Config, load
from kube_provision_core.contract.machines import Role
from kube_provision_core.folder.x509 import create_authority

CONFIG = Path("config.yml")
PASSWORD = "geheim-4711"
LAST = [("consul_ip", ""), ("pod_subnet", "")]
SAID: Mapping[str, Sequence[tuple[str, str]]] = {
    "vsphere": [
        ("target", "vsphere"),
        ("os", "ubuntu"),
        ("vcenter_hostname", "127.0.0.1:9"),
        ("vcenter_username", "me@vsphere.local"),
        ("template", "ubuntu-24.04"),
        ("vcenter_ca_file", ""),
        ("network", "kubernetes"),
        ("name", "prod"),
        ("masters [3]", ""),
        ("workers [3]", "5"),
        ("consul_ip", "10.200.200.1"),
        ("pod_subnet", ""),
    ],
    "qemu": [
        ("target", "qemu"),
        ("os", "debian"),
        ("template", "debian-13.qcow2"),
        ("bake_from", "debian-13"),
        ("name", "home"),
        ("masters [1]", ""),
        ("workers [1]", "2"),
        *LAST,
    ],
    "vmware-fusion": [
        ("target", "vmware-fusion"),
        ("os", "ubuntu"),
        ("template", "base.vmwarevm/base.vmx"),
        ("vm_dir", "."),
        ("name", "home"),
        ("masters [1]", "3"),
        ("workers [1]", "0"),
        *LAST,
    ],
}
"""What is asked, and what is typed, by target."""
VARIABLES = {
    "SSH_KEY": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHxzN me@home",
    "CONSUL_TOKEN": PASSWORD,
    "CONSUL_ENCRYPT": "MDEyMzQ1Njc4OWFiY2RlZg==",
}
"""What comments name in the place of values."""
ADDED = {
    "bake_from": "base.vmwarevm/base.vmx",
    "bake_ip": "10.0.0.9/24",
    "consul_bind_interface": "eth1",
    "consul_ca_file": "site-ca.pem",
    "consul_version": "1.22",
    "firmware": "efi",
    "folder": "k8s",
    "qemu_binary": "/usr/bin/qemu-system-x86_64",
    "qemu_firmware": "site-ca.pem",
    "resource_pool": "k8s",
    "snapshot": "first",
    "static_ip": "{addresses: [10.0.0.11/24]}",
    "storage_policy": "Gold",
    "vcenter_thumbprint": "ab" * 32,
    "vm_dir": "machines",
    "vmrun": "/usr/bin/vmrun",
    "wait_for_ip_address_subnet": "10.0.0.0/24",
}
"""What may be added where nobody can give an example."""
HYPERVISOR = {
    "vsphere": "127.0.0.1:9",
    "qemu": "debian-13.qcow2",
    "vmware-fusion": "vmrun",
}
"""What a plan lacks here, as its target tells it."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path.with_name("state")))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path.with_name("data")))
    monkeypatch.setenv("VCENTER_PASSWORD", PASSWORD)
    return tmp_path


def written(name: str = "config.yml") -> Config:
    return load([Path(name)], environ=os.environ)


def sizes(config: Config) -> dict[str, tuple[int, int]]:
    return {role.value: (core.cpu, core.mem) for role, core in config.by_role.items()}


def flags(target: str) -> list[str]:
    """The same, given beforehand; the hint of a question is no part of its key."""
    given = [(key.split()[0], answer) for key, answer in SAID[target] if answer]
    return ["--yes", *(word for key, answer in given for word in ("-e", f"{key}={answer}"))]


class TestAtATerminal:
    @pytest.mark.parametrize("target", SAID)
    def test_what_is_said_is_written_and_taken(self, target: str, run) -> None:
        code, seen = typed("init", answers=SAID[target])
        assert code == 0, seen
        assert str(CONFIG.absolute()) in seen
        assert PASSWORD not in seen + CONFIG.read_text()
        config = written()
        told = {key.split()[0]: answer for key, answer in SAID[target] if answer}
        assert (config.core.name, config.core.target, config.core.os) == (told["name"], target, told["os"])
        for key in told.keys() - {"template", "vm_dir", "consul_ip"}:
            assert re.search(rf"^{key}: .*{re.escape(told[key])}", CONFIG.read_text(), re.MULTILINE)
        assert run("validate", "--config", CONFIG).code == 0

    @pytest.mark.parametrize("target", SAID)
    def test_it_is_planned_as_far_as_a_hypervisor_is_not_needed(self, target: str, run) -> None:
        assert run("init", *flags(target)).code == 0
        ran = run("plan", "--config", CONFIG)
        assert ran.code in (2, 3), ran.err
        assert HYPERVISOR[target] in ran.err

    def test_whole_plans_come_of_it_where_the_target_is_there(self, world, run) -> None:
        CONFIG.unlink()
        answers = [("target", "memory"), ("os", "plain"), ("name", "prod"), ("masters", "1"), ("workers", "2"), LAST[1]]
        code, seen = typed("init", "-e", "discovery=table", answers=answers)
        assert code == 0, seen
        ran = run("plan", "--config", CONFIG)
        assert (ran.code, ran.out.count("create")) == (0, 4), ran.err

    def test_what_does_not_fit_is_told_and_asked_again(self) -> None:
        answers = [("target", "qemuu"), ("nearest: qemu", "qemu"), *SAID["qemu"][1:4]]
        answers += [("name", "Prod_1"), ("name: must", "home"), ("masters", "many"), ("a whole number", "3")]
        code, seen = typed("init", answers=[*answers, *SAID["qemu"][6:]])
        assert (code, written().core.masters) == (0, 3), seen

    def test_what_has_to_be_said_is_asked_until_it_is(self) -> None:
        answers = [SAID["qemu"][0], SAID["qemu"][1], ("template", ""), ("template", "x.qcow2"), *SAID["qemu"][3:]]
        code, seen = typed("init", answers=answers)
        assert code == 0, seen

    def test_answers_that_do_not_go_together_are_asked_for_again_with_what_was_said(self) -> None:
        once = [*SAID["qemu"][:-1], ("pod_subnet", "10.96.0.0/16")]
        again = [(key, "") for key in ("once more", "[debian]", "template [debian-13.qcow2]", "bake_from [debian-13]")]
        again += [
            ("name [home]", ""),
            ("masters [1]", ""),
            ("workers [2]", "3"),
            ("consul_ip", ""),
            ("pod_subnet", "10.9.0.0/16"),
        ]
        code, seen = typed("init", answers=[*once, *again])
        assert code == 0, seen
        assert (written().core.workers, str(written().core.pod_subnet)) == (3, "10.9.0.0/16")

    @pytest.mark.parametrize(("ends", "code"), [(CTRL_C, 130), ("\x04", 130)], ids=["Ctrl-C", "Ctrl-D"])
    def test_who_leaves_has_written_nothing(self, ends: str, code: int, folder: Path) -> None:
        left, seen = typed("init", answers=[*SAID["qemu"][:3], ("bake_from", ends)])
        assert (left, list(folder.iterdir())) == (code, []), seen

    def test_what_is_given_is_not_asked(self) -> None:
        code, seen = typed(
            "init", "--target", "qemu", "-n", "home", "-e", "bake_from=", answers=SAID["qemu"][1:3] + SAID["qemu"][5:]
        )
        assert code == 0, seen
        assert written().driver("target").config[Role.MASTER].bake_from is None  # type: ignore[attr-defined]


class TestWithoutATerminal:
    @pytest.mark.parametrize("target", SAID)
    def test_what_is_given_makes_the_same_file(self, target: str, run, folder: Path) -> None:
        ran = run("init", "given.yml", *flags(target))
        assert (ran.code, ran.out) == (0, f"{folder}/given.yml\n"), ran.err
        assert typed("init", answers=SAID[target])[0] == 0
        assert Path("given.yml").read_text() == CONFIG.read_text()
        assert Path("given.yml").stat().st_mode & 0o777 == 0o600

    def test_everything_that_is_missing_is_told_and_nothing_is_left(self, run, folder: Path) -> None:
        ran = run("init", "--target", "vsphere")
        assert (ran.code, ran.out, list(folder.iterdir())) == (2, "", [])
        told = [line.partition(" is missing, and nobody is asked: ") for line in ran.err.splitlines()]
        missing = ["os", "vcenter_hostname", "vcenter_username", "template", "name"]
        assert [who.removeprefix("kube-provision: ") for who, _, _ in told] == missing
        assert "Give --os NAME (installed: almalinux, centos, debian, rocky, ubuntu)" in told[0][2]
        assert told[1][2].endswith("Give -e vcenter_hostname=…")

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (["-e", f"vcenter_password={PASSWORD}"], "vcenter_password: is a secret, and is not written"),
            (["-e", "vcenter_hostnam=x"], "vcenter_hostnam: unknown key vcenter_hostnam; did you mean vcenter_hostname?"),
            (["-e", "cpu=none"], "cpu: must be a whole number"),
            (["-e", "network=a\nb"], "network: one line of printable text is meant"),
            (["-e", "network=\udcff"], "network: one line of printable text is meant"),
            (["-e", "masters="], "masters: say how many, such as 3"),
            (["-e", "workers= "], "workers: say how many, such as 3"),
            (["-e", "network"], "-e takes KEY=VALUE here"),
            (["-e", "vcenter_ca_file=none.pem"], "vcenter_ca_file: there is no file"),
            (["-e", "pod_subnet=10.96.0.0/16"], "pod_subnet"),
            (["--target", "moon"], "no target driver 'moon' is installed"),
            (["-e", "discovery=moon"], "no discovery driver 'moon' is installed"),
        ],
    )
    def test_what_cannot_be_is_a_line_and_nothing_is_left(self, given, says: str, run, folder: Path) -> None:
        ran = run("init", *flags("vsphere"), *given)
        assert (ran.code, ran.out, list(folder.iterdir())) == (2, "", [])
        assert says in ran.line
        assert PASSWORD not in ran.err

    @pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
    def test_what_is_there_stays(self, make: Callable[[Path], object], run) -> None:
        make(CONFIG)
        before = (CONFIG.lstat().st_ino, CONFIG.lstat().st_mtime_ns, CONFIG.lstat().st_size)
        ran = run("init", *flags("qemu"))
        assert (ran.code, (CONFIG.lstat().st_ino, CONFIG.lstat().st_mtime_ns, CONFIG.lstat().st_size)) == (2, before)

    def test_a_folder_that_is_not_there_is_told_before_anything_is_asked(self) -> None:
        code, seen = typed("init", "none/config.yml", answers=[])
        assert (code, "cannot be written there: No such file or directory" in seen) == (2, True)


class TestTheFile:
    def test_the_discovery_machine_stands_in_it_where_there_is_one(self, run) -> None:
        run("init", "own.yml", *flags("qemu"))
        assert sizes(written("own.yml")) == {"master": (2, 3), "worker": (2, 2), "discovery": (1, 1)}
        run("init", "other.yml", *flags("vsphere"))
        assert sizes(written("other.yml")) == {"master": (2, 4), "worker": (4, 8), "discovery": (1, 2)}
        assert re.findall(r"^consul: ", Path("own.yml").read_text() + Path("other.yml").read_text(), re.MULTILINE) == [
            "consul: "
        ]

    def test_sections_stay_as_they_are_given(self, run) -> None:
        run("init", *flags("qemu"), "-e", "masters={count: 3, cpu: 8}", "-e", "consul={mem: 4}")
        assert written().core.masters == 3
        assert sizes(written()) == {"master": (8, 4), "worker": (2, 2), "discovery": (1, 4)}

    def test_another_name_for_a_key_is_the_key(self, run) -> None:
        run("init", *flags("vsphere"), "-e", "region=Berlin")
        assert re.findall(r"^(?:# )?(?:region|datacenter): .*", CONFIG.read_text(), re.MULTILINE) == ["datacenter: Berlin"]

    @pytest.mark.parametrize("text", ["a: b", "a #b", "'quoted", "- x", "1.30", "yes", "ü*", "[a]", "{a}", "null"])
    def test_text_stays_the_text_that_was_said(self, text: str, run) -> None:
        assert run("init", *flags("vsphere"), "-e", f"template={text}").code == 0
        assert written().driver("target").config[Role.MASTER].template == text  # type: ignore[attr-defined]

    @pytest.mark.parametrize("target", SAID)
    def test_what_it_shows_as_a_comment_may_be_added(self, target: str, run, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each by itself: some exclude each other."""
        assert run("init", *flags(target)).code == 0
        text = CONFIG.read_text()
        for variable, value in VARIABLES.items():
            monkeypatch.setenv(variable, value)
        for name in ("vcenter-ca.pem", "site-ca.pem"):
            Path(name).write_text(create_authority("site", "example").certificate.decode())
        shown = re.findall(r"^# ((\w+): .+)$", text, re.MULTILINE)
        assert len(shown) > 8
        for line, key in shown:
            added = f"{key}: {ADDED[key]}" if line.endswith("…") else line
            CONFIG.write_text(text.replace(f"# {line}\n", f"{added}\n"))
            assert run("validate", "--config", CONFIG).code == 0, added

    def test_what_is_for_an_existing_consul_is_shown_beside_one_alone(self, run) -> None:
        run("init", "own.yml", *flags("qemu"))
        Path("site-ca.pem").write_bytes(create_authority("site", "example").certificate)
        done = run("init", "other.yml", *flags("vsphere"), "-e", "consul_ca_file=site-ca.pem")
        assert done.code == 0, done.err
        shown = [re.findall(r"^# (consul_\w+): ", Path(name).read_text(), re.MULTILINE) for name in ("own.yml", "other.yml")]
        ours = ["consul_ip", "consul_bind_interface", "consul_version", "consul_datacenter"]
        assert shown == [
            ours,
            ["consul_client_cert_file", "consul_tls_server_name", *ours[1:], "consul_token", "consul_encrypt"],
        ]

    def test_every_line_of_it_is_short(self, run) -> None:
        run("init", *flags("vsphere"))
        assert max(map(len, CONFIG.read_text().splitlines())) <= 102
