"""What a machine publishes about itself: its own, the last, and never believed to be well formed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from ... import Cluster, NodeStatus, Stage, TargetDriver, Vm
from ..connected import Connected
from ..offers import offered
from ..samples import node_of
from .fixtures import TargetFixtures, make, one

Publish = Callable[[Vm, str], None]

JOINING = json.dumps({"stage": "join", "state": "running", "step": "core/join", "error": "no route — “grüße”"})
FINISHED = json.dumps({"stage": "finish", "state": "done"})
GARBAGE = {
    "nothing": "",
    "no JSON": "no status",
    "half a document": FINISHED[:-5],
    "another document": '["stage"]',
    "an unknown stage": '{"stage": "lunch", "state": "done"}',
    "wrong types": '{"stage": "join", "state": {"done": []}, "error": 7}',
    "deep": "[" * 3000,
    "no text": '\x01{"stage": "join"}\x7f',
}


class StatusChecks(TargetFixtures):
    def test_what_a_machine_publishes_is_listed(self, driver: Connected, cluster: Cluster, publish: Publish | None) -> None:
        say, first, second = offered(publish, "publish"), make(driver), make(driver, node_of("w-contract-2"))
        assert one(driver, cluster).status is None, "it has not said anything yet"
        say(first, JOINING)
        say(second, FINISHED)
        assert one(driver, cluster, first.name).status == NodeStatus.parse(JOINING)
        assert one(driver, cluster, second.name).status == NodeStatus(Stage.FINISH, "done")

    def test_what_a_machine_published_last_counts(
        self, driver: Connected, cluster: Cluster, publish: Publish | None
    ) -> None:
        say, vm = offered(publish, "publish"), make(driver)
        for text in (JOINING, FINISHED):
            say(vm, text)
            assert one(driver, cluster).status == NodeStatus.parse(text)

    def test_a_document_as_large_as_it_may_be_is_listed_whole(
        self, driver: Connected, cluster: Cluster, publish: Publish | None
    ) -> None:
        """A machine's answer brings what it was asked for."""
        least = TargetDriver.answer_limit
        limit = getattr(driver.driver, "answer_limit", least)
        assert type(limit) is int, f"answer_limit is a {type(limit).__name__}, not a count of bytes"
        assert limit >= least, f"a machine publishes up to {least} bytes on every target"
        said = {**json.loads(FINISHED), "task": ""}
        text = json.dumps({**said, "task": "x" * (limit - len(json.dumps(said)))})
        offered(publish, "publish")(make(driver), text)
        assert one(driver, cluster).status == NodeStatus.parse(text), f"not as it was published, with {len(text)} bytes"

    @pytest.mark.parametrize("kind", GARBAGE)
    def test_a_machine_may_publish_anything(
        self, driver: Connected, cluster: Cluster, publish: Publish | None, kind: str
    ) -> None:
        """Whoever has broken into a machine stops no run by it."""
        offered(publish, "publish")(make(driver), GARBAGE[kind])
        assert one(driver, cluster).status is None

    def test_what_a_machine_says_scrubs_nothing(self, driver: Connected, cluster: Cluster, publish: Publish | None) -> None:
        offered(publish, "publish")(make(driver), FINISHED)
        assert not one(driver, cluster).scrubbed
