"""Which pods a label selector of the API means, as queries write it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kube_provision_core.cluster.places import selector


@pytest.mark.parametrize(
    ("document", "query"),
    [
        ({}, ""),
        ({"matchLabels": {"app": "web", "tier": "front"}}, "app=web,tier=front"),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]}, "app in (web,api)"),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, "app notin (web)"),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app"),
        (
            {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "canary", "operator": "DoesNotExist"}]},
            "app=web,!canary",
        ),
    ],
)
def test_a_selector_is_asked_for_as_queries_write_it(document: Mapping[str, object], query: str) -> None:
    assert selector(document) == query
