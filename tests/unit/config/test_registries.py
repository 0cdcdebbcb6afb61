"""Where images come from, and who must not see a password."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kube_provision_core.config.registries import Registry, Server, faults, servers
from kube_provision_core.folder.x509 import create_authority

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
OWN_ENTRY = "Give each host that needs one an entry of its own, such as `harbor.example: {username: …, password: …}`"


def asked(**registries: dict[str, object]) -> dict[str, list[tuple[str, str, str]]]:
    """URL, user and authority of who is asked, by registry. Names have `_` for `.`."""
    read = {name.replace("_", "."): Registry.model_validate(it) for name, it in registries.items()}
    return {name: [(it.url, it.username, it.ca) for it in found] for name, found in servers(read).items()}


def test_mirrors_are_asked_in_their_order_and_in_the_registrys_place(load_text) -> None:
    text = "registries:\n  quay.io: {mirrors: [https://a.example/v2/quay, 'http://b.example:5000']}\n"
    found = servers(load_text(MINIMAL + text).core.registries)
    assert [server.url for server in found["quay.io"]] == ["https://a.example/v2/quay", "http://b.example:5000"]


def test_without_mirrors_the_registry_itself_is_asked() -> None:
    login = {"username": "ann", "password": "hunter2"}
    assert asked(quay_io=login)["quay.io"] == [("https://quay.io", "ann", "")]
    assert asked(docker_io=login)["docker.io"] == [("https://registry-1.docker.io", "ann", "")]


def test_the_short_form_keeps_its_path() -> None:
    url = "https://harbor.example/v2/hub-cache"
    assert servers({}, url) == {"docker.io": (Server(url),)}


def test_what_is_said_of_a_host_itself_comes_first() -> None:
    found = asked(
        quay_io={"mirrors": ["https://a.example", "https://b.example"], "username": "ann", "password": "x"},
        b_example={"username": "bob", "password": "y"},
    )
    assert [user for _, user, _ in found["quay.io"]] == ["ann", "bob"]


def test_what_is_said_of_others_in_its_place_is_not_said_of_a_host() -> None:
    found = asked(
        quay_io={"mirrors": ["https://b.example"]},
        b_example={"mirrors": ["https://c.example"], "username": "c", "password": "x"},
    )
    assert [user for _, user, _ in found["quay.io"]] == [""]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{username: ann}", "registries.quay.io: username and password belong together: give both or neither"),
        ("{password: hunter2}", "registries.quay.io: username and password belong together: give both or neither"),
        ("{username: a b, password: hunter2}", "registries.quay.io.username: must be one word without a colon"),
        ("{username: 'a:b', password: hunter2}", "registries.quay.io.username: must be one word without a colon"),
        ("{username: ann, password: ''}", "registries.quay.io.password: must not be empty"),
        ("{mirrors: [mirror.example]}", "registries.quay.io.mirrors[0]: must be a URL (http:// or https://)"),
        ("{mirrors: ['https://m.example?x=1']}", "registries.quay.io.mirrors[0]: must be a host and a path, such as "),
        ("{mirrors: ['https:///x']}", "registries.quay.io.mirrors[0]: has no host"),
        ("{mirrors: https://m.example}", "registries.quay.io.mirrors: must be a list"),
        ("{mirrors: [https://m.example, https://m.example/]}", "registries.quay.io: mirrors: names one twice"),
        ("{mirror: https://m.example}", "unknown key mirror in registries.quay.io; did you mean mirrors?"),
        ("{ca: nowhere.pem}", "registries.quay.io.ca: there is no file "),
        (
            "{mirrors: [http://m.example], username: ann, password: hunter2}",
            "registries.quay.io: m.example needs a password, and that travels by https:// only: nobody may listen",
        ),
        (
            "{mirrors: [https://m.example, https://quay.io], username: ann, password: hunter2}",
            f"registries.quay.io: is the password for m.example or for quay.io? {OWN_ENTRY}",
        ),
    ],
)
def test_what_cannot_be_is_told_at_its_line(complaints, written: str, said: str) -> None:
    (line,) = complaints(f"{MINIMAL}registries:\n  ghcr.io: {{}}\n  quay.io: {written}\n")
    assert line.startswith(f"config.yml:8: {said}")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "name",
    [
        *("https://quay.io", "quay", "Quay.io", "quay.io/team", "quay.io:", "u@quay.io", "*.quay.io"),
        *("-a.b", "a..b", "quay.io:65536", "quay:99999", "quay.io:0"),
    ],
)
def test_a_registry_is_named_as_images_name_it(complaints, name: str) -> None:
    (line,) = complaints(f"{MINIMAL}registries: {{'{name}': {{}}}}\n")
    assert line.startswith("config.yml:6: registries.")
    assert line.endswith("is no key here: it must be the host that images name, such as quay.io or registry.example:5000")


def test_a_registry_that_looks_like_an_address_is_one(complaints) -> None:
    (line,) = complaints(f"{MINIMAL}registries: {{'10.0.0.256:5000': {{}}}}\n")
    assert "is no key here: it has a host that is no DNS name" in line


@pytest.mark.parametrize("name", ["index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_one_name(complaints, name: str) -> None:
    (line,) = complaints(f"{MINIMAL}registries: {{{name}: {{}}}}\n")
    assert line.endswith("is no key here: it must be docker.io, which is what images of Docker Hub name")


def test_the_short_form_and_the_long_one_exclude_each_other(complaints) -> None:
    assert complaints(f"{MINIMAL}docker_proxy: https://m.example\nregistries: {{docker.io: {{}}}}\n") == [
        "config.yml:6: docker_proxy is registries.docker.io.mirrors, which is given too; keep one"
    ]


def test_one_host_has_one_login(complaints) -> None:
    entry = "{{mirrors: [https://h.example/v2/{0}], username: ann, password: {0}}}"
    (line,) = complaints(f"{MINIMAL}registries:\n  quay.io: {entry.format('quay')}\n  ghcr.io: {entry.format('ghcr')}\n")
    assert line == f"config.yml:8: registries.ghcr.io: h.example is logged in to differently by two entries. {OWN_ENTRY}"


def test_the_short_form_takes_the_login_of_its_own_host() -> None:
    registries = {"m.example": Registry.model_validate({"username": "ann", "password": "x"})}
    (server,) = servers(registries, "https://m.example/v2/hub")["docker.io"]
    assert server.username == "ann"
    assert [name for name, _ in faults(registries, "http://m.example")] == ["docker.io"]


def test_a_password_may_come_from_the_environment_alone(load_text, complaints) -> None:
    text = MINIMAL + "registries:\n  quay.io: {username: ann, password: '${QUAY_PASSWORD}'}\n"
    config = load_text(text, environ={"QUAY_PASSWORD": "hunter2"})
    password = config.core.registries["quay.io"].password
    assert password is not None
    assert password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(config)
    (line,) = complaints(text)
    assert line.startswith("config.yml:7: ${QUAY_PASSWORD} is not set in the environment")


def test_a_password_never_comes_by_the_command_line(complaints) -> None:
    (line,) = complaints(MINIMAL, extra=["registries={quay.io: {username: ann, password: hunter3}}"])
    assert line.startswith("-e registries: registries is a secret")
    assert "hunter3" not in line


PAGE = (Path(__file__).parents[3] / "docs/registries.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_what_the_page_shows_is_taken(load_text, folder: Path, text: str) -> None:
    for name in re.findall(r"[\w-]+\.pem", text):
        (folder / name).write_bytes(create_authority("site", "example").certificate)
    passwords = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "hunter2")
    core = load_text(MINIMAL + text, environ=passwords).core
    assert core.registries
