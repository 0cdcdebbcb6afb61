"""Every machine trusts the company's authority."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kube_provision_core import BootError, Role, Stage
from kube_provision_core.testing import node_of
from kube_provision_site.company_ca import CERTIFICATE, CompanyCa, CompanyCaConfig

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def extension(path: Path, text: str = PEM) -> CompanyCa:
    path.write_text(text)
    return CompanyCa(dict.fromkeys(Role, CompanyCaConfig(company_ca_file=path)))


@pytest.mark.parametrize("role", Role)
def test_every_machine_gets_a_package_a_file_and_a_step(role: Role, tmp_path: Path) -> None:
    fragment = extension(tmp_path / "ca.pem").render_boot(node_of("x-1", role))
    assert fragment.packages == {"ca-certificates"}
    assert [(file.path, file.content) for file in fragment.files] == [(CERTIFICATE, PEM)]
    assert [(step.name, step.stage) for step in fragment.steps] == [("trust", Stage.DISCOVER)]


@pytest.mark.parametrize("text", ["", "nonsense", PEM + "-----BEGIN PRIVATE KEY-----\n"])
def test_what_is_no_authority_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BootError, match=r"company_ca_file: .*ca\.pem is no file of certificates alone"):
        extension(tmp_path / "ca.pem", text).render_boot(node_of("x-1"))


@pytest.mark.parametrize(
    ("command", "folder"),
    [("update-ca-certificates", "usr/local/share/ca-certificates"), ("update-ca-trust", "etc/pki/ca-trust/source/anchors")],
)
def test_both_families_of_systems_take_the_authority_up(command: str, folder: str, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("install", "touch"):
        (programs / program).symlink_to(Path("/usr/bin") / program)
    (programs / command).write_text(f"#!/bin/sh\ntouch {tmp_path}/taken-up\n")
    (programs / command).chmod(0o755)
    (tmp_path / "etc/kube-provision").mkdir(parents=True)
    (tmp_path / CERTIFICATE.lstrip("/")).write_text(PEM)
    (step,) = extension(tmp_path / "ca.pem").render_boot(node_of("x-1")).steps
    script = step.script.replace(" /etc/", f" {tmp_path}/etc/").replace(" /usr/", f" {tmp_path}/usr/")
    environment = {**os.environ, "PATH": str(programs)}
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", script], env=environment, check=True, timeout=30)
    assert (tmp_path / folder / "company-ca.crt").read_text() == PEM
    assert (tmp_path / "taken-up").exists()
