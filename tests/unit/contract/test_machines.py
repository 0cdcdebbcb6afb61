"""A stamp is read as it was written, also by another version; whatever else stands there is none."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_provision_core import ConfigError, Machine, Role, Stamp

STAMP = Stamp("prod", "an-id", Role.MASTER, "0123456789ab", carries_ca=True, instance="5f")
GPU = Role.of_pool("gpu")
STAMPS = st.builds(Stamp, st.text(), st.text(), st.sampled_from([*Role, GPU]), st.text(), st.booleans(), st.text())


@given(STAMPS)
def test_a_stamp_is_read_as_it_was_written(stamp: Stamp) -> None:
    assert Stamp.parse(stamp.text) == stamp
    assert Stamp.parse(stamp.text.encode()) == stamp
    assert Stamp.of(stamp.document) == stamp


def test_its_text_is_one_line_and_always_the_same() -> None:
    assert STAMP.text == (
        '{"carries_ca": true, "cluster": "prod", "cluster_id": "an-id", "instance": "5f", "role": "master", '
        '"spec": "0123456789ab"}'
    )


def test_what_a_later_version_has_added_is_ignored() -> None:
    assert Stamp.of(STAMP.document | {"pool": "gpu"}) == STAMP


def test_what_an_earlier_version_did_not_write_has_a_default() -> None:
    document = STAMP.document
    del document["carries_ca"], document["instance"]
    assert Stamp.of(document) == Stamp("prod", "an-id", Role.MASTER, "0123456789ab", carries_ca=False, instance="")


@pytest.mark.parametrize("key", ["cluster", "cluster_id", "role", "spec", "instance"])
@pytest.mark.parametrize("value", [None, 7, [], {}, ["x"]])
def test_a_stamp_with_something_else_in_it_is_none(key: str, value: object) -> None:
    assert Stamp.of(STAMP.document | {key: value}) is None


@pytest.mark.parametrize("value", [None, 1, "true"])
def test_who_carries_the_authorities_is_never_guessed(value: object) -> None:
    assert Stamp.of(STAMP.document | {"carries_ca": value}) is None


@pytest.mark.parametrize(
    "text",
    [None, "", "no json", "[]", "{}", '{"role": "king"}', '{"role": "master"}', '"text"', "7", "[" * 10**5, b"\xff"],
)
def test_anything_else_is_no_stamp(text: str | bytes | None) -> None:
    assert Stamp.parse(text) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    Stamp.parse(text)
    Stamp.parse(json.dumps({"role": text, "cluster": text}))


class TestTheRoleOfAPool:
    def test_is_one_object_and_not_among_the_kinds(self) -> None:
        assert Role("worker-gpu") is GPU is Role.of_pool("gpu")
        assert [*Role] == ["master", "worker", "discovery"]
        assert isinstance(GPU, Role)
        assert (f"{GPU}", GPU.value, sorted([GPU, Role.MASTER])) == ("worker-gpu", "worker-gpu", ["master", "worker-gpu"])
        assert len({GPU, Role.WORKER, Role.of_pool("b")}) == 3

    @pytest.mark.parametrize("role", [*Role, GPU])
    def test_stays_one_object_however_it_is_copied(self, role: Role) -> None:
        assert role is copy.copy(role) is copy.deepcopy(role)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(role, protocol)) is role

    def test_is_made_by_whoever_reads_it_first(self) -> None:
        written = pickle.dumps(GPU).replace(b"worker-gpu", b"worker-new")
        assert pickle.loads(written) is Role.of_pool("new")

    def test_is_a_workers_by_kind(self) -> None:
        assert (GPU.kind, GPU.pool) == (Role.WORKER, "gpu")
        assert [(role.kind, role.pool) for role in Role] == [
            (Role.MASTER, ""),
            (Role.WORKER, "workers"),
            (Role.DISCOVERY, ""),
        ]
        assert Role.of_pool("workers") is Role.WORKER

    @pytest.mark.parametrize("name", ["", "Big", "a_b", "-a", "a-", "a.b", "a\n"])
    def test_has_a_dns_label(self, name: str) -> None:
        with pytest.raises(ValueError, match="is not a valid Role"):
            Role.of_pool(name)

    def test_stands_in_the_stamp_of_its_machines(self) -> None:
        stamp = Stamp("prod", "an-id", GPU, "0123456789ab")
        assert '"role": "worker-gpu"' in stamp.text
        assert Stamp.parse(stamp.text) == stamp


@pytest.mark.parametrize(("sizes", "only"), [((), None), ((7,), 7)])
def test_a_target_that_makes_one_further_disk_is_told_its_size(sizes: tuple[int, ...], only: int | None) -> None:
    assert Machine(2, 4, data_volumes_gib=sizes).data_volume_gib == only


def test_a_target_that_makes_one_further_disk_makes_no_machine_with_too_few() -> None:
    with pytest.raises(ConfigError, match="machines of this target have one further disk at most, and 2 are asked for"):
        _ = Machine(2, 4, data_volumes_gib=(7, 7)).data_volume_gib
