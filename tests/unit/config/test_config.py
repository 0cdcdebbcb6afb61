"""The configuration as the rest of the program uses it."""

from __future__ import annotations

import re

import pytest

from kube_provision_core import Role

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


def test_a_spec_is_twelve_hexadecimal_digits(load_text) -> None:
    assert re.fullmatch("[0-9a-f]{12}", load_text(MINIMAL).spec(Role.MASTER))


def test_a_spec_is_the_same_in_every_run(load_text) -> None:
    assert load_text(MINIMAL).spec(Role.MASTER) == "73c84d5b102a"


@pytest.mark.parametrize(
    "change", ["masters: {cpu: 8}", "boot_disk_size: 50", "masters: {template: u}", "masters: {landers: [{legs: 3}]}"]
)
def test_another_machine_is_another_spec(load_text, change: str) -> None:
    before, after = load_text(MINIMAL), load_text(MINIMAL, change)
    assert before.spec(Role.MASTER) != after.spec(Role.MASTER)


@pytest.mark.parametrize(
    "change",
    ["masters: 5\nworkers: 9", "moon_password: other", "moon_token: other", "commands: [a]", "workers: {cpu: 9}", "base: x",
     "landers: []"],
)  # fmt: skip
def test_counts_secrets_and_the_way_to_the_target_are_no_part_of_a_spec(load_text, change: str) -> None:
    environ = {"KUBE_PROVISION_MOON_PASSWORD": ""}
    before, after = load_text(MINIMAL), load_text(MINIMAL + "moon_password: a", change, environ=environ)
    assert before.spec(Role.MASTER) == after.spec(Role.MASTER)


def test_another_name_for_the_driver_is_the_same_spec(load_text) -> None:
    moon, luna = load_text(MINIMAL), load_text(MINIMAL.replace("moon", "luna"))
    assert moon.spec(Role.MASTER) == luna.spec(Role.MASTER)


def test_generated_secrets_fill_every_role(load_text) -> None:
    config = load_text(MINIMAL)
    values = {key: make() for key, make in config.generated().items()}
    filled = config.with_generated(values).driver("discovery").config
    assert {filled[role].beacon_key.get_secret_value() for role in Role} == {"made"}


def test_a_secret_that_the_user_gave_is_not_generated(load_text) -> None:
    config = load_text(MINIMAL + "beacon_key: mine\n")
    assert config.generated() == {}
    filled = config.with_generated({"beacon_key": "made"}).driver("discovery").config
    assert filled[Role.MASTER].beacon_key.get_secret_value() == "mine"


def test_filling_in_leaves_everything_else(load_text) -> None:
    config = load_text(MINIMAL + "beacon_ip: 10.0.0.1\n").with_generated({"beacon_key": "made"})
    assert config.driver("discovery").config[Role.MASTER].beacon_ip == "10.0.0.1"
    assert config.driver("target").config[Role.MASTER].template == "t"


def test_roles_that_do_not_differ_share_their_configuration(load_text) -> None:
    config = load_text(MINIMAL).driver("target").config
    assert config[Role.MASTER] is config[Role.WORKER]
