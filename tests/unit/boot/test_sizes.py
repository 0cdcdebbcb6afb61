"""What boot data weigh on their way: VMware takes 64 KiB of them, and whatever a user adds comes on top."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from dataclasses import replace

import pytest

from kube_provision_core import Boot, Node, Role
from kube_provision_core.folder.pki import JoinSecrets, Snapshot

KIB = 1024
MOST = {"restored": 57 * KIB, "carrier": 56 * KIB, "master": 51 * KIB, "worker": 42 * KIB, "discovery": 38 * KIB}
"""As delivered, without what discovery and a target bring. Who needs more takes it from users."""


@pytest.mark.parametrize("system", ["debian", "ubuntu", "centos", "rocky", "almalinux"])
@pytest.mark.parametrize("case", MOST)
def test_boot_data_leave_room_for_what_users_add(
    case: str, system: str, render: Callable[..., Boot], make_node: Callable[..., Node], secrets: JoinSecrets
) -> None:
    carries = case in ("restored", "carrier")
    given = replace(secrets, snapshot=Snapshot(10**9, "ab" * 32) if case == "restored" else None)
    boot = render(make_node(Role.MASTER if carries else Role(case), carries_ca=carries), os=system, given=given)
    assert len(base64.b64encode(gzip.compress(boot.user_data.encode()))) <= MOST[case]
