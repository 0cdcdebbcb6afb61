"""cloud-config keys of several plugins, and the user's own on top."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from kube_provision_core import BootError
from kube_provision_core.boot.cloud_values import CloudValues, override


def merged(**by_plugin: dict[str, Any]) -> dict[str, Any]:
    values = CloudValues()
    for plugin, keys in by_plugin.items():
        values.add(plugin, keys)
    return values.values


def test_lists_are_joined_without_repeating() -> None:
    assert merged(one={"users": ["default", "a"]}, two={"users": ["default", "b"]}) == {"users": ["default", "a", "b"]}


def test_dictionaries_are_merged_by_key() -> None:
    assert merged(one={"ntp": {"enabled": True}}, two={"ntp": {"servers": ["x"]}}) == {
        "ntp": {"enabled": True, "servers": ["x"]}
    }


def test_equal_values_agree() -> None:
    assert merged(one={"timezone": "UTC"}, two={"timezone": "UTC"}) == {"timezone": "UTC"}


@pytest.mark.parametrize("other", ["CET", ["UTC"], {"a": 1}])
def test_different_values_name_both_plugins(other: object) -> None:
    with pytest.raises(BootError, match=r"key a\.timezone: plugins one and two set different values"):
        merged(one={"a": {"timezone": "UTC"}}, two={"a": {"timezone": other}})


def test_a_frozen_fragment_is_left_as_it_is() -> None:
    frozen = MappingProxyType({"a": MappingProxyType({"b": ("x",)})})
    values = CloudValues()
    values.add("one", frozen)
    values.add("two", {"a": {"b": ["y"], "c": 1}})
    assert values.values == {"a": {"b": ["x", "y"], "c": 1}}
    assert frozen == {"a": {"b": ("x",)}}


@pytest.mark.parametrize("key", ["write_files", "runcmd", "bootcmd", "packages"])
def test_what_a_fragment_has_words_for_is_refused_as_a_key(key: str) -> None:
    with pytest.raises(BootError, match=f"key {key}: plugin one"):
        merged(one={key: []})


def test_the_user_wins() -> None:
    values = {"timezone": "UTC", "users": ["default"], "ntp": {"enabled": True, "servers": ["a"]}}
    override(values, {"timezone": "CET", "users": ["me"], "ntp": {"enabled": False}, "new": [1]})
    assert values == {"timezone": "CET", "users": ["default", "me"], "ntp": {"enabled": False, "servers": ["a"]}, "new": [1]}
