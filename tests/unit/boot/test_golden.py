"""Everything that is rendered for each role, as golden files. `pytest tests/unit/boot --update-golden` writes them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml

from kube_provision_core import Boot, File, Node, Role
from kube_provision_core.pki import JoinSecrets

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("system", ["centos", "debian", "ubuntu"])
@pytest.mark.parametrize("case", ["carrier", "master", "worker", "discovery"])
def test_what_is_rendered_is_what_was_looked_at(
    case: str,
    system: str,
    render: Callable[..., Boot],
    make_node: Callable[..., Node],
    secrets: JoinSecrets,
    request: pytest.FixtureRequest,
) -> None:
    role = Role.MASTER if case == "carrier" else Role(case)
    index = {"carrier": 1, "master": 2, "worker": 1, "discovery": 0}[case]
    node = make_node(role, index=index, carries_ca=case == "carrier")
    text = _without_secrets("\n".join(_describe(render(node, os=system))), secrets)
    golden = GOLDEN / system / f"{case}.txt"
    if request.config.getoption("--update-golden", default=False):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert golden.read_text() == text


def _describe(rendered: Boot) -> Iterator[str]:
    document = yaml.safe_load(rendered.user_data)
    del document["write_files"]
    yield "##### cloud-config"
    yield yaml.safe_dump(document, sort_keys=False)
    programs = {item.name for item in (resources.files("kube_provision_core.boot") / "node").iterdir()}
    for file in rendered.files:
        yield f"##### {file.path} {file.mode:04o} {file.owner}{' secret' if file.secret else ''}"
        folder, _, name = file.path.rpartition("/")
        own = folder == "/usr/local/lib/kube-provision" and name in programs
        yield "(a program of ours, tested by itself)\n" if own else _text(file)


def _text(file: File) -> str:
    return file.content if isinstance(file.content, str) else file.content.decode()


def _without_secrets(text: str, secrets: JoinSecrets) -> str:
    """They differ in every run, and must not lie about."""
    for path, content in secrets.pki.files.items():
        text = text.replace(content.decode(), f"({path})\n")
    names = {secrets.token: "(token)", secrets.certificate_key: "(certificate key)", secrets.pki.ca_pin: "(pin)"}
    for secret, name in names.items():
        text = text.replace(secret, name)
    return text
