"""The stand-in of an API server answers without a name whom it is told to, as upstream's does."""

from __future__ import annotations

from pathlib import Path

import pytest
from machines.standins import authentication
from machines.standins.faults import StandInError

from kube_provision_core.boot import hardened
from kube_provision_core.boot.yaml_text import dump

TEXT = dump(hardened.authentication([]))


def given(path: Path, text: str) -> Path:
    file = path / "authentication.yaml"
    file.write_text(text)
    return file


def test_whoever_is_told_of_is_answered_and_nobody_else(tmp_path: Path) -> None:
    assert authentication.anonymous(given(tmp_path, TEXT)) == {*hardened.ANONYMOUS}
    assert authentication.anonymous(given(tmp_path, TEXT.replace("enabled: true", "enabled: false"))) == set()


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("AuthenticationConfiguration", "Authentication"),
        TEXT.replace("anonymous:", "anonymus:"),
        TEXT + "more: 1\n",
        TEXT.replace("path: /livez", "path: livez"),
        "",
        "[",
    ],
)
def test_what_upstream_does_not_start_with_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(StandInError, match="failed to load authentication configuration from file"):
        authentication.anonymous(given(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StandInError, match="No such file"):
        authentication.anonymous(tmp_path / "authentication.yaml")
