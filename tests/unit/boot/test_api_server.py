"""What short keys make of API servers: files on masters, and arguments that name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, Node, Role
from kube_provision_core.boot import api_server
from kube_provision_core.config.api_server import ARGUMENTS

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
OIDC = {"issuer_url": "https://login.example", "client_id": "kubernetes", "groups_claim": "groups"}


def arguments(core: Any) -> dict[str, str]:
    return {it["name"]: it["value"] for it in api_server.settings(core).get("extraArgs", ())}


def test_without_such_keys_nothing_is_said(configure: Callable[..., Any]) -> None:
    assert (api_server.settings(configure().core), list(api_server.files(configure().core))) == ({}, [])


def test_every_file_that_an_argument_names_is_there_and_mounted(configure: Callable[..., Any], authority: str) -> None:
    core = configure(audit_policy=POLICY, pod_security="baseline", oidc=OIDC | {"ca": authority}).core
    paths = {file.path for file in api_server.files(core)}
    assert {value for value in arguments(core).values() if value.startswith("/etc/")} == paths
    mounted = {it["hostPath"]: it["readOnly"] for it in api_server.settings(core)["extraVolumes"]}
    assert mounted == {"/etc/kubernetes/api-server": True, "/var/log/kubernetes/audit": False}
    assert all(path.startswith("/etc/kubernetes/api-server/") for path in paths)


def test_each_argument_is_known_as_its_keys(configure: Callable[..., Any], authority: str) -> None:
    core = configure(audit_policy=POLICY, pod_security="baseline", oidc=OIDC | {"ca": authority}).core
    kept = {"audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"}
    assert arguments(core).keys() - kept == ARGUMENTS.keys() - {"authentication-config"}


def test_users_of_a_provider_are_nobody_else(configure: Callable[..., Any]) -> None:
    assert arguments(configure(oidc=OIDC).core) == {
        "oidc-issuer-url": "https://login.example",
        "oidc-client-id": "kubernetes",
        "oidc-username-claim": "sub",
        "oidc-username-prefix": "oidc:",
        "oidc-groups-claim": "groups",
        "oidc-groups-prefix": "oidc:",
    }


def test_how_long_logs_are_kept_is_the_users_to_say(configure: Callable[..., Any]) -> None:
    own = {"apiServer": {"extraArgs": [{"name": "audit-log-maxage", "value": "7"}]}}
    said = arguments(configure(audit_policy=POLICY, kubeadm={"cluster": own}).core)
    assert "audit-log-maxage" not in said
    assert (said["audit-log-maxbackup"], said["audit-log-maxsize"]) == ("10", "100")


def test_a_standard_holds_where_a_namespace_says_nothing(configure: Callable[..., Any]) -> None:
    (file,) = api_server.files(configure(pod_security="baseline").core)
    (plugin,) = yaml.safe_load(file.content)["plugins"]
    assert plugin["name"] == "PodSecurity"
    assert plugin["configuration"]["defaults"]["enforce"] == "baseline"
    assert plugin["configuration"]["exemptions"] == {"namespaces": ["kube-system"]}


@pytest.mark.parametrize(("role", "has"), [(Role.MASTER, True), (Role.WORKER, False)])
def test_masters_alone_have_the_files_which_root_alone_reads(
    render: Callable[..., Boot], make_node: Callable[..., Node], role: Role, has: bool
) -> None:
    rendered = render(make_node(role), audit_policy=POLICY)
    found = [file for file in rendered.files if file.path.startswith(api_server.FOLDER)]
    assert [file.mode for file in found] == [0o600] * has
