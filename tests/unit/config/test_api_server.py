"""What API servers are told by short keys: what is taken, and what is refused at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"
LOGIN = "issuer_url: 'https://login.example', client_id: kubernetes"
LEVEL = "a rule's level must be None, Metadata, Request or RequestResponse"


def test_a_policy_is_read_whole(load_text, folder: Path) -> None:
    (folder / "policy.yaml").write_text(POLICY)
    assert load_text(MINIMAL + "audit_policy: policy.yaml\n").core.audit_policy == POLICY


@pytest.mark.parametrize(
    ("policy", "line", "said"),
    [
        (POLICY.replace("audit.k8s.io/v1", "v1"), 1, "apiVersion must be audit.k8s.io/v1"),
        (POLICY.replace("kind: Policy\n", ""), 1, "kind must be Policy"),
        ("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: []\n", 1, "rules must be a list, with one rule at least"),
        (f"{POLICY}- level: Some\n", 5, LEVEL),
        (f"{POLICY}- verbs: [get]\n", 5, LEVEL),
        (f"{POLICY}kind: Policy\n", 5, "kind"),
    ],
)
def test_a_policy_that_no_api_server_starts_with_is_told_with_its_line(
    complaints, folder: Path, policy: str, line: int, said: str
) -> None:
    (folder / "policy.yaml").write_text(policy)
    (told,) = complaints(MINIMAL + "audit_policy: policy.yaml\n")
    assert told.startswith(f"config.yml:6: audit_policy: {folder}/policy.yaml:{line}: {said}")


def test_a_policy_is_read_whole_or_not_at_all(complaints, folder: Path) -> None:
    """What is behind its first so many bytes counts as well."""
    (folder / "policy.yaml").write_text(POLICY + "# no more\n" * 500_000 + "- level: None\n")
    assert complaints(MINIMAL + "audit_policy: policy.yaml\n") == [
        f"config.yml:6: audit_policy: {folder}/policy.yaml is larger than 4 MiB"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("audit_policy: nowhere.yaml", "config.yml:6: audit_policy: there is no file {folder}/nowhere.yaml"),
        (
            "oidc: {issuer_url: 'http://login.example', client_id: k}",
            "config.yml:6: oidc.issuer_url: must be an https:// URL, below which /.well-known/openid-configuration is",
        ),
        ("oidc: {issuer_url: 'https://login.example'}", "config.yml:6: oidc.client_id: is missing"),
        (f"oidc: {{{LOGIN}, groups_prefix: ''}}", "config.yml:6: oidc.groups_prefix: must be one line of text"),
        (f"oidc: {{{LOGIN}, group_claim: g}}", "config.yml:6: unknown key group_claim in oidc; did you mean groups_claim?"),
        (
            "encryption_at_rest: aescbc",
            "config.yml:6: encryption_at_rest: must be true or false",
        ),
        (
            "encryption_at_rest: true\nkubeadm: {cluster: {apiServer: {extraArgs: [\n"
            "  {name: encryption-provider-config, value: /x}]}}}",
            "config.yml:8: kubeadm.cluster.apiServer.extraArgs[0]: encryption-provider-config and the key "
            "encryption_at_rest; keep one",
        ),
        ("hardened: cis", "config.yml:6: hardened: must be true or false"),
        (
            "hardened: true",
            "config.yml:6: hardened: asks for Secrets that are encrypted; set encryption_at_rest: true as well",
        ),
        *(
            (
                "encryption_at_rest: true\nhardened: true\nkubeadm: {cluster: {apiServer: {extraArgs: [\n"
                f"  {{name: {name}, value: 'true'}}]}}}}}}",
                f"config.yml:9: kubeadm.cluster.apiServer.extraArgs[0]: {name} and the key hardened; keep one",
            )
            for name in ("anonymous-auth", "authentication-config", "oidc-required-claim", "audit-policy-file")
        ),
        ("pod_security: strict", "config.yml:6: pod_security: must be one of 'baseline' or 'restricted'"),
        (
            "pod_security: baseline\nkubeadm: {cluster: {apiServer: {extraArgs: [\n"
            "  {name: admission-control-config-file, value: /x}]}}}",
            "config.yml:8: kubeadm.cluster.apiServer.extraArgs[0]: admission-control-config-file and the key pod_security; "
            "keep one",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(complaints, folder: Path, text: str, said: str) -> None:
    assert complaints(f"{MINIMAL}{text}\n") == [said.format(folder=folder)]


def test_an_argument_is_free_where_no_key_sets_it(load_text) -> None:
    load_text(
        f"{MINIMAL}kubeadm: {{cluster: {{apiServer: {{extraArgs: [{{name: oidc-client-id, value: k}}]}}}}}}\n"
        "pod_security: baseline\n"
    )
