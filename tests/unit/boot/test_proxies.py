"""Machines behind a proxy reach each other without it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core import Boot

ENVIRONMENT = "/etc/kube-provision/proxy.env"


@pytest.fixture
def proxied(render: Callable[..., Boot]) -> Boot:
    return render(
        https_proxy="http://proxy:3128", proxy_username="me", proxy_password="it's-$ecret@", no_proxy=["10.0.0.0/8"]
    )


def test_the_services_are_told_without_showing_the_password(proxied: Boot, content: Callable[[Boot, str], str]) -> None:
    environment = next(file for file in proxied.files if file.path == ENVIRONMENT)
    assert (environment.mode, environment.secret) == (0o600, True)
    for unit in ("containerd.service.d/kube-provision-proxy.conf", "kubelet.service.d/kube-provision-proxy.conf"):
        assert f"EnvironmentFile={ENVIRONMENT}" in content(proxied, unit)
    assert f"EnvironmentFile={ENVIRONMENT}" in content(proxied, "/etc/systemd/system/kube-provision.service")
    assert "24ecret" not in "".join(str(file.content) for file in proxied.files if file.path != ENVIRONMENT)


def test_what_is_inside_is_reached_directly(proxied: Boot, content: Callable[[Boot, str], str]) -> None:
    (line,) = (line for line in content(proxied, ENVIRONMENT).splitlines() if line.startswith("no_proxy="))
    inside = {"localhost", "127.0.0.1", "10.244.0.0/16", "10.96.0.0/12", ".svc", ".cluster.local", "10.0.0.9", "10.0.0.11"}
    assert inside | {"10.0.0.0/8"} <= set(line.removeprefix("no_proxy=").strip('"').split(","))


def test_the_machine_adds_the_networks_that_it_is_connected_to(
    proxied: Boot, content: Callable[[Boot, str], str], tmp_path: Path
) -> None:
    (tmp_path / "proxy.env").write_text(content(proxied, ENVIRONMENT))
    (tmp_path / "ip").write_text("#!/bin/sh\necho '192.168.7.0/24 dev ens33 proto kernel'\necho '172.16.0.0/12 dev ens34'\n")
    (tmp_path / "ip").chmod(0o755)
    script = content(proxied, "direct-networks.sh").replace("/etc/kube-provision", str(tmp_path))
    command = f'{script}\n. {tmp_path}/no-proxy.env\necho "$https_proxy"'
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "http://me:it%27s-%24ecret%40@proxy:3128\n"
    lower, upper = (tmp_path / "no-proxy.env").read_text().splitlines()
    assert lower.endswith(',10.0.0.0/8,192.168.7.0/24,172.16.0.0/12"')
    assert upper == f"NO_PROXY{lower.removeprefix('no_proxy')}"
    subprocess.run(["bash", "-c", script], env=environment, check=True, timeout=60)
    assert (tmp_path / "no-proxy.env").read_text().splitlines() == [lower, upper]


def test_without_a_proxy_nothing_is_said_about_one(render: Callable[..., Boot]) -> None:
    assert not any("proxy.env" in str(file.content) for file in render(no_proxy=["x"]).files)
