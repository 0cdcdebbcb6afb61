"""Of one seed come all secrets of a Consul that is provisioned."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from servers.debian import require

from kube_provision_consul.node.closed import pem
from kube_provision_consul.node.rights import token
from kube_provision_consul.seed import Certificate, Seed, new_seed

TEXT = "00112233445566778899aabbccddeeff" * 2
SEED = Seed(TEXT)


def test_a_seed_gives_the_same_in_every_version() -> None:
    """Machines of a cluster have what was derived when they were made, and their operator derives it anew."""
    assert SEED.of_tokens == "100837a4d82e8e154e5e5a5659dc4f203f3864aaa6a8041c53c13d627648fc05"
    assert SEED.management == "8f02f84b-4af8-460f-93a0-757f8ece1fb3"
    assert token(SEED.of_tokens, "w-prod-1") == (
        "3fb7d1dc-243f-449e-ab41-06042780751a",
        "f32d94c5-0883-4616-ba5e-f73a8651655f",
    )
    assert SEED.mark("w-prod-1") == "9a25cec417f73861"
    key = SEED.certificate("w-prod-1", server=False).key
    assert hashlib.sha256(key.encode()).hexdigest()[:16] == "f5788bb67f5df104"


def test_each_machine_has_a_token_of_its_own_and_so_has_each_cluster() -> None:
    names = ("m-prod-1", "m-prod-2", "management", "")
    secrets = [seed.token(name) for seed in (SEED, Seed(new_seed())) for name in names]
    assert len({*secrets, SEED.management}) == 2 * len(names) + 1
    assert {UUID(secret).version for secret in secrets} == {4}


def verified(certificate: Certificate, authority: str, purpose: str, folder: Path) -> bool:
    """By OpenSSL."""
    require("openssl")
    (folder / "ca.pem").write_text(pem("CERTIFICATE", authority))
    (folder / "own.pem").write_text(pem("CERTIFICATE", certificate.certificate))
    files = ["-CAfile", folder / "ca.pem", folder / "own.pem"]
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, *files]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("server", [True, False])
def test_a_certificate_is_good_for_what_its_machine_does(tmp_path: Path, server: bool) -> None:
    own = SEED.certificate("server.dc1.consul" if server else "w-prod-1", server=server)
    assert verified(own, own.authority, "sslclient", tmp_path)
    assert verified(own, own.authority, "sslserver", tmp_path) is server


def test_the_authority_of_a_later_run_is_the_same(tmp_path: Path) -> None:
    own = SEED.certificate("w-prod-1", server=False)
    assert verified(own, SEED.authority, "sslclient", tmp_path)
    assert not verified(own, Seed(new_seed()).authority, "sslclient", tmp_path)


def test_a_machine_that_is_made_anew_has_the_key_of_its_certificate() -> None:
    first, second = (SEED.certificate("w-prod-1", server=False) for _ in range(2))
    assert first.key == second.key != SEED.certificate("w-prod-2", server=False).key
    key = load_pem_private_key(pem("PRIVATE KEY", first.key).encode(), None).public_key()
    assert load_pem_x509_certificate(pem("CERTIFICATE", second.certificate).encode()).public_key() == key


def test_nothing_of_it_is_told() -> None:
    text = repr((SEED, SEED.certificate("w-prod-1", server=False)))
    assert TEXT not in text
    assert SEED.certificate("w-prod-1", server=False).key not in text
