"""Command lines that people are told to paste."""

from __future__ import annotations

import shlex

from kube_provision_core.remedies import Remedies


def test_names_the_site_as_the_run_did() -> None:
    remedies = Remedies("prod", ("--config", "config.yml", "--consul-ip", "10.200.200.1"))
    site = "--config config.yml --consul-ip 10.200.200.1"
    assert remedies.destroy() == f"kube-provision destroy --name prod {site}"
    assert remedies.why("w-prod-1") == f"kube-provision why w-prod-1 --name prod {site}"


def test_is_quoted_for_a_shell() -> None:
    path = "my clusters/it's $HOME.yml"
    assert shlex.split(Remedies("prod", ("--config", path)).destroy("w-prod-1"))[-1] == path
