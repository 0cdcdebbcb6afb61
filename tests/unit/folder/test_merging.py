"""Entries of ours in a kubeconfig of somebody else's: what is there stays, to its comments."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Endpoint
from kube_provision_core.folder.kubeconfig import OPERATOR, OPERATOR_LIFETIME, Access, Server
from kube_provision_core.folder.merging import merge
from kube_provision_core.folder.pki import Pki, create_pki

PARTS = ("clusters", "users", "contexts")
KUBECTLS = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: /home/me/other.crt  # copied by hand
    server: https://192.0.2.1:6443
  name: other
# the cloud's
- cluster:
    server: https://192.0.2.2
  name: cloud
contexts:
- context:
    cluster: other
    namespace: default
    user: other
  name: other
current-context: other
kind: Config
preferences: {}
users:
- name: other
  user:
    password: "0123"
- name: cloud
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args: [get-token, --cluster, cloud]
      command: cloud
      expires: 2027-01-01T00:00:00Z
"""
INDENTED = "".join(f"  {line}" if line[0] in "- #" else line for line in KUBECTLS.splitlines(keepends=True))
"""Lists of which stand further in, as editors write them."""


def access(pki: Pki, *, user: str = "prod", host: str = "10.0.0.1") -> Access:
    credential = pki.administrator(OPERATOR, OPERATOR_LIFETIME)
    return Access("prod", user, Server(Endpoint(host, 6443)), pki.ca, credential)


def merged(text: str, wanted: Access, *, use: bool = False) -> str:
    return merge(text, wanted, use=use, where="config")


def entries(text: str) -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(text)
    return {part: {it["name"]: it for it in document[part] or ()} for part in PARTS}


def without(text: str, name: str) -> dict[str, Any]:
    """The document, but for our entries."""
    document = yaml.safe_load(text)
    for part in PARTS:
        document[part] = [it for it in document.get(part) or () if it["name"] != name]
    return dict(document)


STYLES = {
    "kubectl's": KUBECTLS,
    "without an end of its last line": KUBECTLS.rstrip(),
    "JSON": json.dumps(yaml.safe_load(KUBECTLS), default=str),
    "nothing": "",
    "a comment alone": "# mine\n",
    "kubectl's empty one": "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: ''\nusers: null\n",
    "empty lists": "apiVersion: v1\nclusters: []\ncontexts: []\nkind: Config\npreferences: {}\nusers: []\n",
    "sections without a value": "kind: Config\nclusters:\nusers:\ncontexts:\n",
    "a marked end": f"---\n{KUBECTLS}...\n",
    "anchors": KUBECTLS.replace("  name: other\n#", "  name: &o other\n#").replace("    user: other", "    user: *o"),
    "lines of Windows": KUBECTLS.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("use", [False, True])
def test_whatever_the_style_our_entries_come_in_and_all_others_say_what_they_said(pki: Pki, text: str, use: bool) -> None:
    wanted = access(pki)
    after = merged(text, wanted, use=use)
    assert [entries(after)[part]["prod"] for part in PARTS] == [wanted.document[part][0] for part in PARTS]
    before = text if yaml.safe_load(text) else "apiVersion: v1\nkind: Config\n"
    assert without(after, "prod") == without(before, "prod") | ({"current-context": "prod"} if use else {})


def test_lists_that_stand_further_in_stay_there(pki: Pki) -> None:
    assert yaml.safe_load(INDENTED) == yaml.safe_load(KUBECTLS)
    text = merged(INDENTED, access(pki))
    assert set(INDENTED.splitlines()) < set(text.splitlines())
    assert "\n  - name: prod\n    cluster:" in text


def test_no_line_of_another_is_touched_and_comments_stay(pki: Pki) -> None:
    text = merged(KUBECTLS, access(pki))
    lines = iter(text.splitlines())
    assert all(line in lines for line in KUBECTLS.splitlines()), "all of them, in their order"


def test_without_use_the_current_context_stays_and_none_is_chosen(pki: Pki) -> None:
    assert yaml.safe_load(merged(KUBECTLS, access(pki)))["current-context"] == "other"
    assert "current-context" not in yaml.safe_load(merged("", access(pki)))


def test_again_it_replaces_its_own_entries_alone(pki: Pki) -> None:
    once = merged(KUBECTLS, access(pki)) + "# the end\n"
    wanted = access(pki, host="10.0.0.2")
    twice = merged(once, wanted, use=True)
    assert entries(twice)["clusters"]["prod"]["cluster"]["server"] == "https://10.0.0.2:6443"
    assert entries(twice)["users"]["prod"] == wanted.document["users"][0]
    assert without(twice, "prod") == without(once, "prod") | {"current-context": "prod"}
    assert len(twice.splitlines()) == len(once.splitlines())
    assert [line for line in twice.splitlines() if "#" in line] == [line for line in once.splitlines() if "#" in line]


def test_a_namespace_that_somebody_gave_the_context_stays(pki: Pki) -> None:
    once = merged("", access(pki)).replace("  context:\n", "  context:\n    namespace: shop\n")
    twice = merged(once, access(pki))
    assert entries(twice)["contexts"]["prod"]["context"] == {"cluster": "prod", "user": "prod", "namespace": "shop"}


def test_another_user_of_a_cluster_comes_beside_the_first(pki: Pki) -> None:
    text = merged(merged("", access(pki)), access(pki, user="jane@prod"))
    assert {part: list(found) for part, found in entries(text).items()} == {
        "clusters": ["prod"],
        "users": ["prod", "jane@prod"],
        "contexts": ["prod", "jane@prod"],
    }


def other_cluster(pki: Pki, text: str) -> str:
    return merged(text, replace(access(pki), authority=create_pki("prod").ca))


def own_user(pki: Pki, text: str) -> str:
    return text + "users: [{name: prod, user: {token: secret-token}}]\n"


def own_context(pki: Pki, text: str) -> str:
    return text + "contexts: [{name: prod, context: {cluster: mine, user: prod}}]\n"


@pytest.mark.parametrize(
    ("spoil", "what"), [(other_cluster, "cluster prod"), (own_user, "user prod"), (own_context, "context prod")]
)
def test_entries_of_our_names_that_are_not_ours_are_left_alone(pki: Pki, spoil: Any, what: str) -> None:
    text = spoil(pki, "kind: Config\n")
    with pytest.raises(ConfigError, match=f"^config: its {what} is another cluster's, or not made by us: .* --as$"):
        merged(text, access(pki))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: Config\nusers: [secret-token", "config:2: it is not YAML"),
        ("kind: Config\n\tusers: secret-token", "config:2: it is not YAML"),
        ("kind: Config\n---\nkind: Config\n", "config:2: it is not YAML"),
        ("kind: Config\nusers: secret-token\x00", "config: it is not YAML"),
        ("- secret-token", "config: it is YAML, but no kubeconfig"),
        ("secret-token", "config: it is YAML, but no kubeconfig"),
        ("kind: Secret\n", "config: it is YAML, but no kubeconfig"),
        ("users: secret-token", "config: it is YAML, but no kubeconfig"),
        ("users: [{user: secret-token}]", "config: it is YAML, but no kubeconfig"),
        ("users: [secret-token]", "config: it is YAML, but no kubeconfig"),
        ("kind: Config\nextra: 2027-99-99\n", "config: it is YAML, but no kubeconfig"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_at_its_line_and_not_quoted(pki: Pki, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        merged(text, access(pki))
    assert str(raised.value) == f"{line}: mend it, or name another file"
