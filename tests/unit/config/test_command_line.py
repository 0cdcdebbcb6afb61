"""What advice repeats of the command line: all that names the site, and no secret."""

from __future__ import annotations

from pathlib import Path

from kube_provision_core.config.command_line import options
from kube_provision_core.config.vocabulary import compose
from kube_provision_core.registry import choose

VOCABULARY = compose([choose("target", "vsphere"), choose("discovery", "consul")])


def repeated(*extra: str, **flags: object) -> str:
    return " ".join(options([Path("a.yml"), Path("sites/b.yml")], extra, flags, VOCABULARY))


def test_files_stand_as_they_were_given() -> None:
    assert repeated("@more.yml") == "--config a.yml --config sites/b.yml --extra @more.yml"


def test_flags_stand_by_their_own_names() -> None:
    said = repeated(consul_ip="10.200.200.1", kubernetes_version="1.36", host_prefix="lab-")
    assert said.endswith("--consul-ip 10.200.200.1 --k8s-version 1.36 --host-prefix lab-")


def test_counts_are_left_to_whoever_runs_it() -> None:
    assert repeated("workers=2", masters=3, workers=5, name="prod") == repeated()


def test_values_that_are_no_secrets_are_repeated() -> None:
    assert repeated("target=vsphere", "region=Berlin").endswith("--extra target=vsphere --extra region=Berlin")


def test_nothing_is_repeated_that_may_be_a_secret() -> None:
    hidden = [
        "vcenter_password=hunter2",
        "consul_token=hunter2",
        'env_vars={"PASSWORD": "hunter2"}',
        'masters={"vcenter_password": "hunter2"}',
        "http_proxy=http://me:hunter2@proxy:3128",
        "no_such_key=hunter2",
        "hunter2",
    ]
    assert repeated(*hidden) == repeated()
