"""flag > -e > environment > role section > document > default."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube_provision_core import Role
from kube_provision_core.config import load

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(["flag", "extra", "environment", "section", "document"])))
def test_the_strongest_source_wins(folder: Path, sources: set[str]) -> None:
    text = MINIMAL
    text += "cpu: 11\n" if "document" in sources else ""
    text += "workers: {cpu: 12}\n" if "section" in sources else ""
    Path("config.yml").write_text(text)
    environ = {"KUBE_PROVISION_MOON_PASSWORD": "x"} | ({"KUBE_PROVISION_CPU": "13"} if "environment" in sources else {})
    extra = ["cpu=14"] if "extra" in sources else []
    flags = {"cpu": 15} if "flag" in sources else {}
    config = load([Path("config.yml")], extra=extra, flags=flags, environ=environ)
    strongest = [("flag", 15), ("extra", 14), ("environment", 13), ("section", 12), ("document", 11)]
    assert config.by_role[Role.WORKER].cpu == next((cpu for source, cpu in strongest if source in sources), 4)


def test_a_later_document_beats_an_earlier_one(load_text) -> None:
    assert load_text(MINIMAL + "cpu: 5\nmem: 5\n", "cpu: 6\n").core.cpu == 6


def test_a_later_extra_beats_an_earlier_one(load_text) -> None:
    assert load_text(MINIMAL, extra=["cpu=5", "cpu=6"]).core.cpu == 6


def test_an_extra_file_beats_the_environment(load_text, folder: Path) -> None:
    (folder / "more.yml").write_text("cpu: 7\n")
    assert load_text(MINIMAL, extra=["@more.yml"], environ={"KUBE_PROVISION_CPU": "6"}).core.cpu == 7


def test_a_section_of_an_extra_beats_the_same_extra_without_section(load_text) -> None:
    config = load_text(MINIMAL, extra=["cpu=5", "masters={cpu: 6}"])
    assert (config.by_role[Role.MASTER].cpu, config.by_role[Role.WORKER].cpu) == (6, 5)


def test_a_section_of_an_earlier_document_beats_a_later_document(load_text) -> None:
    assert load_text(MINIMAL + "masters: {cpu: 8}\n", "cpu: 6\n").by_role[Role.MASTER].cpu == 8


def test_a_flag_sets_the_count_and_leaves_the_section(load_text) -> None:
    config = load_text(MINIMAL + "masters: {count: 3, cpu: 8}\n", flags={"masters": 5})
    assert (config.core.masters, config.by_role[Role.MASTER].cpu) == (5, 8)


def test_the_document_beats_a_default_of_a_role(load_text) -> None:
    assert load_text(MINIMAL + "cpu: 3\n").by_role[Role.WORKER].cpu == 3


def test_an_empty_variable_counts_as_unset(load_text) -> None:
    assert load_text(MINIMAL + "cpu: 3\n", environ={"KUBE_PROVISION_CPU": ""}).core.cpu == 3


def test_the_name_may_come_from_a_flag(load_text) -> None:
    assert load_text(MINIMAL, flags={"name": "other"}).core.name == "other"


def test_a_flag_without_a_value_is_not_given(load_text) -> None:
    assert load_text(MINIMAL, flags={"name": None}).core.name == "prod"


def test_no_document_is_needed(load_text) -> None:
    extra = ["name=prod", "target=moon", "os=plain", "discovery=beacon", "template=t"]
    assert load_text(extra=extra).core.name == "prod"


@pytest.mark.parametrize("masters", ["masters: 5", "masters: {count: 5}", "masters: {count: 5, cpu: 4}"])
def test_a_count_stands_alone_or_in_its_section(load_text, masters: str) -> None:
    assert load_text(MINIMAL + masters).core.masters == 5


def test_the_discovery_machine_has_a_section_of_its_drivers_name(load_text) -> None:
    config = load_text(MINIMAL + "beacon: {cpu: 7}\n")
    assert {role.value: config.by_role[role].cpu for role in Role} == {"master": 2, "worker": 4, "discovery": 7}


def test_drivers_get_their_keys_by_role(load_text) -> None:
    config = load_text(MINIMAL + "workers: {template: w}\n").driver("target").config
    assert {role.value: config[role].template for role in Role} == {"master": "t", "worker": "w", "discovery": "t"}
