"""Whatever is given: no traceback, and no secret in an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kube_provision_core import KubeProvisionError
from kube_provision_core.config import load

SECRET = "hunter2hunter2"
DOCUMENT = f"""\
name: prod
target: moon
os: plain
discovery: beacon
template: t
moon_password: {SECRET}
masters: {{count: 3, cpu: 2, moon_token: '{SECRET}'}}
workers:
  count: 2
  landers:
  - legs: 3
    colour: grey
anything: {{a: 1, b: [x, "y"]}}
files:
  /etc/motd: motd
commands: ["echo ${{A}}"]
"""
MANGLES = st.lists(
    st.tuples(
        st.integers(0, len(DOCUMENT)),
        st.integers(0, 3),
        st.text(st.sampled_from("\n\t :-{}[]'\"&*!#|>%@`,?~$x0"), max_size=3),
    ),
    min_size=1,
    max_size=4,
)
ENVIRON = {"A": "a", "KUBE_PROVISION_BEACON_KEY": SECRET}
bounded = settings(
    max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def outcome(**given: object) -> str:
    """What a user reads; anything but an expected error fails the test."""
    try:
        return repr(load([Path("config.yml")], environ=ENVIRON, **given))
    except KubeProvisionError as error:
        return str(error)


@pytest.fixture(autouse=True)
def _motd(folder: Path) -> None:
    (folder / "motd").write_text("hello")


def mangle(text: str, mangles: list[tuple[int, int, str]]) -> str:
    """Replace some characters; the secret itself stays in one piece, or is no secret any more."""
    for at, length, new in mangles:
        text = text[:at] + new + text[at + length :]
    return text


@bounded
@given(MANGLES)
@example([(DOCUMENT.index(SECRET) - 1, 1, "")])
@example([(DOCUMENT.index(SECRET) - 2, 2, "")])
@example([(DOCUMENT.index(SECRET), 0, "\n")])
@example([(DOCUMENT.index(SECRET), 0, "*")])
@example([(DOCUMENT.rindex(SECRET) - 3, 3, "")])
def test_a_mangled_document_shows_no_secret(mangles: list[tuple[int, int, str]]) -> None:
    Path("config.yml").write_text(mangle(DOCUMENT, mangles))
    assert SECRET not in outcome()


@bounded
@given(st.binary(max_size=200))
def test_bytes_of_any_kind_make_no_traceback(data: bytes) -> None:
    Path("config.yml").write_bytes(data)
    outcome()


@bounded
@given(
    st.text(max_size=60), st.sampled_from(["cpu", "landers", "anything", "masters", "beacon", "name", "files", "key_file"])
)
def test_extras_of_any_kind_make_no_traceback(text: str, key: str) -> None:
    Path("config.yml").write_text(DOCUMENT)
    outcome(extra=[f"{key}={text}"])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@bounded
@given(
    VALUES,
    st.sampled_from(["cpu", "landers", "masters", "beacon", "files", "containers", "pod_subnet", "extensions", "target"]),
)
def test_values_of_any_shape_make_no_traceback(value: object, key: str) -> None:
    Path("config.yml").write_text(DOCUMENT.replace("masters:", "x-masters:") + f"{key}: {json.dumps(value)}\n")
    outcome()
