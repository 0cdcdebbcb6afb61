"""What every plugin promises that answers `render_boot`, as checks: targets, systems, discovery and extensions alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from .. import PUBLISHER, RECEIVER, BootFragment, Cluster, Role
from .connected import Connected
from .fixtures import DriverFixtures, asks_nobody
from .fragments import flaws, open_texts, script_flaws, unfilled
from .guards import io_seen, telling
from .offers import answering
from .samples import cluster_of, node_of


class PartChecks(DriverFixtures):
    @pytest.fixture
    def cluster(self) -> Cluster:
        """A cluster that the suite asks for."""
        return cluster_of("x-contract-1")

    @pytest.fixture
    def parts(self, driver: Connected, cluster: Cluster) -> dict[Role, BootFragment | None]:
        """What the plugin adds to a machine of each role."""
        answering(driver, "render_boot")
        return dict(_parts(driver, cluster))

    @asks_nobody
    def test_render_boot_is_a_function_of_its_arguments(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        first, second = connect(), connect()
        answering(first, "render_boot")
        for role in Role:
            node = node_of("x-contract-1", role)
            answers = [driver.render_boot(node=node, cluster=cluster) for driver in (first, first, second)]
            assert answers[0] == answers[1] == answers[2], "it answers something else every time"

    @asks_nobody
    def test_render_boot_touches_nothing(self, driver: Connected, cluster: Cluster) -> None:
        """`plan` and `render` ask it, too, where no target can be reached."""
        answering(driver, "render_boot")
        dict(_parts(driver, cluster))  # what is read of files and modules once is no I/O on a target
        with io_seen() as seen:
            dict(_parts(driver, cluster))
        assert not seen, f"it reached out into the world: {seen}"

    @asks_nobody
    def test_render_boot_answers_before_any_address_is_known(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "render_boot")
        dict(_parts(driver, replace(cluster, discovery_address=None, peers=(), reach={})))

    @asks_nobody
    def test_render_boot_adds_what_a_machine_can_take(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "render_boot")
        found = {role: text for role, part in _parts(driver, cluster) if (text := flaws(part))}
        assert not found, f"no machine could take it: {found}"

    @asks_nobody
    def test_every_script_can_be_read(self, parts: dict[Role, BootFragment | None]) -> None:
        steps = {step for part in parts.values() if part for step in part.steps}
        assert not script_flaws(steps), script_flaws(steps)

    @asks_nobody
    def test_every_template_is_filled_in(self, parts: dict[Role, BootFragment | None]) -> None:
        for role, part in parts.items():
            left = unfilled(part)
            assert not left, f"a template for a {role} machine was not filled in: {left}"

    @asks_nobody
    def test_secrets_are_delivered_in_secret_files_only(
        self, parts: dict[Role, BootFragment | None], secrets: Sequence[str]
    ) -> None:
        told = [text for part in parts.values() for text in telling(open_texts(part), secrets)]
        assert not told, f"a secret lies where everybody may read it: {told}"


class PublisherChecks(PartChecks):
    """What a target adds besides."""

    @asks_nobody
    def test_every_node_gets_a_publisher(self, parts: dict[Role, BootFragment | None]) -> None:
        _bring(parts, PUBLISHER, "to tell its stage with")

    def test_every_node_that_can_be_given_tasks_gets_a_receiver(
        self, driver: Connected, parts: dict[Role, BootFragment | None]
    ) -> None:
        answering(driver, "deliver_task")
        _bring(parts, RECEIVER, "to receive tasks with")


def _bring(parts: dict[Role, BootFragment | None], program: str, why: str) -> None:
    for role, part in parts.items():
        files = {file.path: file for file in part.files} if part else {}
        assert program in files, f"a {role} machine gets no {program} {why}"
        assert files[program].mode & 0o111, f"{program} of a {role} machine cannot be executed"
        assert str(files[program].content).startswith("#!"), f"{program} names no interpreter"


def _parts(driver: Connected, cluster: Cluster) -> Iterator[tuple[Role, Any]]:
    for role in Role:
        yield role, driver.render_boot(node=node_of("x-contract-1", role), cluster=cluster)
