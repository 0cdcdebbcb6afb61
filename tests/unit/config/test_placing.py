"""What drivers and verbs find wrong with a key, once all is read, is told with where the key is given."""

from __future__ import annotations

import pytest

from kube_provision_core import BootError, ConfigError, TargetError
from kube_provision_core.contract.errors import UnreadyError

TEXT = """name: prod
target: moon
os: plain
discovery: beacon
template: t
landers:
- legs: 3
- legs: 4
  colour: gold
masters:
  cpu: 4
  key_file: null
workers: {cpu: 8, count: 2}
pools:
  gpu:
    boot_disk_size: 9
    count: 1
"""


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("template: there is none", "config.yml:5"),
        ("landers[1].colour: is out of stock", "config.yml:9"),
        ("landers[1].legs: are too many", "config.yml:8"),
        ("landers[7]: is one too many", "config.yml:6"),
        ("boot_disk_size: is too small", "config.yml:16"),
        ("far_side: is dark", "-e far_side"),
        ("gravity: is too low", "KUBE_PROVISION_GRAVITY"),
        ("masters: are too many", "--masters"),
        ("cpu: of which role is that?", ""),
        ("crater: nobody gave it", ""),
        ("w-prod-1: is a machine", ""),
        ("template is what it begins with", ""),
        ("config.yml:5: template: is told already", ""),
    ],
)
def test_the_place_stands_before_the_key_where_there_is_one(load_text, line: str, place: str) -> None:
    config = load_text(TEXT, extra=["far_side=true"], environ={"KUBE_PROVISION_GRAVITY": "2"}, flags={"masters": 5})
    with pytest.raises(ConfigError) as found, config.telling_places():
        raise ConfigError("nothing to do with a key", line)
    assert found.value.problems == ("nothing to do with a key", f"{place}: {line}" if place else line)
    assert str(found.value).splitlines() == [*found.value.problems]


def test_it_stays_the_error_that_it_is(load_text) -> None:
    with pytest.raises(UnreadyError) as unready, load_text(TEXT).telling_places():
        raise UnreadyError("template: is not ready")
    assert (unready.value.retryable, str(unready.value)) == (True, "config.yml:5: template: is not ready")
    with pytest.raises(BootError, match=r"^config\.yml:5: template: bad$"), load_text(TEXT).telling_places():
        raise BootError("template: bad")


def test_what_is_no_bad_input_is_left_as_it_is(load_text) -> None:
    with pytest.raises(TargetError, match=r"^template: could not be read"), load_text(TEXT).telling_places():
        raise TargetError("template: could not be read")
