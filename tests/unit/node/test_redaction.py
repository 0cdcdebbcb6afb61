"""Secrets that programs print do not leave the node; what people need to read does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kube_provision_core.folder.pki import create_certificate_key, create_pki, create_token
from kube_provision_node.redaction import HIDDEN, Redaction

KEY = create_pki("prod").files["ca.key"].decode()
GOSSIP = "6kS2vYk0N1tqzE4Xh1Jv5w=="


@pytest.fixture
def redact(tmp_path: Path) -> Redaction:
    return Redaction(tmp_path)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"kubeadm join localhost:8443 --token {(token := create_token())}", token),
        (f"--certificate-key {(key := create_certificate_key())}", key),
        (f"certificateKey: {key}", key),
        ("password=hunter2hunter2", "hunter2hunter2"),
        ('"encrypt": "c2VjcmV0LXNlY3JldA=="', "c2VjcmV0LXNlY3JldA"),
        ("http://me:sesame-open@proxy.lan:3128/", "sesame-open"),
        ("Authorization: Bearer abcDEF123", "abcDEF123"),
        ("X-Consul-Token: 0a1b2c3d", "0a1b2c3d"),
        ("token eyJhbGciOiJ.eyJpc3MiOiJrdWJl.c2lnbmF0dXJl", "eyJpc3MiOiJrdWJl"),
        *((line, line) for line in KEY.splitlines()[1:-2]),
    ],
    ids=lambda _: "text",  # made anew by every process, and processes that share the tests must agree on their names
)
def test_what_looks_like_a_secret_is_hidden(redact: Redaction, text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert HIDDEN in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "E: Failed to fetch https://pkgs.k8s.io/core:/stable:/v1.36/deb/x  Temporary failure resolving 'pkgs.k8s.io'",
        "the certificate authority is sha256:8b47ff2fe5f85aed300e2ae9bffb3d2e26652eb04e8d9d660de01e5342ad7728",
        "pulling registry.k8s.io/pause@sha256:278fb9dbcca9518083ad1e11276933a2e96f23de604a3a08cc3c80002767d24c",
        'could not find a JWS signature in the cluster-info ConfigMap for token ID "5xf60f"',
        'error downloading the secret: Secret "kubeadm-certs" was not found in the "kube-system" Namespace',
        "/usr/local/lib/kube-provision/steps/03-install/debian-packages.sh: line 7: kubeadm: command not found",
        "node m-production-1.berlin.example.org at 10.244.123.101/24 waits for https://localhost:8443/readyz",
    ],
)
def test_what_people_need_is_not_hidden(redact: Redaction, text: str) -> None:
    assert redact(text) == text


def test_what_stands_in_a_private_file_of_the_node_is_hidden_wherever_it_turns_up(tmp_path: Path) -> None:
    secrets = {"encrypt": GOSSIP, "acl": {"tokens": {"default": "0f3f8d1e-7a44-4c0e-8e5b-6b1f1f0d9c3a"}}}
    private = tmp_path / "consul/secrets.json"
    private.parent.mkdir()
    private.write_text(json.dumps(secrets))
    private.chmod(0o640)
    redact = Redaction(tmp_path)
    assert redact(f"key {GOSSIP}, token 0f3f8d1e-7a44-4c0e-8e5b-6b1f1f0d9c3a") == f"key {HIDDEN}, token {HIDDEN}"


def test_what_everybody_may_read_is_no_secret(tmp_path: Path) -> None:
    public = tmp_path / "node.json"
    public.write_text('{"cluster_id": "0f3f8d1e-7a44-4c0e-8e5b-6b1f1f0d9c3a"}')
    public.chmod(0o644)
    assert Redaction(tmp_path)("cluster 0f3f8d1e-7a44-4c0e-8e5b-6b1f1f0d9c3a").endswith("9c3a")


def test_names_that_the_configuration_of_kubeadm_holds_are_no_secrets(tmp_path: Path) -> None:
    private = tmp_path / "kubeadm-join.yaml"
    private.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nnodeRegistration:\n  name: m-production-cluster-1\n"
        "  criSocket: unix:///run/containerd/containerd.sock\n"
    )
    private.chmod(0o600)
    text = "m-production-cluster-1: kubeadm.k8s.io/v1beta4 at unix:///run/containerd/containerd.sock"
    assert Redaction(tmp_path)(text) == text
