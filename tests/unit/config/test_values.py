"""How a value may be written, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core import Role
from kube_provision_core.config.core import SUPPORTED_MINORS

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
AWKWARD = ["12345", "yes", "1.30", "0x10", "2020-01-01", "1e3", "true", "012", "1_000", "a: b", "[x", "#no", " padded "]


def moon(config):
    return config.driver("target").config[Role.MASTER]


@pytest.mark.parametrize("text", [*AWKWARD, "null", "~", "'quoted'", '"'])
def test_a_password_in_the_environment_is_taken_as_it_is(load_text, text: str) -> None:
    config = load_text(MINIMAL, environ={"KUBE_PROVISION_MOON_PASSWORD": text, "KUBE_PROVISION_MOON_TOKEN": text})
    assert moon(config).moon_password.get_secret_value() == text
    assert moon(config).moon_token.get_secret_value() == text


@pytest.mark.parametrize("text", AWKWARD[:9])
def test_a_password_in_a_file_is_never_retyped(load_text, text: str) -> None:
    config = load_text(MINIMAL + f"moon_password: {text}\n", environ={"KUBE_PROVISION_MOON_PASSWORD": ""})
    assert moon(config).moon_password.get_secret_value() == text


@pytest.mark.parametrize("text", [*AWKWARD, "null", "~", "${B}"])
def test_a_password_by_reference_is_never_retyped(load_text, text: str) -> None:
    environ = {"KUBE_PROVISION_MOON_PASSWORD": "", "A": text}
    assert moon(load_text(MINIMAL + "moon_password: ${A}\n", environ=environ)).moon_password.get_secret_value() == text


def test_a_version_stays_text(load_text) -> None:
    assert load_text(MINIMAL + "kubernetes_version: 1.36\nenv_vars: {A: 010, B: yes, C: 1.10}\n").core.env_vars == {
        "A": "010",
        "B": "yes",
        "C": "1.10",
    }


def test_a_reference_may_stand_inside_text(load_text) -> None:
    config = load_text(MINIMAL + "commands: ['echo ${A}-${B}']\n", environ={"A": "x", "B": "y"})
    assert config.core.commands == ["echo x-y"]


def test_a_doubled_dollar_stands_for_a_reference_itself(load_text) -> None:
    config = load_text(MINIMAL + "commands: ['echo $${HOME} $$ ${X:-y} $HOME']\n", environ={"HOME": "/root"})
    assert config.core.commands == ["echo ${HOME} $$ ${X:-y} $HOME"]


def test_a_reference_makes_a_number(load_text) -> None:
    assert load_text(MINIMAL + "cpu: ${N}\n", environ={"N": "6"}).core.cpu == 6


def test_a_reference_to_nothing_is_told_at_its_line(complaints) -> None:
    assert complaints(MINIMAL + "ntp_servers:\n- a\n- ${NOPE}\n") == [
        "config.yml:8: ${NOPE} is not set in the environment (write $${NOPE} for the text itself)"
    ]


def test_references_are_read_in_files_only(load_text) -> None:
    assert moon(load_text(MINIMAL, extra=["base=${A}"])).base == "${A}"


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("on", True), ("false", False), ("'true'", True)])
def test_true_and_false_as_yaml_has_them(load_text, text: str, value: bool) -> None:
    assert moon(load_text(MINIMAL + f"far_side: {text}\n")).far_side is value


def test_null_is_none_where_none_is_allowed(load_text) -> None:
    assert moon(load_text(MINIMAL + "base: ~\n")).base is None


def test_null_is_text_where_text_is_wanted(load_text) -> None:
    assert moon(load_text(MINIMAL + "crater: null\n")).crater == "null"


def test_what_may_be_anything_has_the_types_of_yaml(load_text) -> None:
    config = load_text(MINIMAL + "anything: {a: 1, b: yes, c: 1.5, d: ~, e: '1', f: 2020-99-99}\n")
    assert moon(config).anything == {"a": 1, "b": True, "c": 1.5, "d": None, "e": "1", "f": "2020-99-99"}


def test_raw_cloud_config_keeps_its_types(load_text) -> None:
    assert load_text(MINIMAL + "cloud_init: {ssh_pwauth: false, n: 5}\n").core.cloud_init == {"ssh_pwauth": False, "n": 5}


def test_extras_hold_lists_and_mappings_as_yaml(load_text) -> None:
    config = load_text(MINIMAL, extra=["ntp_servers=[a, b]", "sysctls={vm.swappiness: 1}"])
    assert (config.core.ntp_servers, config.core.sysctls) == (["a", "b"], {"vm.swappiness": "1"})


def test_the_environment_holds_lists_and_mappings_as_yaml(load_text) -> None:
    assert load_text(MINIMAL, environ={"KUBE_PROVISION_NTP_SERVERS": "[a, b]"}).core.ntp_servers == ["a", "b"]


def test_the_environment_holds_a_section(load_text) -> None:
    config = load_text(MINIMAL, environ={"KUBE_PROVISION_MASTERS": "{count: 5, cpu: 3}"})
    assert (config.core.masters, config.by_role[Role.MASTER].cpu) == (5, 3)


@pytest.mark.parametrize(("given", "text"), [("a=b", "a=b"), ("'x: y'", "x: y"), ('"q"', "q"), ("it: is", "it: is")])
def test_an_extra_may_be_quoted(load_text, given: str, text: str) -> None:
    assert moon(load_text(MINIMAL, extra=[f"crater={given}"])).crater == text


def test_anchors_and_merges_work(load_text) -> None:
    config = load_text(MINIMAL + "masters: &m {cpu: 8, mem: 9}\nworkers:\n  <<: *m\n  mem: 10\n")
    workers = config.by_role[Role.WORKER]
    assert (workers.cpu, workers.mem) == (8, 10)


def test_aliases_are_their_key(load_text) -> None:
    text = MINIMAL.replace("template: t", "ami: other").replace("name: ", "cluster_name: ") + "k8s_version: '1.35.2'\n"
    config = load_text(text)
    assert (moon(config).template, config.core.name, config.core.kubernetes_version) == ("other", "prod", "1.35.2")


def test_a_driver_is_named_by_its_own_name_whatever_was_written(load_text) -> None:
    config = load_text(MINIMAL.replace("target: moon", "target: luna"))
    assert (config.core.target, config.driver("target").name) == ("moon", "moon")


# --- local files ----------------------------------------------------------------------------------------------------


def test_files_are_relative_to_the_document_that_names_them(load_text, folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    for name in ("motd", "cni.yml", "key.pem"):
        (elsewhere / name).write_text("apiVersion: v1\nkind: List\n")
    text = (
        "files: {/etc/motd: motd}\nseed_manifests: [cni.yml, 'https://x.example/y.yml']\nkey_file: key.pem\nmoon_dir: vms\n"
    )
    (elsewhere / "more.yml").write_text(text)
    config = load_text(MINIMAL, extra=["@elsewhere/more.yml"])
    assert config.core.files["/etc/motd"].source == elsewhere / "motd"
    assert config.core.seed_manifests == [str(elsewhere / "cni.yml"), "https://x.example/y.yml"]
    assert moon(config).key_file == elsewhere / "key.pem"
    assert moon(config).moon_dir == elsewhere / "vms"


def test_files_of_one_role_are_relative_to_their_own_document(load_text, folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "key").write_text("x")
    (folder / "key").write_text("x")
    (folder / "a" / "a.yml").write_text("masters: {key_file: key}\n")
    config = load_text(MINIMAL + "key_file: key\n", extra=["@a/a.yml"]).driver("target").config
    assert (config[Role.MASTER].key_file, config[Role.WORKER].key_file) == (folder / "a" / "key", folder / "key")


def test_files_of_extras_and_the_environment_are_relative_to_the_working_directory(load_text, folder: Path) -> None:
    (folder / "key").write_text("x")
    assert moon(load_text(MINIMAL, extra=["key_file=key"])).key_file == folder / "key"
    assert moon(load_text(MINIMAL, environ={"KUBE_PROVISION_KEY_FILE": "key"})).key_file == folder / "key"


def test_a_home_folder_is_found(load_text, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / "key").write_text("x")
    assert moon(load_text(MINIMAL + "key_file: ~/key\n")).key_file == folder / "key"


def test_the_longer_form_of_a_file_has_owner_and_mode(load_text, folder: Path) -> None:
    (folder / "x").write_text("x")
    config = load_text(MINIMAL + "files: {/x: {source: x, owner: 'www:www', mode: 0600}}\n")
    assert (config.core.files["/x"].owner, config.core.files["/x"].mode) == ("www:www", "0600")


def test_a_file_that_is_not_there_is_told_at_its_line(complaints, folder: Path) -> None:
    text = (
        MINIMAL + "files:\n  /a: nope\ntemplates:\n  /b: {source: .}\nseed_manifests:\n- no.yml\nkey_file: ~nobody-here/x\n"
    )
    assert complaints(text) == [
        f"config.yml:7: files./a: there is no file {folder}/nope",
        f"config.yml:9: templates./b.source: {folder} is not a file",
        f"config.yml:11: seed_manifests[0]: there is no file {folder}/no.yml",
        "config.yml:12: key_file: names a home folder that does not exist",
    ]


OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


@pytest.mark.parametrize(
    ("content", "faults"),
    [
        (f"# a comment\n---\n{OBJECT}---\n---\nkind: ConfigMap\n", ["m.yml:8: an object without apiVersion"]),
        (
            "a: 1\n---\napiVersion: v1\n",
            ["m.yml:1: an object without apiVersion and kind", "m.yml:3: an object without kind"],
        ),
        (f"{OBJECT}---\napiVersion: 1\nkind: [X]\n", ["m.yml:5: an object without apiVersion and kind"]),
        ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n", ["m.yml:4: an object without kind"]),
        ("<html>no manifest</html>\n", ["m.yml:1: is no object, which has apiVersion and kind"]),
        ("- a\n", ["m.yml:1: is no object, which has apiVersion and kind"]),
        (f"{OBJECT}---\na: [\n", ["m.yml:6: is no YAML: did not find expected node content"]),
        ("# nothing\n---\n", ["m.yml holds no object"]),
        (
            "apiVersion: v1\nkind: List\nitems: &a\n- {apiVersion: v1, kind: List, items: *a}\n",
            ["m.yml:4: a list that holds itself"],
        ),
        (f"{OBJECT}a: " + "[" * 100_000, ["m.yml:4: is nested deeper than 1000 levels"]),
    ],
    ids=["second", "two", "wrong-types", "in-a-list", "page", "list", "no-yaml", "empty", "in-itself", "deep"],
)
def test_a_manifest_that_kubectl_would_refuse_is_told_at_its_line(
    complaints, folder: Path, content: str, faults: list[str]
) -> None:
    (folder / "m.yml").write_text(content)
    assert complaints(MINIMAL + "seed_manifests: [m.yml]\n") == [
        f"config.yml:6: seed_manifests[0]: {'; '.join(f'{folder}/{fault}' for fault in faults)}"
    ]


def test_a_text_that_can_be_no_path_is_told_without_being_shown(complaints) -> None:
    assert complaints(MINIMAL + f"trusted_ca: {'x' * 5000}\n") == [
        "config.yml:6: trusted_ca: names no file that can be read: File name too long"
    ]


def test_whatever_kubectl_takes_is_a_manifest(load_text, folder: Path) -> None:
    (folder / "m.yml").write_text(f"---\n{OBJECT}---\n# a comment\n---\n{{apiVersion: apps/v1, kind: Deployment}}\n...\n")
    assert load_text(MINIMAL + "seed_manifests: [m.yml]\n").core.seed_manifests == [str(folder / "m.yml")]


def test_machines_get_the_newest_kubernetes_that_is_supported(load_text) -> None:
    assert load_text(MINIMAL).core.kubernetes_version == SUPPORTED_MINORS[-1] == "1.37"


@pytest.mark.parametrize("given", ["registry.k8s.io", "registry.example:5000/k8s", "[fd00::7]:5000/a_b/c-d.e", "mirror/k8s"])
def test_an_image_repository_is_what_images_names_begin_with(load_text, given: str) -> None:
    assert load_text(MINIMAL + f"image_repository: '{given}'\n").core.image_repository == given


KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQ==\n-----END PGP PUBLIC KEY BLOCK-----\n"


@pytest.mark.parametrize(
    ("written", "read"), [("key.asc", KEY), ("https://x.example/key", "https://x.example/key"), (f"{KEY!r}", None)]
)
def test_a_signing_key_is_a_file_a_url_or_text(load_text, folder: Path, written: str, read: str | None) -> None:
    (folder / "key.asc").write_text(KEY)
    written = '"' + written[1:-1] + '"' if read is None else written
    config = load_text(MINIMAL + f"package_repositories: {{os: {{url: 'http://m.example', key: {written}}}}}\n")
    assert config.core.package_repositories["os"].key == (read or KEY)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("binary", "is not ASCII-armoured"),
        ("http://x.example/key", "plain http proves nothing"),
        ("nope", "there is no file"),
    ],
)
def test_any_other_signing_key_is_refused(complaints, folder: Path, key: str, words: str) -> None:
    (folder / "binary").write_bytes(b"\x99\x01")
    (line,) = complaints(MINIMAL + f"package_repositories:\n  os:\n    url: http://m.example\n    key: {key}\n")
    assert line.startswith("config.yml:9: package_repositories.os.key: ")
    assert words in line


@pytest.mark.parametrize(
    "image",
    [
        "nginx",
        "nginx:1.29",
        "ann/app",
        "quay.io/app:v1",
        "r.example:5000/a/b__c",
        f"r.example/a@sha256:{'0' * 64}",
        "[fd00::1]:5000/a:b",
    ],
)
def test_an_image_is_taken_as_it_is_pulled(load_text, image: str) -> None:
    (container,) = load_text(f"{MINIMAL}containers: [{{service: x, image: '{image}'}}]\n").core.containers
    assert container.image == image


@pytest.mark.parametrize("image", ["Foo/bar", "quay.io/a:b:c", "quay.io/a/", "quay.io//a", "a:", "a@sha256:12", "a b", "-a"])
def test_an_image_that_no_runtime_could_pull_is_refused_at_its_line(complaints, image: str) -> None:
    (line,) = complaints(f"{MINIMAL}containers: [{{service: x, image: '{image}'}}]\n")
    assert line.startswith(f"config.yml:{MINIMAL.count(chr(10)) + 1}: containers[0].image: must be an image as it is pulled")


@pytest.mark.parametrize(
    "key",
    [
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAA+/b== ann@x",
        'from="10.0.0.0/8" ecdsa-sha2-nistp256 AAAA',
        "sk-ssh-ed25519@openssh.com AAAA",
    ],
)
def test_a_public_key_is_taken(load_text, key: str) -> None:
    (user,) = load_text(f"{MINIMAL}users: [{{name: ann, ssh_keys: ['{key}']}}]\n").core.users
    assert user.ssh_keys == [key]


@pytest.mark.parametrize(
    "key", ["nonsense", "", "ssh-ed25519", "~/.ssh/id_ed25519.pub", "-----BEGIN OPENSSH PRIVATE KEY-----"]
)
def test_what_lets_nobody_in_is_refused_at_its_line(complaints, key: str) -> None:
    (line,) = complaints(f"{MINIMAL}users: [{{name: ann, ssh_keys: ['{key}']}}]\n")
    assert "users[0].ssh_keys[0]: must be a public key, one line such as ssh-ed25519 AAAA" in line
    assert "PRIVATE" not in line
