"""Secrets come by file or environment, and never show."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core.contract.machines import Role

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


def test_a_secret_by_extra_is_refused(complaints) -> None:
    (line,) = complaints(MINIMAL, extra=["moon_token=hunter3"])
    assert line.startswith("-e moon_token: moon_token is a secret")
    assert "KUBE_PROVISION_MOON_TOKEN" in line
    assert "hunter3" not in line


def test_a_secret_by_flag_is_refused(complaints) -> None:
    (line,) = complaints(MINIMAL, flags={"moon_token": "hunter3"})
    assert line.startswith("--moon-token: moon_token is a secret")
    assert "hunter3" not in line


def test_a_secret_in_a_section_of_an_extra_is_refused(complaints) -> None:
    (line,) = complaints(MINIMAL, extra=["masters={moon_token: hunter3}"])
    assert "moon_token is a secret" in line
    assert "hunter3" not in line


def test_a_secret_by_an_extra_file_is_fine(load_text, folder: Path) -> None:
    (folder / "secrets.yml").write_text("moon_token: t\n")
    load_text(MINIMAL, extra=["@secrets.yml"])


def test_a_secret_that_its_driver_shows_is_not_shown(complaints) -> None:
    (line,) = complaints(MINIMAL, environ={"KUBE_PROVISION_MOON_PASSWORD": "bad-hunter2"})
    assert line == "KUBE_PROVISION_MOON_PASSWORD: is not valid (the reason is not shown: it holds a secret)"


def test_a_secret_of_the_wrong_type_is_not_shown(complaints) -> None:
    assert complaints(MINIMAL + "moon_token: [hunter3]\n") == ["config.yml:6: moon_token: must be text"]


def test_an_extra_without_a_key_is_not_shown(complaints) -> None:
    assert complaints(MINIMAL, extra=["cpu=2", "hunter3"]) == ["-e: number 2 is neither KEY=VALUE nor @FILE"]


def test_a_secret_that_ran_into_its_key_is_not_shown(complaints) -> None:
    (line,) = complaints("{" + MINIMAL.replace("\n", ", ") + "moon_password:hunter3}")
    assert line == "config.yml:1: unknown key moon_password… (is there a space after its colon?)"


def test_a_secret_that_is_one_word_with_its_key_is_not_shown(complaints) -> None:
    (line,) = complaints(MINIMAL + "moon_passwordhunter3: x\n")
    assert line == "config.yml:6: unknown key moon_password… (is there a space after its colon?)"


@pytest.mark.parametrize(
    "value", ["*hunter3", "!hunter3 x", "%hunter3", "@hunter3", "'hunter3", '"\\hunter3"', "a: hunter3"]
)
def test_a_secret_that_is_no_yaml_is_not_shown(complaints, value: str) -> None:
    assert "hunter3" not in "\n".join(complaints(MINIMAL + f"moon_password: {value}\n"))


def test_a_missing_secret_is_told_with_its_variable(complaints) -> None:
    (line,) = complaints(MINIMAL, environ={"KUBE_PROVISION_MOON_PASSWORD": ""})
    assert line == (
        "config.yml: moon_password is missing: The password. Set KUBE_PROVISION_MOON_PASSWORD in the environment, or write "
        "`moon_password: …` in a file, never on the command line"
    )


def test_a_misspelt_variable_of_a_missing_secret_is_told(complaints) -> None:
    environ = {"KUBE_PROVISION_MOON_PASSWORD": "", "KUBE_PROVISION_MOON_PASWORD": "hunter3"}
    (line,) = complaints(MINIMAL, environ=environ)
    assert line.endswith("(KUBE_PROVISION_MOON_PASWORD is set: is it misspelt?)")


def test_a_configuration_does_not_show_its_secrets(load_text) -> None:
    assert "hunter2" not in repr(load_text(MINIMAL))


def test_another_secret_is_no_other_content(load_text) -> None:
    one, other, wished = (
        load_text(MINIMAL, environ={"KUBE_PROVISION_MOON_TOKEN": token}, extra=[f"cpu={cpu}"]).content(Role.WORKER)
        for token, cpu in (("hunter2", 2), ("hunter3", 2), ("hunter2", 8))
    )
    assert one == other
    assert one != wished
