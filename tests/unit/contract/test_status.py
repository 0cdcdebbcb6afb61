"""Reading what a node has published: a machine may write anything there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_provision_core import NodeStatus, Stage

WHOLE = NodeStatus(
    Stage.INSTALL,
    "running",
    "debian/packages: exit code 100",
    step="debian/packages",
    attempt=2,
    attempts=5,
    diagnosis="repository-unreachable",
    cause="the package repository mirror.lan cannot be reached",
    advice="name a mirror",
    log=("Reading package lists...", "E: Failed to fetch"),
)


def test_the_least_that_is_a_status() -> None:
    text = '{"stage": "join", "state": "failed", "error": "no master answers"}'
    assert NodeStatus.parse(text) == NodeStatus(Stage.JOIN, "failed", "no master answers")


def test_keys_of_a_later_version_are_ignored() -> None:
    assert NodeStatus.parse('{"stage": "join", "state": "running", "mood": "good"}') == NodeStatus(Stage.JOIN, "running")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[1]",
        '"x"',
        "7",
        "null",
        '{"stage": "join"}',
        '{"stage": "lunch", "state": "running"}',
        '{"stage": ["join"], "state": "running"}',
        '{"stage": "join", "state": "perhaps"}',
        '{"stage": "join", "state": {}}',
        '{"stage": "join", "state": "failed", "error": 7}',
        "[" * 100_000,
    ],
    ids=lambda text: str(text)[:30],
)
def test_anything_else_is_none(text: str | None) -> None:
    assert NodeStatus.parse(text) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("log", "text"),
        ("log", [1, {}]),
        ("attempt", "2"),
        ("attempt", True),
        ("attempt", -1),
        ("replace", "yes"),
        ("cause", []),
        ("doing", {}),
    ],
)
def test_a_part_that_makes_no_sense_is_left_out(key: str, value: object) -> None:
    status = NodeStatus.parse(json.dumps({"stage": "join", "state": "running", key: value}))
    assert status
    assert not getattr(status, key) or status.log == ("", "")


def test_what_is_longer_than_any_node_makes_it_is_cut() -> None:
    text = json.dumps({"stage": "join", "state": "failed", "error": "x" * 10**6, "log": ["y" * 10**5] * 1000})
    status = NodeStatus.parse(text)
    assert status
    assert len(status.error) + sum(map(len, status.log)) < 200_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["stage", "state", "error", "log", "attempt"]), inner)
        ),
    )
)
def test_nothing_that_is_json_makes_it_stumble(document: object) -> None:
    parsed = NodeStatus.parse(json.dumps(document))
    assert parsed is None or isinstance(parsed, NodeStatus)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (NodeStatus(Stage.JOIN, "running"), "join"),
        (NodeStatus(Stage.JOIN, "running", step="kubeadm/membership", attempt=1, attempts=5), "join kubeadm/membership"),
        (NodeStatus(Stage.JOIN, "running", step="kubeadm/membership", doing="joins the cluster"), "join: joins the cluster"),
        (
            NodeStatus(Stage.JOIN, "running", "exit code 1", attempt=2, attempts=5, doing="joins the cluster"),
            "join: joins the cluster, attempt 2 of 5: exit code 1",
        ),
        (WHOLE, "install debian/packages, attempt 2 of 5: the package repository mirror.lan cannot be reached"),
        (NodeStatus(Stage.JOIN, "failed", "in its own words"), "join: in its own words"),
    ],
)
def test_progress_is_told_in_a_line(status: NodeStatus, words: str) -> None:
    assert status.progress == words


def test_a_status_is_read_as_it_was_written() -> None:
    assert NodeStatus.parse(WHOLE.text) == WHOLE
    assert "\n" not in WHOLE.text
