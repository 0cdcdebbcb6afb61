"""A program to run, and real actions to make events of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from doubles.memory import World
from doubles.templates import Shelf

from kube_provision_core import Machine, Node, Role, Stamp
from kube_provision_core.cli import main
from kube_provision_core.engine.plan import Action, AwaitNode, CreateVm, keys


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line on stderr."""
        (line,) = self.err.splitlines()
        return line


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the program in this process."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def boots() -> Callable[..., list[Action]]:
    """What provisioning plans for machines of these names: create each, then await it."""

    def boots(*names: str) -> list[Action]:
        actions: list[Action] = []
        for name in names:
            node = Node(name, Role.MASTER, 1, Machine(2, 4), Stamp("prod", "id", Role.MASTER, "0" * 12))
            create = CreateVm(node=node, reason="it does not exist")
            actions += [create, AwaitNode(node=node, after=keys([create]))]
        return actions

    return boots


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """An empty target that the configuration `config.yml` of the current folder names; state is kept beside it."""
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("site")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    Path("config.yml").write_text("target: memory\nos: plain\ndiscovery: table\nname: prod\n")
    for pause in ("TICK", "FIRST_LOOK"):
        monkeypatch.setattr(f"kube_provision_core.engine.executor.{pause}", 0.01)
    monkeypatch.setattr("kube_provision_core.engine.watch.silence_timeout", lambda _: 0.05)
    from kp_cli_doubles import Memory

    world = World()
    monkeypatch.setattr(Memory, "shared", world)
    return world


@pytest.fixture
def shelf(world: World, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """No templates yet, on a target that can bake them; the configuration names none but `nodes`."""
    Path("config.yml").write_text("target: shelf\nos: plain\ndiscovery: table\ntemplate: nodes\nbake_from: plain-1\n")
    monkeypatch.syspath_prepend(str(Path(__file__).with_name("shelf_site")))
    monkeypatch.setattr("kube_provision_core.engine.executor.LONGEST_LOOK", 0.02)
    from kp_shelf_doubles import WithShelf

    shelf = Shelf()
    monkeypatch.setattr(WithShelf, "shared", shelf)
    return shelf
