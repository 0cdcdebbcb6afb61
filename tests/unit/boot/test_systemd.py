"""Our spelling of names and arguments is systemd's own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from kube_provision_core.boot import systemd

Tool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    "path", ["/", "/data", "/data/", "//a//b", "/v-1/x y", "/.hidden/.x", "/ümlaut", "/a_b:c.d", "/x@y\\z"]
)
def test_a_mount_point_becomes_the_name_that_systemd_gives_it(path: str, tool: Tool) -> None:
    assert systemd.escape_path(path) == tool("systemd-escape", "--path", path, package="systemd").stdout.strip()


def test_an_argument_is_passed_on_as_it_is() -> None:
    assert systemd.quote('a "b" \\ 100% $HOME\n') == '"a \\"b\\" \\\\ 100%% $$HOME\\n"'
