"""What is asked of a driver that the core does not know: its own keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core import ConfigError, PluginError
from kube_provision_core.config import load
from kube_provision_core.config.commented import document, secrets
from kube_provision_core.config.draft import Draft, Question

CHOSEN = {"target": "moon", "os": "plain", "discovery": "beacon"}
ORBIT = """
from kube_provision_core import DriverConfig, Role, option
class OrbitConfig(DriverConfig):
    colour: str = option("grey", help="A colour.")
    height: int = option(300, asked=True, help="How high, see [heights](heights.md).")
    name_of_it: str = option(help="A name.", example="Mir")
    depth: int = option(0, shown=False, help="How deep.")
    width: int = option(1, shown="height", help="How wide.")
    length: int = option(1, shown="depth", help="How long.")
class Orbit:
    Config = OrbitConfig
    parallel = 1
    suggested_sizes = {Role.MASTER: {"count": 1, "mem": 7}}
    def __init__(self, config): pass
"""


def draft(**answers: str) -> Draft:
    return Draft.begin(answers, Path(), {"KUBE_PROVISION_CPU": "none"})


def asked(draft: Draft) -> dict[str, str | None]:
    return {question.key.name: question.suggestion for question in draft.questions()}


def first(draft: Draft) -> Question:
    return next(draft.questions())


def test_target_and_system_come_first_each_by_its_own_name() -> None:
    assert first(draft(discovery="beacon")).key.name == "target"
    assert {"moon", "qemu", "vsphere"} <= set(first(draft(discovery="beacon")).choices)
    assert not {"luna", "vmware"} & set(first(draft(discovery="beacon")).choices)
    assert first(draft(discovery="beacon", target="moon")).key.name == "os"


def test_what_is_required_is_asked_and_no_secret_is() -> None:
    assert asked(draft(**CHOSEN)) == {
        "template": None,
        "name": None,
        "masters": "3",
        "workers": "3",
        "pod_subnet": "10.244.0.0/16",
    }


def test_another_name_of_a_key_answers_it() -> None:
    assert asked(draft(**CHOSEN, ami="x", cluster_name="prod")).keys() == {"masters", "workers", "pod_subnet"}


def test_a_driver_says_what_else_is_asked_what_is_suggested_and_what_an_answer_looks_like(install) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT)
    begun = draft(**{**CHOSEN, "target": "orbit"})
    questions = {question.key.name: question for question in begun.questions()}
    assert list(questions)[:2] == ["name_of_it", "height"]
    assert (questions["name_of_it"].key.example, questions["height"].suggestion) == ("Mir", "300")
    assert questions["height"].key.plain_help == "How high, see heights."
    assert (questions["masters"].suggestion, questions["workers"].suggestion) == ("1", "3")
    text = document(draft(**{**CHOSEN, "target": "orbit"}, name="prod", masters="1", workers="0"), makes_discovery=True)
    assert "masters: {count: 1, cpu: 2, mem: 7}\n" in text
    assert "\n# A colour.\n# colour: grey\n" in text
    assert not any(f"# {name}: " in text for name in ("depth", "width", "length"))
    text = document(draft(**{**CHOSEN, "target": "orbit"}, height="7", depth="1"), makes_discovery=True)
    assert all(f"# {line}\n" in text for line in ("width: 1", "length: 1"))


def test_sizes_that_are_none_are_the_authors_fault(install) -> None:
    install("kpx-orbit", {"target": "orbit = kpx_orbit:Orbit"}, ORBIT.replace('"mem": 7', '"mem": "much"'))
    with pytest.raises(PluginError, match=r"Orbit.suggested_sizes: .*its author must mend it"):
        asked(draft(**{**CHOSEN, "target": "orbit"}))


def test_answers_are_looked_at_as_soon_as_there_is_one() -> None:
    draft(**CHOSEN).check()
    with pytest.raises(ConfigError, match=r"^gravity: must be a number$"):
        draft(**CHOSEN, gravity="much").check()
    with pytest.raises(ConfigError, match=r"^gravty: unknown key gravty; did you mean gravity\?$"):
        draft(**CHOSEN, gravty="1").check()
    with pytest.raises(ConfigError, match=r"^moon_password: is a secret, and is not written"):
        draft(**CHOSEN, moon_password="hunter2").check()


def test_a_secret_that_is_required_is_named_by_its_variable(tmp_path: Path) -> None:
    begun = draft(**CHOSEN, template="t", name="prod", masters="3", workers="3")
    assert [key.name for key in secrets(begun)] == ["moon_password"]
    path = tmp_path / "config.yml"
    path.write_text(document(begun, makes_discovery=True))
    config = load([path], environ={"MOON_PASSWORD": "hunter2"})
    assert config.core.name == "prod"
    with pytest.raises(ConfigError, match=r"config.yml:\d+: \$\{MOON_PASSWORD\} is not set in the environment"):
        load([path], environ={})
