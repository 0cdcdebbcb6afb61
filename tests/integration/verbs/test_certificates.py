"""Who is warned when masters show certificates that end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from doubles.site import Site
from servers.control_plane import ControlPlaneServer

from kube_provision_core.engine.facts import Facts
from kube_provision_core.verbs.certificates import certificates, warnings

pytestmark = pytest.mark.usefixtures("look_often")

ADDRESS = "127.68.0.1"
ONE = {"masters": 1, "workers": 0}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.world.addresses["m-prod-1"] = ADDRESS
    site.provision(**ONE)
    assert site.folder
    (site.folder.path / "initialised").touch()
    return site


@pytest.mark.parametrize(
    ("lifetime", "verb", "left"), [(timedelta(minutes=-1), "ended", -1), (timedelta(days=5), "ends", 4)]
)
def test_a_master_whose_certificate_ends_is_told_with_what_helps_there(
    site: Site, lifetime: timedelta, verb: str, left: int
) -> None:
    assert site.folder
    with ControlPlaneServer(site.folder.pki, ADDRESS, certificate_lifetime=lifetime), site.session(**ONE) as session:
        (line,) = warnings(Facts(session))
        (row,) = (it for it in certificates(session).certificates if it.certificate == "apiserver")
    assert line.startswith(f"m-prod-1: apiserver {verb} on 20")
    assert "journalctl --unit kube-provision-certificates on m-prod-1" in line
    assert row.days == left
    assert row.text in line


def test_nobody_is_warned_of_a_master_whose_certificates_last(site: Site) -> None:
    assert site.folder
    lifetime = timedelta(days=100)
    with ControlPlaneServer(site.folder.pki, ADDRESS, certificate_lifetime=lifetime), site.session(**ONE) as session:
        assert list(warnings(Facts(session))) == []
