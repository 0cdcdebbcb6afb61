"""What a template is to hold, as a script and as boot data."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import PUBLISHER, Boot, BootFragment, File, Image, Role, Stage, Step, hookimpl
from kube_provision_core.boot.bake_script import file_command, step_command
from kube_provision_core.boot.templating import IMPORTED, render
from kube_provision_core.folder.pki import JoinSecrets

Bake = Callable[..., Image]
Tool = Callable[..., subprocess.CompletedProcess[str]]
STEP = re.compile(r"^step (\w+) (\S+) (\d+) (\d+) <<'(END_OF_FILE_*)'\n(.*?)^\5$", re.MULTILINE | re.DOTALL)
SOURCES = "/etc/cloud/cloud.cfg.d/90-fake.cfg"
EVERYTHING = {
    "http_proxy": "http://proxy:3128",
    "proxy_username": "me",
    "proxy_password": "pass word",
    "image_repository": "registry.example/k8s",
    "image_archives": "https://mirror.example/it's.tar",
    "packages": ["htop"],
    "containers": [{"image": "nginx:1.27", "service": "web"}],
    "package_repositories": {
        "kubernetes": {"url": "http://mirror.example/k8s/", "key": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"},
        "os": {"url": "http://mirror.example/os", "key": "https://mirror.example/key.asc"},
    },
}


class Site:
    """An extension that has something to seal."""

    @hookimpl
    def seal_image(self) -> tuple[Step, ...]:
        return (Step("site", Stage.FINISH, "rm --force /etc/site"),)


class Target:
    """One that has a setting besides its program."""

    @hookimpl
    def render_boot(self) -> BootFragment:
        return BootFragment(files=(File(PUBLISHER, "#!/bin/sh\n", mode=0o755), File(SOURCES, "datasource_list: [Fake]\n")))


def steps(image: Image) -> dict[str, str]:
    """Scripts by the names of their steps, in running order."""
    return {match[2]: match[6] for match in STEP.finditer(image.script)}


@pytest.fixture(params=["plain", "everything", "debian", "centos", "discovery"])
def image(request: pytest.FixtureRequest, bake: Bake) -> Image:
    match request.param:
        case "plain":
            return bake()
        case "everything":
            return bake(*Role, plugins={"site": Site()}, **EVERYTHING)
        case "discovery":
            return bake(Role.DISCOVERY)
    return bake(os=request.param)


def test_shellcheck_has_no_objections(image: Image, tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "bake.sh").write_text(image.script)
    for number, script in enumerate(steps(image).values()):
        (tmp_path / f"step-{number}.sh").write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{script}")
    checked = tool("shellcheck", "--norc", *map(str, sorted(tmp_path.glob("*.sh"))))
    assert checked.returncode == 0, checked.stdout


def test_cloud_init_accepts_the_boot_data(image: Image, tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "user-data").write_text(image.boot.user_data)
    checked = tool("cloud-init", "schema", "--config-file", str(tmp_path / "user-data"))
    assert (checked.returncode, checked.stdout.strip()) == (0, f"Valid cloud-config: {tmp_path}/user-data"), checked.stderr


def test_what_is_installed_is_what_a_machine_installs(bake: Bake, render: Callable[..., Boot], make_node: Any) -> None:
    """The very script: what it finds installed it does not install again."""
    baked = steps(bake(Role.MASTER))["ubuntu/packages"]
    (booted,) = (file.content for file in render(make_node()).files if file.path.endswith("ubuntu-packages.sh"))
    assert str(booted).endswith(baked)


def test_the_system_is_checked_first(image: Image) -> None:
    assert next(iter(steps(image))).endswith("/release")


def test_the_union_of_the_roles_is_installed(bake: Bake) -> None:
    wanted = next(line for line in bake(Role.MASTER, Role.DISCOVERY).script.splitlines() if line.startswith("wanted="))
    assert {"containerd", "nginx", "open-vm-tools", "'kubeadm=1.36.4-*'"} <= set(wanted.strip("wanted=()").split())


def test_what_only_the_discovery_machine_needs_has_no_kubernetes(bake: Bake) -> None:
    script = bake(Role.DISCOVERY).script
    assert "kubeadm" not in script
    assert "containerd/config.toml" not in script


def test_images_are_pulled_after_the_runtime_is_set_up_as_on_a_node(bake: Bake) -> None:
    names = [name for name in steps(bake()) if name.startswith("kubeadm/")]
    assert names == ["kubeadm/container-runtime", "kubeadm/images"]


def test_the_kubelet_fails_in_no_template_and_at_no_first_boot_before_kubeadm_configures_it(bake: Bake) -> None:
    assert "ConditionPathExists=/var/lib/kubelet/config.yaml" in bake(Role.MASTER).script
    assert "kubelet.service.d" not in bake(Role.DISCOVERY).script


def test_archives_come_before_what_is_pulled(bake: Bake) -> None:
    names = [name for name in steps(bake(**EVERYTHING)) if name.startswith("kubeadm/")]
    assert names == ["kubeadm/container-runtime", "kubeadm/archives", "kubeadm/images"]


def test_the_cores_seal_is_the_last_of_all(bake: Bake) -> None:
    names = [name for name in steps(bake(plugins={"site": Site()})) if name.startswith("seal/")]
    assert sorted(names[:-1]) == ["seal/apt", "seal/site"]
    assert names[-1] == "seal/seal"


def test_another_content_or_source_is_another_spec(bake: Bake) -> None:
    specs = {
        bake().spec,
        bake(source="debian-12").spec,
        bake(packages=["htop"]).spec,
        bake(Role.MASTER, Role.WORKER, Role.DISCOVERY, plugins={"site": Site()}).spec,
    }
    assert len(specs) == 4
    assert bake() == bake()


def test_its_size_is_its_sources(bake: Bake) -> None:
    machine = bake().machine
    assert (machine.boot_disk_gib, machine.data_volumes_gib) == (None, ())


def test_mirrors_are_told_to_the_target(bake: Bake) -> None:
    assert bake(**EVERYTHING).repositories["os"].url == "http://mirror.example/os"


def test_what_the_script_writes_is_not_in_the_boot_data_too(bake: Bake) -> None:
    image = bake(plugins={"fake": Target()})
    assert f"file {SOURCES} 0644" in image.script
    assert PUBLISHER not in image.script
    paths = [file.path for file in image.boot.files]
    assert PUBLISHER in paths
    assert SOURCES not in paths


class TestSecrets:
    def test_nobodys_are_in_it(self, bake: Bake, secrets: JoinSecrets) -> None:
        image = bake(*Role)
        for secret in (secrets.token, secrets.certificate_key, secrets.pki.files["ca.key"].decode()):
            assert secret not in image.script
            assert secret not in image.boot.user_data
        assert "PRIVATE KEY" not in image.boot.user_data
        assert "6f9a3c52-1b7e-4a53-9a40-0d1f6f5e8a11" not in image.boot.user_data  # the cluster's id

    def test_a_proxys_password_is_in_the_boot_data_alone(self, bake: Bake) -> None:
        image = bake(**EVERYTHING)
        assert "pass%20word" not in image.script
        (secret,) = (file for file in image.boot.files if file.secret)
        assert "pass%20word" in str(secret.content)
        assert "pass%20word" not in repr(image)

    def test_the_users_of_nodes_are_not_made(self, bake: Bake) -> None:
        assert "users" not in yaml.safe_load(bake(users=[{"name": "ann"}]).boot.user_data)


class TestTheScriptsPieces:
    """As bash reads them: `file` and `step` are stood in for."""

    @pytest.mark.parametrize(
        "content",
        [
            "plain\n",
            "",
            "no end of line",
            "a\nEND_OF_FILE\nb\n",
            b"\0\xff\n",
            "tab\there\n",
            "ümlaut $HOME `id`\n",
            "cr\r\n",
        ],
    )
    def test_a_file_arrives_as_it_is(self, content: str | bytes, tmp_path: Path) -> None:
        command = file_command(File("/etc/it's here", content, mode=0o640))
        arrived = tmp_path / "arrived"
        run_bash(f'file() {{ echo "$1 $2" >{tmp_path}/named; cat >{arrived}; }}\n{command}\n')
        assert arrived.read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert (tmp_path / "named").read_text() == "/etc/it's here 0640\n"

    @pytest.mark.parametrize("script", ["true", "cat <<'END_OF_FILE'\nx\nEND_OF_FILE\n", "a\nEND_OF_FILE\nEND_OF_FILE_\n"])
    def test_a_step_arrives_as_it_is(self, script: str, tmp_path: Path) -> None:
        command = step_command("plugin", Step("name", Stage.INSTALL, script, timeout=9, attempts=2))
        run_bash(f'step() {{ echo "$@" >{tmp_path}/named; cat >{tmp_path}/script; }}\n{command}\n')
        assert (tmp_path / "script").read_text() == script.rstrip("\n") + "\n"
        assert (tmp_path / "named").read_text() == "install plugin/name 9 2\n"


class TestTheScript:
    """As bash runs it, with a work of its own; `install` is one that reads no pipe where its target exists."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
        stand_ins = {
            "install": 'for target; do :; done\n[ ! -e "$target" ] || exit 1\nexec /usr/bin/install "$@"',
            "cloud-init": "exit 0",
            "publish": f"cat >>{tmp_path}/told\necho >>{tmp_path}/told",
        }
        (tmp_path / "bin").mkdir()
        for name, text in stand_ins.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)

        def run(work: str) -> subprocess.CompletedProcess[str]:
            nothing: dict[str, Any] = {"images": (), "seals": (), "list_versions": "", "list_images": ""}
            script = render("bake.sh", spec="s", files=(), packages=(work,), **nothing)
            (tmp_path / "bake.sh").write_text(script.replace('[ "$EUID" -ne 0 ]', "false"))
            environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
            environment["KUBE_PROVISION_PUBLISHER"] = f"{tmp_path}/bin/publish"
            command = ["bash", f"{tmp_path}/bake.sh", "packages"]
            return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

        return run

    @pytest.fixture
    def told(self, tmp_path: Path) -> Callable[[], list[tuple[str, str, str]]]:
        def told() -> list[tuple[str, str, str]]:
            log = tmp_path / "told"
            documents = map(json.loads, log.read_text().splitlines() if log.exists() else ())
            return [(document["stage"], document["state"], document["error"]) for document in documents]

        return told

    def test_a_file_takes_the_place_of_another_with_its_own_mode(self, run: Any, tmp_path: Path) -> None:
        target = tmp_path / "folder/file"
        contents = "first\n", b"\0\xff", "third\n"
        for content, mode in zip(contents, (0o644, 0o755, 0o600), strict=True):
            ran = run(file_command(File(str(target), content, mode=mode)))
            assert ran.returncode == 0, ran.stderr
            assert target.read_bytes() == (content if isinstance(content, bytes) else content.encode())
            assert target.stat().st_mode & 0o7777 == mode
        assert [path.name for path in target.parent.iterdir()] == ["file"]

    def test_a_secret_is_never_readable_for_others(self, run: Any, tmp_path: Path) -> None:
        (tmp_path / "bin/chmod").write_text(f'#!/bin/sh\nstat --format %a "$2" >{tmp_path}/seen\nexec /bin/chmod "$@"\n')
        (tmp_path / "bin/chmod").chmod(0o755)
        assert run(file_command(File(f"{tmp_path}/secret", "x\n", mode=0o600))).returncode == 0
        assert (tmp_path / "seen").read_text() == "600\n"

    @pytest.mark.parametrize("work", ["[ -e /nowhere/at/all ]", "true | file /dev/null/x 0644"])
    def test_what_fails_outside_of_a_step_is_told(self, run: Any, told: Any, tmp_path: Path, work: str) -> None:
        assert run(work).returncode == 1
        number = (tmp_path / "bake.sh").read_text().splitlines().index(work) + 1
        ((stage, state, error),) = told()
        assert (stage, state) == ("prepare", "failed")
        assert error.startswith(f"line {number}: ")
        assert error.endswith(": exit code 1")

    def test_what_ends_the_script_from_outside_is_told(self, run: Any, told: Any) -> None:
        assert run("kill -TERM $$; sleep 5").returncode != 0
        ((_, state, error),) = told()
        assert (state, error) == ("failed", "ended: exit code 143")

    def test_a_step_that_fails_is_told_once_in_its_own_words(self, run: Any, told: Any) -> None:
        step = Step("name", Stage.INSTALL, "echo 'no \"space\" left' >&2; exit 3", timeout=9, attempts=1)
        assert run(step_command("plugin", step)).returncode == 1
        assert told()[1:] == [("install", "failed", 'plugin/name: no "space" left')]

    def test_work_that_is_done_is_not_told_to_have_failed(self, run: Any, told: Any) -> None:
        ran = run(step_command("plugin", Step("name", Stage.INSTALL, "true", timeout=9)))
        assert ran.returncode == 0, ran.stderr
        assert told() == [("install", "running", "")]


class TestArchivesOfABakedTemplate:
    """The step of a first boot, with a `ctr` that writes down what it is told."""

    @pytest.fixture
    def imported(self, tmp_path: Path) -> Callable[[str], list[str]]:
        (tmp_path / "bin").mkdir()
        (tmp_path / "images").mkdir()
        (tmp_path / "images/all.tar").touch()
        ctr = tmp_path / "bin/ctr"
        ctr.write_text(f'#!/bin/sh\necho "$2" >>{tmp_path}/log\n')
        ctr.chmod(0o755)

        def run(written: str) -> list[str]:
            marker = tmp_path / "marker"
            marker.write_text(written)
            script = render("steps/images.sh", source=f"{tmp_path}/images", namespaces=("k8s.io", "kube-provision"))
            path = f"{tmp_path}/bin:{os.environ['PATH']}"
            run_bash(script.replace(IMPORTED, str(marker)), PATH=path)
            log = tmp_path / "log"
            return log.read_text().split() if log.exists() else []

        return run

    def test_are_imported_where_the_template_has_none(self, imported: Callable[[str], list[str]]) -> None:
        assert imported("") == ["k8s.io", "kube-provision"]

    def test_are_not_imported_again(self, imported: Callable[[str], list[str]], tmp_path: Path) -> None:
        assert imported(f"k8s.io {tmp_path}/images\nkube-provision {tmp_path}/images\n") == []

    def test_are_imported_for_whom_they_were_not_imported(
        self, imported: Callable[[str], list[str]], tmp_path: Path
    ) -> None:
        assert imported(f"k8s.io {tmp_path}/images\n") == ["kube-provision"]

    def test_of_another_source_are_imported(self, imported: Callable[[str], list[str]]) -> None:
        assert imported("k8s.io /srv/others\n") == ["k8s.io", "kube-provision"]


def run_bash(script: str, **environment: str) -> None:
    command = ["bash", "-euo", "pipefail", "-c", script]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, **environment}, capture_output=True)
