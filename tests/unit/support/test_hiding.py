"""What is taken for a secret, and what is left as it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from kube_provision_core.support.hiding import HIDDEN, hide, names_secret


@pytest.mark.parametrize(
    "text",
    [
        "password: hunter2",
        "vcenter_password = hunter2",
        '{"password": "hunter2 and more"}',
        "join --token hunter2=abcdef.0123456789abcdef",
        "Authorization: Bearer hunter2hunter2",
        "proxy https://me:hunter2@proxy.lan:3128/ refused",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2 that was cut",
        "host sh[1]: hunter2==\nhost sh[1]: -----END RSA PRIVATE KEY-----",
        "hunter2\\n-----END PRIVATE KEY-----",
        "AGE-SECRET-KEY-1HUNTER2",
        "Authorization: Basic hunter2hunter2",
        "kubeadm join --token hunter2 --v=5",
        '{"auth": "hunter2"}',
        "encrypt = hunter2",
        "said aHVudGVyOmFiY2RlZi4wMTIzNDU2Nzg5YWJjZGVm",
        "root:$6$saltsalt$hunter2hunter2hunter2",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\\nhunter2\\n-----END PGP PRIVATE KEY BLOCK-----",
        "client-key-data: TFMwdExTMUNSVWRKVGlCU1UwRWdVRkpKaunter2MSBLRVkt",
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "secretKey: hunter2X",
        "credentials=hunter2",
        "DB_PASS=hunter2",
        "kubelet --db-pwd hunter2",
        'err="{\\"password\\": \\"hunter2\\"}"',
        '{"password": "a\\"hunter2"}',
        'password: "hunter2 that was cut',
        "proxy http://me:hunter2/hunter2@proxy.lan",
        "proxy http://me:hunter2@hunter2@proxy.lan",
        "- name: DB_PASSWORD\n  value: hunter2\n",
        "w sh[1]: - name: DB_PASSWORD\nw sh[1]:   value: hunter2\n",
        '{"name": "DB_PASSWORD", "value": "hunter2"}',
        'said "{\\"name\\":\\"DB_PASSWORD\\",\\"value\\":\\"hunter2\\"}"',
        "{name: admin-token, value: hunter2}",
        "host sh[1]: TFMwdExTMUNSVWRKVGlCU1UwRWdVRkpKVkVGVVJTMSBLRVkt\nhost sh[1]: hunter2==\nnext",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    assert "(secret)" in hide(text)
    assert "hunter2 and" not in hide(text)
    assert "aHVudGVy" not in hide(text)
    assert not [word for word in ("hunter2", "HUNTER2", "0123456789abcdef") if word in hide(text).replace("hunter2=", "")]


@pytest.mark.parametrize(
    "text",
    [
        "the secrets in its boot data are left for the next run to take away: no master can be asked",
        "config.yml:3: vcenter_password: is missing",
        "waits for m-prod-1 to initialise the cluster",
        "10.0.2.11 install debian/packages, attempt 2 of 5: mirror.debian.org is out of reach",
        "https://mirror.lan/debian has no kubeadm 1.37.1-1.1",
        "containerd://1340c91d14c10291e45146adff38c430dcc43bc3a070341bf60c2afbae1599ed",
        "/var/lib/kubelet/pods/0b4c2f2e-8a7f-4c3e-9d1a-2b1c3d4e5f60/volumes/kubernetes.io~projected/kube-api-access-x7k2p",
        "a key is at --tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
        "authorization: webhook",
        "1340c91d14c10291e45146adff38c430dcc43bc3a070341bf60c2afbae1599ed",
        "I1129 11:00:00.1 7 secret.go:53] Caches are populated",
        'address="unix://@/containerd-shim/x.sock"',
        "TOKEN_FILE=/run/token",
        "username: admin5",
        "- name: LOG_LEVEL\n  value: hunter2\n",
        "CreateContainer within sandbox for &ContainerMetadata{Name:kube-proxy,Attempt:0,} returns container id",
        "&Container{Name:web,Image:web:1,Command:[],Args:[],WorkingDir:,Ports:[]ContainerPort{},}",
    ],
)
def test_all_else_is_left(text: str) -> None:
    assert hide(text) == text


CONTAINER = (
    "&Container{Name:web,Image:web:1,Command:[sh -c [[ hunter2 ]] && true],Args:[--db-pass hunter2\nhunter2],WorkingDir:,"
    "Ports:[]ContainerPort{},Env:[]EnvVar{EnvVar{Name:A,Value:{hunter2,},ValueFrom:nil,},EnvVar{Name:B,Value:hunter2\n"
    "hunter2,ValueFrom:nil,},},Resources:ResourceRequirements{},LivenessProbe:&Probe{ProbeHandler:ProbeHandler{Exec:"
    "&ExecAction{Command:[hunter2],},HTTPGet:&HTTPGetAction{Path:/,HTTPHeaders:[]HTTPHeader{HTTPHeader{Name:X,Value:hunter2,},}"
    ",},},},Stdin:false,} start failed in pod web_x(1): CreateContainerConfigError: no such ConfigMap"
)


@pytest.mark.parametrize("before", ["\n", "\n2026-11-29T11:00:00+0000 w-prod-1 kubelet[7]: "])
@pytest.mark.parametrize("spelling", [str, json.dumps])
def test_of_a_container_that_cannot_start_neither_environment_nor_what_it_runs_is_told(
    spelling: Callable[[str], str], before: str
) -> None:
    told = hide(spelling(f"{CONTAINER.replace(chr(10), before)}\nhunter3"))
    assert "hunter2" not in told
    for left in ("Name:web,Image:web:1,", "Resources:ResourceRequirements{}", "no such ConfigMap", "hunter3"):
        assert left in told


def test_what_is_cut_of_a_container_is_hidden_to_the_end_of_its_line() -> None:
    assert hide("a,Args:[--db-pass hunter2\nand so on.") == f"a,{HIDDEN}\nand so on."
    assert hide("EnvVar{Name:A,Value:hunter2\nand so on.") == f"{HIDDEN}\nand so on."


@pytest.mark.parametrize(
    "word",
    [
        "a",
        "aB3",
        "-",
        "--token",
        "--token ",
        "secret",
        "secret-",
        "secret:,",
        'secret="',
        "eyJ-",
        "eyJaaaaaaaa.",
        "a\\n",
        "://a:",
        ",Args:[",
        "EnvVar{Name:A,Value:",
    ],
)
def test_what_goes_on_and_on_takes_no_longer_for_that(word: str) -> None:
    """Else none of these would end on this day."""
    assert hide(word * (2**20 // len(word)))


@pytest.mark.parametrize("after", ["", "\\n", "\n"])
def test_what_follows_what_is_hidden_takes_no_longer_the_longer_it_is(after: str) -> None:
    assert hide(f"{HIDDEN}{after}" * (2**20 // 10)).startswith(HIDDEN)


def test_names_of_secrets_are_known_by_a_word_anywhere_in_them() -> None:
    secret = ("AWS_SECRET_ACCESS_KEY", "SECRET_KEY_BASE", "DB_PASS", "PWD", "ACCESS_KEY", "ENCRYPTION_KEY", "MASTER_KEY")
    others = ("TOKEN_FILE", "secret-name", "proxy_username", "passing", "cacheUnauthorizedTTL", "key")
    for name in (*secret, "CREDENTIALS", "DATABASE_URL", "db.password", "secretKey", "tokens", "auth"):
        assert names_secret(name), name
    assert not [name for name in others if names_secret(name)]
