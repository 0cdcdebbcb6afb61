"""What is wrong is told with file, line and key, in plain words, all at once."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"

NO_REPOSITORY = "must be a registry and a path in it, as an image's name begins: registry.example:5000/k8s"
NO_REPOSITORIES = (
    *("https://registry.example/", "https://registry.example/k8s", "registry.example/", "registry.example//k8s"),
    *(
        "registry.example/k8s:v1",
        "registry.example/K8s",
        "user:secret@registry.example/k8s",
        "registry.example:port/k8s",
        "-r/x",
        "r:65536/x",
    ),
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("templat: x", "unknown key templat; did you mean template?"),
        ("zzz: x", "unknown key zzz"),
        ("masters: {cpus: 3}", "unknown key cpus in masters; did you mean cpu?"),
        ("masters: {cuont: 3}", "unknown key cuont in masters; did you mean count?"),
        ("masters: {pod_subnet: 10.0.0.0/16}", "pod_subnet cannot differ per role; write it outside of masters"),
        ("beacon: {count: 3}", "unknown key count in beacon"),
        ("beacon: 3", "beacon is the section of discovery's machine: it holds keys such as cpu"),
        ("ami: x", "ami and template (config.yml:5) are one key; keep one of them"),
        ("host_suffix_format: x", "host_suffix_format no longer exists: names are"),
        ("provisioner: x", "provisioner no longer exists: use `target`"),
        ("cpu: four", "cpu: must be a whole number"),
        ("cpu: 1.5", "cpu: must be a whole number"),
        ("cpu: true", "cpu: must be a whole number"),
        ("cpu: [1]", "cpu: must be a whole number"),
        ("cpu:", "cpu: has no value"),
        ("cpu: 0", "cpu: must be at least 1"),
        ("cpu: 999", "cpu: must be at most 256"),
        ("mem: 99999999999999999999999999", "mem: must be at most 6144"),
        (f"mem: {'9' * 5000}", "mem: is too large a number"),
        ("masters: 0", "masters: must be at least 1"),
        ("masters: {count: 0}", "masters: must be at least 1"),
        ("masters: [3]", "masters: must be a whole number"),
        ("orbit: high!", "orbit: has another form than it should: Name of an orbit."),
        ("antenna: nowhere", "antenna: must be an IPv4 address such as 10.0.0.1 or must be an IPv6 address"),
        ("far_side: dark", "far_side: must be true or false"),
        ("gravity: low", "gravity: must be a number"),
        ("crater: [a]", "crater: must be text"),
        ("key_file: [a]", "key_file: must be a path"),
        ('key_file: ""', "key_file: is empty: name a file or folder of this machine"),
        ('moon_dir: ""', "moon_dir: is empty: name a file or folder of this machine"),
        ("commands: reboot", "commands: must be a list"),
        ("files: [a]", "files: must be a mapping of keys to values"),
        ("seed_manifests:", "seed_manifests: has no value"),
        ("landers: [{colour: grey}]", "landers[0].legs: is missing"),
        ("landers: [{legs: 3, color: gold}]", "unknown key color in landers[0]; did you mean colour?"),
        ("landers: [{legs: 3, colour: red}]", "landers[0].colour: must be one of 'grey' or 'gold'"),
        ("landers: [{legs: many}]", "landers[0].legs: must be a whole number"),
        ("volumes: [{dev: sda, mount: /x}]", "volumes[0].dev: must be an absolute path on the node"),
        ("files: {etc/x: x}", "files.etc/x: is no key here: it must be an absolute path on the node"),
        (
            "containers: [{image: a, service: b, docker_args: [x]}]",
            "containers[0].docker_args: there is no Docker on a node",
        ),
        (
            "kubernetes_version: 1.30",
            "kubernetes_version: is not a supported Kubernetes version; supported: 1.35, 1.36, 1.37",
        ),
        ("kubernetes_version: 1", "kubernetes_version: must be a Kubernetes version such as 1.37 or 1.37.1"),
        *((f"image_repository: {given}", f"image_repository: {NO_REPOSITORY}") for given in NO_REPOSITORIES),
        *(
            (f"proxy_port: {port}", f"proxy_port: is a port of {who}")
            for port, who in ((6443, "the API server"), (8500, "disc"))
        ),
        *(
            (f"sysctls: {{'{name}': 1}}", f"sysctls.{shown}: is no key here: it must be the name of a kernel parameter")
            for name, shown in (
                *((name, name) for name in ("swappiness", "../../etc/passwd", "-vm.swappiness", "net..core", "vm.")),
                ("#net.core", "…"),
            )
        ),
        ('sysctls: {vm.swappiness: "1\\nkernel.panic = 1"}', "sysctls.vm.swappiness: must be one line of text"),
        ("proxy_port: 30443", "proxy_port: is one of those that Kubernetes gives to services"),
        ("proxy_port: 0", "proxy_port: must be at least 1"),
        ("pod_subnet: 10.1.1.0/16", "pod_subnet: must be an IPv4 network such as 10.244.0.0/16, its host bits zero"),
        ("http_proxy: proxy:3128", "http_proxy: must be a URL (http:// or https://)"),
        ("package_repositories: {helm: {url: 'http://x'}}", "package_repositories.helm: is no key here: it must be one of"),
        ("package_repositories: {os: {}}", "package_repositories.os.url: is missing"),
        ("mounts: {/: /dev/sdb}", "mounts./: is no key here: it must not be the root of the file system"),
        ("data_volumes: 10", "data_volumes: must be a list"),
        ("data_volumes: [{size: 0, mount: /x}]", "data_volumes[0].size: must be at least 1"),
        ("data_volumes: [{size: 70000, mount: /x}]", "data_volumes[0].size: must be at most 65536"),
        ("data_volumes: [{size: 1, mount: /x}, {size: 10}]", "data_volumes[1].mount: is missing"),
        ("data_volumes: [{size: 10, mount: /}]", "data_volumes[0].mount: must not be the root of the file system"),
        (
            "data_volumes: [{size: 10, mount: /x, format: btrfs}]",
            "data_volumes[0].format: must be one of 'ext4' or 'xfs'",
        ),
        ("data_volumes: [{size: 10, mount: /x, dev: /dev/sdb}]", "unknown key dev in data_volumes[0]"),
        (f"data_volumes: [{', '.join(['{size: 1, mount: /x}'] * 100)}]", "data_volumes: must have at most 99 entries"),
        ("data_volume_mount: /./", "data_volume_mount: must not be the root of the file system"),
        ("data_volume_mount: /a/../etc", "data_volume_mount: must not have `.` or `..` in it"),
        ("data_volume_mount: /./a", "data_volume_mount: must not have `.` or `..` in it"),
        ("volumes: [{dev: /dev/sdb, mount: /proc/x}]", "volumes[0].mount: must not lie in /proc, which is the kernel's own"),
        ("data_volume_mount: //dev", "data_volume_mount: must not lie in /dev, which is the kernel's own"),
        ("data_volume_mount: /run", "data_volume_mount: would hide /run, which the machine needs: mount it elsewhere"),
        (
            'mounts: {"/a ": /dev/sdb}',
            "mounts./a…: is no key here: it must be one line, without a blank or a backslash at its end",
        ),
        (
            'data_volume_mount: "/a\\nOptions=x"',
            "data_volume_mount: must be one line, without a blank or a backslash at its end",
        ),
        ("data_volume_mount: '/a\\'", "data_volume_mount: must be one line, without a blank or a backslash at its end"),
        (f"data_volume_mount: /{'é' * 40}", "data_volume_mount: is too long for the name of a unit of systemd's"),
        *(
            (f"data_volume_mount: {path}", f"data_volume_mount: would hide {hidden}, which the machine needs: mount it")
            for path, hidden in (
                *(("/etc", "/etc/kube-provision"), ("/etc/kubernetes/", "/etc/kubernetes"), ("/usr", "/usr/bin")),
                *(("/usr/local", "/usr/local/lib/kube-provision"), ("/var", "/var/lib/cloud"), ("/boot", "/boot")),
            )
        ),
        ("timezone: Mars/Phobos", "timezone: is no time zone; they are named like Europe/Berlin"),
        ("timezone: Europe", "timezone: is no time zone; they are named like Europe/Berlin"),
        ("timezone: ../etc", "timezone: must be a time zone such as Europe/Berlin"),
        ("extensions: [a]", "no extension driver 'a' is installed"),
        ("'': x", "unknown key …"),
    ],
)
def test_a_faulty_value_is_told_at_its_line(complaints, text: str, line: str) -> None:
    (told,) = complaints(MINIMAL + text + "\n")
    assert told.startswith(f"config.yml:6: {line}")


def test_a_system_without_time_zones_takes_any_that_is_well_formed(load_text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.config.words.ZoneInfo", _nothing_there)
    assert load_text(MINIMAL + "timezone: Mars/Phobos\n").core.timezone == "Mars/Phobos"


def _nothing_there(name: str) -> None:
    raise ZoneInfoNotFoundError(name)


def test_a_value_inside_a_value_is_told_at_its_own_line(complaints) -> None:
    text = MINIMAL + "containers:\n- image: a\n  service: a\n- image: b\n  service: B C\n"
    assert complaints(text) == ["config.yml:10: containers[1].service: may hold lower-case letters, digits and hyphens only"]


def test_all_faults_of_all_documents_are_told_by_file_and_line(complaints, folder: Path) -> None:
    (folder / "a.yml").write_text("mem: x\nworkers: {zzz: 1}\n")
    lines = complaints(
        MINIMAL + "timezone: [x]\nboot_disk_size: -1\n",
        "zz: 1\n",
        extra=["@a.yml", "data_volume=big"],
        flags={"masters": "a"},
    )
    assert [line.split(" ")[0] for line in lines] == [
        "a.yml:1:",
        "a.yml:2:",
        "config.yml:6:",
        "config.yml:7:",
        "config1.yml:1:",
        "--masters:",
        "-e",
    ]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"flags": {"masters": 0}}, "--masters: must be at least 1"),
        ({"flags": {"kubernetes_version": "2"}}, "--k8s-version: must be a Kubernetes version such as 1.37 or 1.37.1"),
        ({"extra": ["cpu=x"]}, "-e cpu: must be a whole number"),
        ({"extra": ["zzz=x"]}, "-e zzz: unknown key zzz"),
        ({"extra": ["provisioner=x"]}, "-e provisioner: provisioner no longer exists: use `target`"),
        ({"extra": ["landers=[{legs: x}]"]}, "-e landers: [0].legs: must be a whole number"),
        ({"extra": ["landers=[{"]}, "-e landers: is not YAML: did not find expected node content"),
        ({"extra": ["masters={cpu: x}"]}, "-e masters: masters.cpu: must be a whole number"),
        ({"extra": ["masters={"]}, "-e masters: must be a whole number"),
        ({"environ": {"KUBE_PROVISION_CPU": "x"}}, "KUBE_PROVISION_CPU: must be a whole number"),
        ({"environ": {"KUBE_PROVISION_PROVISIONER": "x"}}, "KUBE_PROVISION_PROVISIONER: provisioner no longer exists"),
        ({"environ": {"KUBE_PROVISION_AMI": "a", "KUBE_PROVISION_TEMPLATE": "b"}}, "KUBE_PROVISION_AMI: ami and template"),
    ],
)
def test_a_fault_outside_of_documents_names_its_source(complaints, given: dict[str, object], line: str) -> None:
    (told,) = complaints(MINIMAL, **given)
    assert told.startswith(line)


def test_a_missing_key_says_what_it_is_and_how_to_give_it(complaints) -> None:
    assert complaints(MINIMAL.replace("template: t\n", "")) == [
        "config.yml: template is missing: What machines are made of. Write `template: …`, or give -e template=… or "
        "KUBE_PROVISION_TEMPLATE"
    ]


def test_a_key_that_is_missing_for_one_role_says_which(complaints) -> None:
    text = MINIMAL.replace("template: t", "masters: {template: t}\nworkers: {template: t}")
    (line,) = complaints(text)
    assert line.startswith("config.yml: template is missing for beacon: ")
    assert "at the top or under beacon:" in line


def test_roles_without_machines_need_no_required_key(load_text) -> None:
    text = MINIMAL.replace("template: t", "masters: {template: t}\nworkers: 0\nbeacon_ip: 10.0.0.1")
    assert load_text(text).core.workers == 0


def test_missing_drivers_are_told_with_what_is_installed(complaints) -> None:
    lines = complaints("name: prod\ndiscovery: beacon\n")
    assert [line.split(":")[1].strip() for line in lines] == ["os is missing", "target is missing"]
    assert "moon" in lines[1]


def test_a_missing_name_is_told_with_its_flag(complaints) -> None:
    (line,) = complaints(MINIMAL.replace("name: prod\n", ""))
    assert "--name" in line


def test_a_driver_that_is_not_installed_is_told_at_its_line(complaints) -> None:
    (line,) = complaints(MINIMAL.replace("target: moon", "target: mooon") + "moon_thing: 3\n")
    assert line.startswith("config.yml:2: no target driver 'mooon' is installed")
    assert "nearest: moon" in line


def test_a_nearly_right_variable_is_warned_about(load_text) -> None:
    config = load_text(MINIMAL, environ={"KUBE_PROVISION_TEMPLAT": "x", "KUBE_PROVISION_STATE": "y"})
    assert config.warnings == ("KUBE_PROVISION_TEMPLAT in the environment is no key; did you mean KUBE_PROVISION_TEMPLATE?",)
