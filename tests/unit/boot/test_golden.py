"""Everything that is rendered for each role, as golden files. `pytest tests/unit/boot --update-golden` writes them anew.

One system's are whole; those of another hold the files alone in which it differs from the system that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from kube_provision_core import Boot, File, Node, Role
from kube_provision_core.folder.pki import JoinSecrets

GOLDEN = Path(__file__).parent / "golden"

WHOLE = "debian"
BESIDE = {"ubuntu": WHOLE, "centos": WHOLE, "rocky": "centos", "almalinux": "rocky"}
"""What each of the other systems is compared with."""


@pytest.mark.parametrize("system", [WHOLE, *BESIDE])
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

    def rendered(system: str) -> str:
        text = "\n".join(_describe(render(node, os=system)))
        for bears_the_name in ("/{}-", '"plugin": "{}"'):
            text = text.replace(bears_the_name.format(system), bears_the_name.format("(os)"))
        key = secrets.pki.machine_key(node.stamp.cluster_id, node.name, node.stamp.instance)
        return _without_secrets(text, secrets).replace(key, "(the machine's key)")

    text = rendered(system) if system == WHOLE else _difference(rendered(BESIDE[system]), rendered(system))
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
    for file in rendered.files:
        yield f"##### {file.path} {file.mode:04o} {file.owner}{' secret' if file.secret else ''}"
        own = file.path.startswith("/usr/local/lib/kube-provision/kube_provision_node/")
        yield "(a program of ours, tested by itself)\n" if own else _text(file)


def _difference(one: str, other: str) -> str:
    """The files of the other that the one has not, or has otherwise; the names of those that it lacks."""
    mine, theirs = _sections(one), _sections(other)
    differing = [f"{title}\n{text}" for title, text in theirs.items() if mine.get(title) != text]
    missing = [f"{title} (missing)\n" for title in mine if title not in theirs]
    return "\n".join([*differing, *missing])


def _sections(text: str) -> dict[str, str]:
    """By their titles."""
    sections = (section.partition("\n") for section in f"\n{text}".split("\n##### ")[1:])
    return {f"##### {title}": content for title, _, content in sections}


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
