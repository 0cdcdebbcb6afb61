"""The documentation of the configuration is made from the models, and is up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from kube_provision_core.config import load, reference
from kube_provision_core.registry import choose

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "configuration.md"


def test_the_committed_document_is_up_to_date(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "kube_provision_core.config"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert DOCUMENT.read_text() == made.stdout, "run: python -m kube_provision_core.config > docs/configuration.md"


def test_its_example_is_a_valid_configuration(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert example
    (tmp_path / "config.yml").write_text(example[1])
    assert load([tmp_path / "config.yml"], environ={"VCENTER_PASSWORD": "x"}).core.workers == 5


def test_every_key_has_a_row_with_all_its_names() -> None:
    text = reference([choose("target", "moon"), choose("discovery", "beacon")])
    assert "| `template`, alias `ami` | text | **required** | yes | What machines are made of. |" in text
    assert "| `moon_token` | secret text |  | yes | A token. |" in text
    assert "| `far_side` | true or false | `false` |  | Is it dark? |" in text
    assert "## Discovery `beacon`" in text


def test_what_stands_inside_a_value_is_told_with_its_meaning() -> None:
    text = reference([choose("target", "vsphere")])
    assert (
        "| Key | Type | Default | Meaning |\n|---|---|---|---|\n| `name` | text | **required** | As the target calls the"
        in text
    )
    assert "| `to` | IPv4 network | **required** | The network that it leads to. |" in text


def test_mappings_of_which_a_value_is_one_have_a_table_each() -> None:
    text = reference([choose("target", "vsphere")])
    assert "| `bake_from` | text or mapping (below) |" in text
    assert "\nIn `bake_from`:\n" in text
    assert "\nOr in `bake_from`:\n" in text


def test_a_table_in_which_nothing_has_one_has_no_such_column() -> None:
    text = reference([choose("target", "moon")])
    assert "| Key | Type | Default |\n|---|---|---|\n| `legs` | whole number | **required** |\n" in text


def test_drivers_that_share_a_key_have_it_each(install) -> None:
    install("kpx-mars", {"target": "mars = kpc_moon:Moon"}, "")
    assert reference([choose("target", "moon"), choose("target", "mars")]).count("| `template`, alias `ami` |") == 2
