"""What boot data weigh with all that drivers bring, for whoever configures nothing else: VMware takes 64 KiB of them."""

from __future__ import annotations

import base64
import random
from pathlib import Path

import pytest

from kube_provision_core import GuestInfo
from kube_provision_core.contract.boot import Boot

ADDED = base64.b64encode(random.Random(0).randbytes(3 * 1024)).decode()
"""What a user adds that nothing makes smaller, such as an authority, keys, a few files: 4 KiB of the value."""


ON_MASTERS = (
    "consul_on_masters: true\nmasters: {static_ip: {gateway: 10.0.0.1, "
    "addresses: [10.0.0.11/24, 10.0.0.12/24, 10.0.0.13/24, 10.0.0.14/24, 10.0.0.15/24]}}\n"
)


@pytest.mark.parametrize("more", ["", ON_MASTERS], ids=["a server of its own", "servers on masters"])
@pytest.mark.parametrize("os", ["debian", "ubuntu", "centos", "rocky", "almalinux"])
def test_the_first_master_leaves_room_for_what_users_add(os: str, more: str, run, tmp_path: Path) -> None:
    keys = ("vcenter_hostname", "vcenter_username", "vcenter_password", "datacenter", "cluster", "datastore", "network")
    config = tmp_path / "config.yml"
    config.write_text(
        "".join(f"{key}: x.example\n" for key in keys) + f"name: prod\ntarget: vsphere\nos: {os}\ntemplate: {os}\n{more}"
    )
    written = tmp_path / "boots"
    done = run("render", "--config", config, "--masters", "3", "--state", tmp_path / "state", "--with-secrets", written)
    assert done.code == 0, done.err
    text = f"{(written / 'm-prod-1/user-data').read_text()}# {ADDED}\n"
    assert len(GuestInfo(Boot("m-prod-1", "id", text)).values()["guestinfo.userdata"]) <= GuestInfo.LIMIT
