"""The certificate authorities on the master that carries them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core.folder.pki import Pki, create_pki
from kube_provision_node import authorities


@pytest.fixture
def folder(tmp_path: Path, pki: Pki) -> Path:
    for name, content in pki.files.items():
        path = tmp_path / "ca" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "ca"


def test_the_pin_is_the_one_that_the_operator_computes(pki: Pki) -> None:
    assert authorities.pin_of(pki.files["ca.crt"].decode()) == pki.ca_pin


def test_the_names_are_those_that_the_operator_makes(pki: Pki) -> None:
    assert set(authorities.FILES) == set(pki.files)


def test_all_are_copied_with_keys_closed_to_others(folder: Path, tmp_path: Path, pki: Pki) -> None:
    authorities.install(folder, tmp_path / "pki", pki.ca_pin)
    modes = {name: (tmp_path / "pki" / name).stat().st_mode & 0o777 for name in authorities.FILES}
    assert modes == {name: 0o600 if name.endswith(".key") else 0o644 for name in authorities.FILES}


def test_they_can_be_copied_again_after_a_reset(folder: Path, tmp_path: Path, pki: Pki) -> None:
    authorities.install(folder, tmp_path / "pki", pki.ca_pin)
    (tmp_path / "pki/ca.key").unlink()
    authorities.install(folder, tmp_path / "pki", pki.ca_pin)
    assert (tmp_path / "pki/ca.key").read_bytes() == pki.files["ca.key"]


@pytest.mark.parametrize("name", authorities.FILES)
def test_one_that_is_missing_is_named_and_nothing_is_copied(folder: Path, tmp_path: Path, pki: Pki, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(authorities.UnfitError, match=name):
        authorities.install(folder, tmp_path / "pki", pki.ca_pin)
    assert not (tmp_path / "pki").exists()


def test_another_authority_than_the_pinned_one_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(authorities.UnfitError, match="this cluster's is"):
        authorities.install(folder, tmp_path / "pki", create_pki("prod").ca_pin)


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(authorities.UnfitError, match="no certificate"):
        authorities.pin_of(text)


def test_forgetting_twice_is_no_harm(folder: Path) -> None:
    authorities.forget(folder)
    authorities.forget(folder)
    assert not authorities.delivered(folder)
