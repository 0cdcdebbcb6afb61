"""A target in memory whose machines can bake themselves into templates."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from doubles.memory import MemoryConfig, MemoryTarget, World

from kube_provision_core import (
    Baked,
    Baking,
    Boot,
    ConfigError,
    Image,
    Node,
    NodeStatus,
    Role,
    Stage,
    TargetError,
    Template,
    hookimpl,
    option,
    tell,
)

RUNNING = NodeStatus(Stage.INSTALL, "running", step="plain/packages", attempt=1, attempts=5)
DONE = NodeStatus(Stage.FINISH, "done")


@dataclass
class Shelf:
    """Where the templates are. Several drivers may look at one."""

    templates: dict[str, Template] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    """What was given to machines, in order."""
    finished: list[str] = field(default_factory=list)
    boot_data: dict[str, str] = field(default_factory=dict)
    """What is held of templates, and of machines that become them."""
    endings: dict[str, NodeStatus] = field(default_factory=dict)
    """How machines end that bake these templates; `DONE` where nothing is said."""
    refuses: str = ""
    """Why no machine can be made."""
    hinders: tuple[str, ...] = ()
    """What is told beforehand to keep templates from being baked."""
    objects: tuple[str, ...] = ()
    """What preflight says besides."""
    misnamed: str = ""
    """What the configuration names badly."""
    silent: int = 0
    """Looks that fail, once a machine bakes, before the next one succeeds."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class ShelfConfig(MemoryConfig):
    template: str = option(per_role=True, help="What machines start from.")
    bake_from: str = option("", help="What templates are baked from.")


class ShelfTarget(MemoryTarget):
    Config = ShelfConfig

    def __init__(self, config: Mapping[Role, ShelfConfig], shelf: Shelf | None = None, world: World | None = None) -> None:
        super().__init__(config, world)
        self.config, self.shelf = config, shelf or Shelf()

    @hookimpl
    def preflight(self, machines: Sequence[tuple[Node, Boot]]) -> Sequence[str]:
        names = {self.config[node.role].template for node, _ in machines}
        missing = [
            f"there is no template {name}"
            for name in sorted(names)
            if not self.shelf.templates.get(name, Template(name, frozenset())).exists
        ]
        return [*missing, *self.shelf.objects, *super().preflight(machines)]

    @hookimpl
    def list_templates(self, roles: frozenset[Role]) -> Sequence[Template]:
        with self.shelf.lock:
            if self.shelf.silent and self.shelf.images:
                self.shelf.silent -= 1
                raise TargetError("the shelf is out of reach")
            if self.shelf.misnamed:
                raise ConfigError(self.shelf.misnamed)
            names: dict[str, set[Role]] = {}
            for role in roles:
                names.setdefault(self.config[role].template, set()).add(role)
            return [self._look(name, frozenset(using)) for name, using in sorted(names.items())]

    def _look(self, name: str, roles: frozenset[Role]) -> Template:
        """Every look finds the machine one stage further."""
        found = self.shelf.templates.get(name, Template(name, frozenset()))
        source, hinders = self.config[Role.MASTER].bake_from, self.shelf.hinders
        now = replace(found, roles=roles, source=source, where=f"shelf/{name}", hindrances=hinders)
        self.shelf.templates[name] = replace(found, baking=_further(found.baking, self.shelf.endings.get(name, DONE)))
        return now

    @hookimpl
    def bake_image(self, template: Template, image: Image) -> bool:
        with self.shelf.lock:
            if self.shelf.refuses:
                raise TargetError(self.shelf.refuses)
            tell(f"looks for {template.source}")
            self.shelf.images.append(image)
            self.shelf.boot_data[template.name] = image.boot.user_data
            self.shelf.templates[template.name] = replace(template, baking=Baking(image.spec, running=True))
        return True

    @hookimpl
    def finish_image(self, template: Template) -> bool:
        with self.shelf.lock:
            assert template.baking is not None
            assert template.baking.done
            here = self.shelf.templates[template.name]
            if here.exists and here.baked is None:
                raise TargetError(f"{template.name} was not made by bake; it is left alone")
            baked = template.baking.baked
            del self.shelf.boot_data[template.name]
            self.shelf.templates[template.name] = replace(template, exists=True, baked=baked, baking=None)
            self.shelf.finished.append(template.name)
        return True


def _further(baking: Baking | None, ending: NodeStatus) -> Baking | None:
    if baking is None or not baking.running or baking.done:
        return baking
    if baking.status is None:
        return replace(baking, status=RUNNING)
    if ending == DONE:
        record = Baked(
            baking.spec, "2026-11-27T10:00:00Z", "Plain 1", {"kubeadm": "1.37.1-1.1"}, ("registry.k8s.io/pause:3.10",)
        )
        return replace(baking, status=DONE, baked=record)
    return replace(baking, status=ending)
