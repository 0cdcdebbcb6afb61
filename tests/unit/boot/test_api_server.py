"""What short keys make of API servers: files on masters, and arguments that name them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, BootError, Node, Role
from kube_provision_core.boot import api_server, hardened
from kube_provision_core.config.api_server import ARGUMENTS
from kube_provision_core.folder.encryption import KEY_BYTES, Stage, create_encryption
from kube_provision_core.folder.pki import JoinSecrets, Snapshot

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
OIDC = {"issuer_url": "https://login.example", "client_id": "kubernetes", "groups_claim": "groups"}


KEYS = create_encryption()


@pytest.fixture
def given(secrets: JoinSecrets) -> JoinSecrets:
    """With keys."""
    return replace(secrets, encryption=KEYS)


def arguments(core: Any) -> dict[str, str]:
    return {it["name"]: it["value"] for it in api_server.settings(core).get("extraArgs", ())}


@pytest.fixture
def everything(configure: Callable[..., Any], authority: str) -> Any:
    own = {"audit_policy": POLICY, "pod_security": "baseline", "oidc": OIDC | {"ca": authority}}
    return configure(**own, encryption_at_rest=True).core


def test_without_such_keys_nothing_is_said(configure: Callable[..., Any], secrets: JoinSecrets) -> None:
    core = configure().core
    assert (api_server.settings(core), list(api_server.files(core, secrets)), api_server.paths(core)) == (
        {},
        [],
        frozenset(),
    )


def test_every_file_that_an_argument_names_is_there_and_mounted(everything: Any, given: JoinSecrets) -> None:
    core = everything
    paths = {file.path for file in api_server.files(core, given)}
    assert paths == api_server.paths(core) == api_server.FILES.keys() - {hardened.AUTHENTICATION}
    assert {value for value in arguments(core).values() if value.startswith("/etc/")} == paths
    mounted = {it["hostPath"]: it["readOnly"] for it in api_server.settings(core)["extraVolumes"]}
    assert mounted == {"/etc/kubernetes/api-server": True, "/var/log/kubernetes/audit": False}
    assert all(path.startswith("/etc/kubernetes/api-server/") for path in paths)


def test_each_argument_is_known_as_its_keys(everything: Any) -> None:
    kept = {"audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"}
    not_ours = {"authentication-config", "encryption-provider-config-automatic-reload"}
    not_ours |= {"anonymous-auth", "oidc-required-claim", "oidc-signing-algs"}
    assert arguments(everything).keys() - kept == ARGUMENTS.keys() - not_ours


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


def test_a_standard_holds_where_a_namespace_says_nothing(configure: Callable[..., Any], secrets: JoinSecrets) -> None:
    (file,) = api_server.files(configure(pod_security="baseline").core, secrets)
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


class TestSecretsAtRest:
    @pytest.mark.parametrize("stage", Stage)
    def test_are_encrypted_with_the_first_key_and_read_with_no_other_than_these(self, stage: Stage) -> None:
        """Nothing else: with `identity` among them whoever writes to etcd would write Secrets without a key."""
        document = yaml.safe_load(api_server.encryption_configuration(KEYS.at(stage)))
        assert (document["apiVersion"], document["kind"]) == ("apiserver.config.k8s.io/v1", "EncryptionConfiguration")
        (resource,) = document["resources"]
        (provider,) = resource["providers"]
        assert (resource["resources"], list(provider)) == (["secrets"], ["secretbox"])
        keys = provider["secretbox"]["keys"]
        assert len({key["name"] for key in keys}) == len(keys)
        assert {len(b64decode(key["secret"])) for key in keys} == {KEY_BYTES}

    @pytest.mark.parametrize("carries_ca", [True, False])
    def test_have_their_key_on_each_master_where_root_alone_reads_it(
        self, render: Callable[..., Boot], make_node: Callable[..., Node], given: JoinSecrets, carries_ca: bool
    ) -> None:
        rendered = render(make_node(carries_ca=carries_ca), given=given, encryption_at_rest=True)
        (file,) = [file for file in rendered.files if file.path == api_server.KEYS]
        assert (file.mode, file.owner, file.secret) == (0o600, "root:root", True)
        assert KEYS.key.secret in str(file.content)
        assert KEYS.next.secret not in str(rendered)

    def test_have_it_on_the_master_that_begins_with_a_snapshot(
        self, render: Callable[..., Boot], make_node: Callable[..., Node], given: JoinSecrets
    ) -> None:
        """Its API server reads what the snapshot holds, in whichever stage that was taken."""
        restored = replace(given, encryption=KEYS.at(Stage.WRITING), snapshot=Snapshot(1, "ab" * 32))
        rendered = render(make_node(carries_ca=True), given=restored, encryption_at_rest=True)
        (file,) = [file for file in rendered.files if file.path == api_server.KEYS]
        found = yaml.safe_load(file.content)["resources"][0]["providers"][0]["secretbox"]["keys"]
        assert [key["name"] for key in found] == [KEYS.next.name, KEYS.key.name]

    @pytest.mark.parametrize("role", [Role.WORKER, Role.DISCOVERY])
    def test_have_it_nowhere_else(
        self, render: Callable[..., Boot], make_node: Callable[..., Node], given: JoinSecrets, role: Role
    ) -> None:
        rendered = render(make_node(role), given=given, encryption_at_rest=True)
        everything = (*(str(file.content) for file in rendered.files), rendered.user_data)
        secret = (KEYS.key.secret, KEYS.next.secret, b64encode(KEYS.key.secret.encode()).decode().rstrip("="))
        assert not [content for content in everything if any(it in content for it in secret)]

    @pytest.mark.parametrize("wanted", [True, False])
    def test_are_not_rendered_one_way_where_the_folder_says_the_other(
        self, configure: Callable[..., Any], secrets: JoinSecrets, wanted: bool
    ) -> None:
        held = replace(secrets, encryption=None if wanted else KEYS)
        with pytest.raises(BootError, match="encryption_at_rest: the cluster was made with another setting"):
            list(api_server.files(configure(encryption_at_rest=wanted).core, held))
