"""What goes into a script arrives as it is."""

from __future__ import annotations

import subprocess

import pytest

from kube_provision_core import shell_arrays

HOSTILE = ["plain", "two words", "", "$(touch /nowhere)", "it's", 'a "b"', "*", "a\nb"]


@pytest.mark.parametrize("items", [[], ["one"], HOSTILE])
def test_the_shell_sees_what_was_given(items: list[str]) -> None:
    script = shell_arrays(others=["x"], items=iter(items)) + 'printf "%s\\0" "${#items[@]}" "${items[@]}" "${others[@]}"'
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60).stdout
    expected = [str(len(items)), *items, "x"]
    assert said.split("\0")[:-1] == expected


def test_nothing_is_no_line() -> None:
    assert shell_arrays() == ""
