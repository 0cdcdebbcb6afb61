"""A private key is found wherever it hides."""

from __future__ import annotations

import base64
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_provision_core.boot.private_keys import holds_private_key, value_holds_private_key
from kube_provision_core.folder.pki import JoinSecrets

KINDS = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"]


def pem(kind: str) -> str:
    return f"-----BEGIN {kind}-----\nMIIEvQ==\n-----END {kind}-----\n"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found(kind: str) -> None:
    assert holds_private_key(f"before\n  {pem(kind)}")


def test_certificates_and_public_keys_are_none(secrets: JoinSecrets) -> None:
    public = [content for path, content in secrets.pki.files.items() if not path.endswith(".key")]
    assert not any(holds_private_key(content) or holds_private_key(base64.b64encode(content)) for content in public)


@given(before=st.binary(max_size=40), after=st.binary(max_size=40), kind=st.sampled_from(KINDS), width=st.integers(20, 90))
def test_base64_hides_none_wherever_it_begins_and_however_it_is_wrapped(
    before: bytes, after: bytes, kind: str, width: int
) -> None:
    once = base64.b64encode(before + pem(kind).encode() + after)
    twice = base64.b64encode(b"key: " + once)
    assert holds_private_key("\n".join(textwrap.wrap(once.decode(), width)))
    assert holds_private_key("\n  ".join(textwrap.wrap(twice.decode(), width)))


def test_a_tree_of_values_is_searched_to_its_leaves() -> None:
    assert value_holds_private_key({"a": [{"b": (1, pem("PRIVATE KEY"))}]})
    assert not value_holds_private_key({"a": [{"b": (1, "PRIVATE")}]})
