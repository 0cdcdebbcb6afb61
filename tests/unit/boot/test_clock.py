"""The clock is right before anything checks a certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot

Render = Callable[..., Boot]


def steps(rendered: Boot) -> list[tuple[str, str]]:
    """Plugins and steps in running order."""
    listed = next(file for file in rendered.files if file.path == "/etc/kube-provision/steps.json")
    return [(step["plugin"], step["name"]) for step in yaml.safe_load(str(listed.content))]


def cloud_config(rendered: Boot) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(rendered.user_data)
    return values


@pytest.mark.parametrize("system", ["centos", "debian", "ubuntu"])
def test_nothing_is_done_before_the_clock_is_right(render: Render, content: Callable[[Boot, str], str], system: str) -> None:
    rendered = render(os=system, ntp_servers=["10.0.0.1"], pre_commands=["curl https://site.example"])
    assert cloud_config(rendered)["ntp"] == {"enabled": True, "servers": ["10.0.0.1"]}
    assert steps(rendered)[0] == ("clock", "synchronised")
    assert "10.0.0.1 >&2" in content(rendered, "clock-synchronised.sh")


def test_without_time_servers_nobody_waits_for_the_clock(render: Render) -> None:
    rendered = render()
    assert "clock" not in dict(steps(rendered))
    assert "ntp" not in cloud_config(rendered)
