"""Which wishes for a kubeconfig are refused, before anybody is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from doubles.site import Site

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.verbs.kubeconfig import Made, Wish, kubeconfig

pytestmark = pytest.mark.usefixtures("look_often")

ONE = {"masters": 1, "workers": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site") / "state")


@pytest.fixture
def folder(site: Site) -> None:
    with site.session(**ONE) as session:
        session.folder.save()


def make(site: Site, **wish: Any) -> Made:
    with site.session(**ONE) as session:
        return kubeconfig(session, Wish(**{"server": "api.invalid"} | wish))


def refused(site: Site, **wish: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        make(site, **wish)
    return str(raised.value)


def test_a_cluster_that_was_never_made_has_none(tmp_path: Path) -> None:
    line = f"cluster prod has no folder at {tmp_path}/prod: provision it, or name another --state"
    assert refused(Site(tmp_path)) == line


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"user": "system:admin"}, "--user system:admin: names of Kubernetes' own begin so; say --allow-system"),
        ({"user": "a", "groups": ("b", "system:nodes")}, "--group system:nodes: names of Kubernetes' own begin so; say"),
        (
            {"user": "a", "groups": ("system:masters",)},
            "--group system:masters: names of Kubernetes' own begin so, and what",
        ),
        ({"user": "kube-provision"}, "--user kube-provision: the audit log would take them for the operator"),
        ({"user": "kube-provision-operator"}, "--user kube-provision-operator: the audit log would take them for"),
        ({"user": ""}, "--user '': 1 to 64 bytes are meant, printable"),
        ({"user": "a" * 65}, f"--user '{'a' * 65}': 1 to 64 bytes are meant"),
        ({"user": "ä" * 33}, "--user 'ää"),
        ({"user": "a\nb"}, "--user 'a\\nb': 1 to 64 bytes are meant"),
        ({"user": "a", "groups": (" b",)}, "--group ' b': 1 to 64 bytes are meant"),
        ({"name": ""}, "--as '': a name is meant"),
        ({"name": "a\nb"}, "--as 'a\\nb': a name is meant"),
        ({"server": ""}, "--server : it has no host; a host is meant, or host:port"),
        ({"server": "https://api"}, "--server https://api: it has a port that is no number"),
        ({"server": "a/b"}, "--server a/b: it has a host that is no DNS name"),
        ({"server": "api:0"}, "--server api:0: it has a port that is no number from 1 to 65535"),
    ],
)
def test_bad_wishes_are_one_line(site: Site, wish: dict[str, Any], line: str) -> None:
    told = refused(site, **wish)
    assert told.startswith(line)
    assert "\n" not in told


@pytest.mark.usefixtures("folder")
def test_nothing_lasts_longer_than_the_authority(site: Site) -> None:
    end = datetime.now(UTC) + timedelta(days=3650)
    assert refused(site, days=3651) in {
        f"--days: the cluster's authority ends on {day:%Y-%m-%d}, and what it signs too: 3649 at most"
        for day in (end, end - timedelta(days=1))
    }
    assert make(site, days=3649).access.user == "prod"


@pytest.mark.usefixtures("folder")
def test_names_of_kubernetes_own_are_taken_where_they_are_meant(site: Site) -> None:
    assert make(site, user="system:admin", groups=("system:masters",), system=True).access.user == "system:admin@prod"


@pytest.mark.usefixtures("folder")
def test_its_entries_are_called_as_somebody_likes(site: Site) -> None:
    access = make(site, user="jane", name="shop").access
    assert (access.cluster, access.user) == ("shop", "shop")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("api.invalid", "https://api.invalid:6443"),
        ("api.invalid:443", "https://api.invalid:443"),
        ("[fd00::1]", "https://[fd00::1]:6443"),
        ("[::1]:1", "https://[::1]:1"),
    ],
)
def test_a_server_is_a_host_or_a_host_and_its_port(site: Site, server: str, url: str) -> None:
    assert make(site, server=server).access.server.url == url
