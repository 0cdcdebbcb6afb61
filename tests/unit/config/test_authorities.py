"""A site's own authorities: certificates, and nothing else."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kube_provision_core.folder.x509 import create_authority

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
SITE = create_authority("site", "example")
OLD = create_authority("old", "example", datetime(2010, 1, 1, tzinfo=UTC))
PEM = SITE.certificate.decode()


def test_a_file_beside_the_configuration_is_read(load_text, folder: Path) -> None:
    (folder / "ca.pem").write_text(PEM)
    assert load_text(MINIMAL + "trusted_ca: ca.pem\n").core.trusted_ca == PEM


def test_the_text_itself_is_taken(load_text) -> None:
    assert load_text(MINIMAL + "trusted_ca: ${CA}\n", environ={"CA": PEM}).core.trusted_ca == PEM


def test_there_may_be_several_with_their_descriptions(load_text, folder: Path) -> None:
    other = create_authority("other", "example").certificate.decode()
    described = subprocess.run(
        ["openssl", "x509", "-text"], input=PEM, capture_output=True, text=True, check=True, timeout=30
    ).stdout
    (folder / "ca.pem").write_text(f"# the site's\r\n{described}\n{other}")
    assert load_text(MINIMAL + "trusted_ca: ca.pem\n").core.trusted_ca == PEM + other


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no PEM file of certificates (`openssl x509 -inform der` makes one of a DER file)"),
        (b"0\x82\x01\x0a", "is no PEM file of certificates"),
        (SITE.certificate + SITE.key, "holds a private key, and goes to every machine; give certificates alone"),
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "holds a private key"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\n", "holds a certificate request; give certificates alone"),
        (PEM[:200].encode(), "holds a certificate that cannot be read"),
        (SITE.certificate.replace(b"MII", b"AAA"), "holds a certificate that cannot be read"),
        (SITE.certificate + OLD.certificate, "holds a certificate that ended on 2019-12-30: "),
        (SITE.certificate * 200, "is larger than 64 KiB; name a file with the site's own authorities alone"),
    ],
)
@pytest.mark.parametrize("key", ["trusted_ca: ca.pem", "registries: {quay.io: {ca: ca.pem}}"])
def test_anything_else_is_refused(complaints, folder: Path, key: str, content: bytes, said: str) -> None:
    (folder / "ca.pem").write_bytes(content)
    (line,) = complaints(f"{MINIMAL}{key}\n")
    assert line.startswith(f"config.yml:6: {key.partition(':')[0]}")
    assert f": {folder / 'ca.pem'} {said}" in line
