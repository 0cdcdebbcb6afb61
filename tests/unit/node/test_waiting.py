"""What a node says that it waits for, by how discovery says that it cannot know."""

from __future__ import annotations

import pytest

from kube_provision_node.choreography import waits_as_discovery_says


class UnavailableError(Exception):
    """A driver's own."""


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({}, "discovery unreachable: no answer"),
        ({"busy": True}, "waits for its turn: no answer"),
        ({"early": True}, "waits for a master to initialise the cluster: no answer"),
        ({"early": False}, "discovery unreachable: no answer"),
    ],
)
def test_a_discovery_that_cannot_know_is_told_by_why(marks: dict[str, bool], told: str) -> None:
    problem = UnavailableError("no answer")
    vars(problem).update(marks)
    assert waits_as_discovery_says(problem) == told
