"""The stamp and the status, as text on a machine."""

from __future__ import annotations

import pytest

from kube_provision_core import NodeStatus, Role, Stage, Stamp
from kube_provision_vsphere import stamp

OURS = Stamp("prod", "an-id", Role.MASTER, "0123456789ab", carries_ca=True)


def test_a_stamp_is_read_as_it_was_written() -> None:
    assert stamp.load(stamp.dump(OURS)) == OURS


@pytest.mark.parametrize("text", [None, "", "no json", "[]", "{}", '{"role": "king"}', '{"role": "master"}', '"text"', "7"])
def test_anything_else_is_no_stamp(text: str | None) -> None:
    assert stamp.load(text) is None


def test_a_status_is_read() -> None:
    text = '{"stage": "join", "state": "failed", "error": "no master answers"}'
    assert stamp.load_status(text) == NodeStatus(Stage.JOIN, "failed", "no master answers")


@pytest.mark.parametrize(
    "text", [None, "", "{", "[1]", '{"stage": "lunch", "state": "running"}', '{"stage": "join"}', '"x"']
)
def test_anything_else_is_no_status(text: str | None) -> None:
    assert stamp.load_status(text) is None
