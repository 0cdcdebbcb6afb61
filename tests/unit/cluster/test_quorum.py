"""How often masters are asked whom they follow, and which look counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from kube_provision_core.cluster import quorum
from kube_provision_core.cluster.etcd import EtcdStanding
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.cluster.quorum import leaders
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Cluster, Power, Role, Stamp, Vm
from kube_provision_core.folder.pki import Pki

NAMES = ("m-1", "m-2")
NOBODY = {"m-1": "", "m-2": ""}
DEAD = {"m-1": "id of m-3", "m-2": "id of m-3"}


def asked(*looks: Mapping[str, str | ControlPlaneError], pki: Pki, patch: pytest.MonkeyPatch) -> tuple[object, int]:
    """What comes of looks, each of which shows whom masters follow then, the last one for good; and how many they were."""
    counts = dict.fromkeys(NAMES, 0)

    def standing_at(name: str) -> EtcdStanding:
        look = looks[min(counts[name], len(looks) - 1)]
        counts[name] += 1
        if isinstance(error := look[name], ControlPlaneError):
            raise error
        return EtcdStanding(f"id of {name}", str(look[name]))

    patch.setattr(
        quorum,
        "control_plane",
        lambda seen, pki: nullcontext(SimpleNamespace(etcd=SimpleNamespace(standing_at=standing_at))),
    )
    patch.setattr(quorum, "PAUSE", 0.0)
    vms = tuple(Vm(it, it, Power.ON, Stamp("prod", "id-1", Role.MASTER, "spec"), (it,)) for it in NAMES)
    said = leaders(Observation(Cluster("prod", "id-1", "1.37", frozenset(NAMES)), vms), pki)
    return said, max(counts.values())


def test_who_follow_nobody_are_asked_for_half_a_minute(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (quorum.LOOKS - 1) * quorum.PAUSE == 30
    assert asked(NOBODY, pki=pki, patch=monkeypatch) == (NOBODY, quorum.LOOKS)


@pytest.mark.parametrize("before", [[], [NOBODY] * 9, [DEAD, NOBODY]])
def test_one_look_at_a_leader_that_lives_is_enough(
    before: list[Mapping[str, str]], pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the next ones would show: it may be about to be followed by others."""
    seen = {"m-1": "", "m-2": "id of m-2"}
    assert asked(*before, seen, NOBODY, pki=pki, patch=monkeypatch) == (seen, len(before) + 1)


def test_a_leader_that_has_died_is_one_only_until_nobody_follows_it_any_more(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(DEAD, DEAD, NOBODY, pki=pki, patch=monkeypatch) == (NOBODY, quorum.LOOKS)


def test_a_leader_that_is_followed_to_the_end_counts_wherever_it_is(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(NOBODY, DEAD, pki=pki, patch=monkeypatch) == (DEAD, quorum.LOOKS)


def test_one_look_at_who_cannot_be_asked_is_enough(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = {"m-1": "", "m-2": ControlPlaneError("it cannot be reached")}
    assert asked(silent, pki=pki, patch=monkeypatch) == (silent, 1)
