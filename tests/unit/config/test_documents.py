"""Files that cannot be taken in are told in one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core import ConfigError
from kube_provision_core.config import load

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


def refusal(path: Path | str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load([Path(path)], environ={})
    return list(caught.value.problems)


def test_a_missing_file(folder: Path) -> None:
    assert refusal("config.yml") == ["config.yml: cannot be read: No such file or directory"]


def test_a_folder(folder: Path) -> None:
    (folder / "d").mkdir()
    assert refusal("d") == ["d: cannot be read: Is a directory"]


def test_a_name_that_no_file_can_have(folder: Path) -> None:
    assert refusal("a\0b") == ["a\0b: cannot be read: not a path"]


def test_a_file_that_is_not_utf_8(folder: Path) -> None:
    (folder / "c.yml").write_bytes(b"name: prod\nos: \xff\n")
    assert refusal("c.yml") == ["c.yml:2: is not UTF-8 text; save it as UTF-8"]


def test_a_byte_order_mark_is_no_fault(load_text) -> None:
    assert load_text("\ufeff" + MINIMAL).core.name == "prod"


def test_a_file_that_is_too_large(folder: Path) -> None:
    (folder / "c.yml").write_bytes(b"# x\n" * 1_100_000)
    assert refusal("c.yml") == ["c.yml: is larger than 4 MiB"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "c.yml: is empty"),
        ("# only a comment\n", "c.yml: is empty"),
        ("just text", "c.yml:1: must hold `key: value` lines"),
        ("- a\n- b\n", "c.yml:1: must hold `key: value` lines"),
        ("name: a\nos: b\nname: c\n", "c.yml:3: name is given twice: here and in line 1"),
        ("masters:\n  cpu: 1\n  mem: 1\n  cpu: 2\n", "c.yml:4: cpu is given twice: here and in line 2"),
        ("masters:\n\tcpu: 1\n", "c.yml:2: a tab cannot indent; use spaces"),
        ("name: a: b\n", "c.yml:1: `: ` is not allowed here; quote the value, or check the indentation"),
        ("name: @a\n", "c.yml:1: a value cannot begin with this character; quote it"),
        ("name: *a\n", "c.yml:1: `*` begins an alias that is not defined; quote the value if it is text"),
        ("name: a\n---\nname: b\n", "c.yml:2: a second document begins here; keep one"),
        ("name: !vault a\n", "c.yml:1: uses a YAML tag (`!…`) that is not known here; quote the value if it is text"),
        ("? [a, b]\n: c\n", "c.yml:1: a key must be text, not a list or a mapping"),
        ("name: &a [*a]\n", "c.yml:1: contains itself by an alias"),
        ("name: a\nos: \x07\n", "c.yml:2: holds a control character"),
        ("workers:\n  <<: 3\n", "c.yml:2: `<<` merges mappings only"),
        ("name: [a, b\n", "c.yml:2: is not YAML: did not find expected ',' or ']'"),
    ],
)
def test_a_faulty_document(folder: Path, text: str, line: str) -> None:
    (folder / "c.yml").write_text(text)
    assert refusal("c.yml") == [line]


def test_a_document_that_is_nested_without_end(folder: Path) -> None:
    (folder / "c.yml").write_text("name: " + "[" * 300_000)
    assert refusal("c.yml") == ["c.yml:1: is nested deeper than 50 levels"]


def test_a_document_that_grows_by_aliases(folder: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    (folder / "c.yml").write_text("\n".join(lines))
    assert refusal("c.yml") == ["c.yml:4: holds more than 100000 values, aliases included"]


def test_all_faulty_documents_are_told_together(folder: Path) -> None:
    (folder / "b.yml").write_text("name: a\nname: b\nos: c\nos: d\n")
    with pytest.raises(ConfigError) as caught:
        load([Path("b.yml"), Path("a.yml")], extra=["@c.yml"], environ={})
    assert [line.split(" ")[0] for line in caught.value.problems] == ["b.yml:2:", "b.yml:4:", "a.yml:", "c.yml:"]
