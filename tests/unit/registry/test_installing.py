"""What is told to install fits the environment that the program runs in."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core.registry.installing import install, repair


@pytest.mark.parametrize(
    ("receipt", "installs", "repairs"),
    [
        ("", "pip install x", "pip install --force-reinstall x"),
        (
            "pipx_metadata.json",
            "pipx inject kube-provision x",
            "pipx inject --force kube-provision x",
        ),
        ("uv-receipt.toml", "--with x", "uv tool install --reinstall kube-provision"),
    ],
)
def test_the_program_that_made_the_environment_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receipt: str, installs: str, repairs: str
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    if receipt:
        (tmp_path / receipt).touch()
    assert install("x").endswith(installs)
    assert repair("x") == repairs
