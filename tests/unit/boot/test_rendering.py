"""Whose the parts of a machine's boot are; and rendering while the run's secrets change."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from kube_provision_core import Boot, Cluster, Node, Role, boot
from kube_provision_core.folder.pki import JoinSecrets, create_token
from kube_provision_core.registry import Plugins

from .conftest import plugged


def test_no_plugin_can_bear_a_name_of_the_cores_own(
    render: Callable[..., Boot], content: Callable[[Boot, str], str], authority: str, tmp_path: Path
) -> None:
    """Steps run in the order of plugins' names, but for some of the core's own."""
    (tmp_path / "motd").write_text("hello\n")
    rendered = render(
        trusted_ca=authority,
        ntp_servers=["10.0.0.1"],
        commands=["true"],
        files={"/etc/motd": {"source": str(tmp_path / "motd"), "owner": "me:me"}},
    )
    owners = {step["plugin"] for step in json.loads(content(rendered, "steps.json"))}
    assert owners - {"fake", "seeker", "ubuntu"} == set(boot.OWN_NAMES)


def test_machines_are_rendered_side_by_side_with_secrets_of_their_own(
    manager: Plugins,
    configure: Callable[..., Any],
    make_node: Callable[..., Node],
    cluster: Cluster,
    secrets: JoinSecrets,
    content: Callable[[Boot, str], str],
) -> None:
    """A machine that is started renders while a living cluster is given fresh secrets for those that are made."""
    config, node = configure(), make_node(Role.WORKER)
    given = [replace(secrets, token=create_token()) for _ in range(40)]
    with plugged(manager, config, {}), ThreadPoolExecutor(8) as pool:
        renderer = boot.renderer(manager, config)
        whole = {file.path for file in renderer.render(node, cluster, secrets).files}
        boots = list(pool.map(lambda own: renderer.render(node, cluster, own), given))
    assert all({file.path for file in one.files} == whole for one in boots)
    assert all(own.token in content(one, "kubeadm-join.yaml") for one, own in zip(boots, given, strict=True))
