"""An API server that is started anew with the keys that its master was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kube_provision_node.encryption import LOCK_LIMIT, mark, start_anew
from kube_provision_node.settings import Places
from kube_provision_node.static_pods import PodError


@dataclass
class Master:
    """Who holds the cluster's lock, and what was started anew meanwhile."""

    root: Path
    held: float = 0.0
    started: list[tuple[str, str, float]] = field(default_factory=list)
    broken: bool = False

    @contextmanager
    def lock(self, limit: float) -> Iterator[None]:
        self.held = limit
        try:
            yield
        finally:
            self.held = 0.0

    def restart(self, pod: Any, marked: str, limit: float) -> None:
        assert limit > 0
        if self.broken:
            raise PodError("kube-apiserver is not healthy")
        self.started.append((pod.name, marked, self.held))

    def turn(self) -> None:
        client: Any = self
        start_anew(Places(self.root), client, client)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "etc/kubernetes/api-server/encryption.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("the first")
    return path


def test_it_is_the_api_server_alone_under_the_clusters_lock(tmp_path: Path, keys: Path) -> None:
    master = Master(tmp_path)
    master.turn()
    assert master.started == [("kube-apiserver", mark(keys), LOCK_LIMIT)]
    assert master.held == 0.0


def test_other_keys_are_another_mark_and_the_same_ones_are_the_same(tmp_path: Path, keys: Path) -> None:
    master = Master(tmp_path)
    for text in ("the first", "the first", "another"):
        keys.write_text(text)
        master.turn()
    first, second, third = (marked for _, marked, _ in master.started)
    assert first == second != third
    assert "another" not in third


def test_without_keys_nothing_is_started_and_nobody_asked(tmp_path: Path) -> None:
    master = Master(tmp_path)
    with pytest.raises(FileNotFoundError):
        master.turn()
    assert master.started == []


def test_one_that_does_not_come_back_lets_go_of_the_lock(tmp_path: Path, keys: Path) -> None:
    master = Master(tmp_path, broken=True)
    with pytest.raises(PodError):
        master.turn()
    assert master.held == 0.0
