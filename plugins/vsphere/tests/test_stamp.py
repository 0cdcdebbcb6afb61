"""The stamp, as text on a machine."""

from __future__ import annotations

import pytest

from kube_provision_core import Role, Stamp
from kube_provision_vsphere import stamp

OURS = Stamp("prod", "an-id", Role.MASTER, "0123456789ab", carries_ca=True)


def test_a_stamp_is_read_as_it_was_written() -> None:
    assert stamp.load(stamp.dump(OURS)) == OURS


@pytest.mark.parametrize("text", [None, "", "no json", "[]", "{}", '{"role": "king"}', '{"role": "master"}', '"text"', "7"])
def test_anything_else_is_no_stamp(text: str | None) -> None:
    assert stamp.load(text) is None
