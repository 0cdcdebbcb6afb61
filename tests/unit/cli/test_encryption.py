"""`kube-provision encryption`, and `plan rotate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path("state/kube-provision/prod")
SHOWN = ("encryption", "-c", "config.yml", "-o", "json")


@pytest.fixture
def encrypted(run, world) -> None:
    """A cluster whose folder has keys."""
    with Path("config.yml").open("a") as file:
        file.write("encryption_at_rest: true\n")
    assert run("provision", "-c", "config.yml", "--no-wait").code == 0


def test_keys_are_told_by_their_names_alone(run, encrypted) -> None:
    ran = run(*SHOWN)
    held = json.loads((FOLDER / "encryption.json").read_text())
    names = [key["name"] for key in held["keys"]]
    assert json.loads(ran.out) == {"cluster": "prod", "key": names[0], "next": names[1], "stage": "settled"}
    table = run("encryption", "-c", "config.yml")
    assert names[0] in table.out
    assert not [key for key in held["keys"] if key["secret"] in ran.out + table.out]


@pytest.mark.parametrize("there", [True, False])
def test_where_secrets_are_not_encrypted_there_is_none(run, world, there: bool) -> None:
    if there:
        run("provision", "-c", "config.yml", "--no-wait")
    assert json.loads(run(*SHOWN).out) == {"cluster": "prod", "key": "", "next": "", "stage": "off"}


def test_what_is_not_made_yet_has_none_either(run, world) -> None:
    with Path("config.yml").open("a") as file:
        file.write("encryption_at_rest: true\n")
    assert json.loads(run(*SHOWN).out)["stage"] == "off"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["encryption", "rotate"], "cluster prod is not initialised, and has no Secrets yet: provision it"),
        (["plan", "rotate"], "cluster prod is not initialised, and has no Secrets yet: provision it"),
        (["encryption", "turn"], "'turn' is not 'rotate'"),
        (["encryption", "--progress", "json"], "--progress goes with `encryption rotate`"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(run, encrypted, world, words: list[str], said: str) -> None:
    ran = run(*words, "-c", "config.yml")
    assert ran.code == 2
    assert said in ran.line
    assert world.tasks == {}


def test_a_key_that_was_set_later_is_refused_at_once(run, world) -> None:
    run("provision", "-c", "config.yml", "--no-wait")
    ran = run("provision", "-c", "config.yml", "--no-wait", "-e", "encryption_at_rest=true")
    assert ran.code == 2
    assert "encryption_at_rest: cluster prod was made without it" in ran.line
    assert not (FOLDER / "encryption.json").exists()
