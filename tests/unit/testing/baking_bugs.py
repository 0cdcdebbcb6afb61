"""Targets that bake, with one planted bug each."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from doubles.memory import World
from doubles.templates import DONE, RUNNING, Shelf, ShelfConfig
from doubles.templates import ShelfTarget as Sound

from kube_provision_core import NodeStatus, Power, Role, Stage, Stamp, Vm, hookimpl
from kube_provision_core.testing import BakingContract

from .planted import fails

FIXTURES = {}


class Suite(BakingContract):
    Driver = Sound

    @pytest.fixture
    def shelf(self):
        return Shelf(endings={"kube-1.36": RUNNING})

    @pytest.fixture
    def make_driver(self, shelf):
        world = World()
        config = ShelfConfig(template="kube-1.36", bake_from="plain")
        return lambda: self.Driver(dict.fromkeys(Role, config), shelf, world)

    @pytest.fixture
    def guest_bakes(self, shelf):
        def bakes(baked):
            template = shelf.templates["kube-1.36"]
            baking = replace(template.baking, status=DONE, baked=baked)
            shelf.templates["kube-1.36"] = replace(template, baking=baking)

        return bakes

    @pytest.fixture
    def create_foreign(self, shelf):
        def create():
            shelf.templates["kube-1.36"] = replace(shelf.templates["kube-1.36"], exists=True, baked=None)

        return create

    @pytest.fixture
    def read_boot_data(self, shelf):
        return lambda: shelf.boot_data.get("kube-1.36", "")


@fails("test_list_templates_names_a_template_once_for_all_its_roles")
class SaysThatItIsForEveryRole(Sound):
    @hookimpl
    def list_templates(self, roles):
        return [replace(it, roles=frozenset(Role)) for it in super().list_templates(roles)]


@fails("test_the_machine_that_bakes_is_found_by_what_it_was_given")
class ForgetsWhatItWasGiven(Sound):
    @hookimpl
    def bake_image(self, template, image):
        return super().bake_image(template, replace(image, spec=""))


@fails("test_the_machine_that_bakes_is_no_machine_of_any_cluster")
class ListsTheMachineThatBakes(Sound):
    @hookimpl
    def bake_image(self, template, image):
        stamp = Stamp("contract", "", Role.MASTER, image.spec)
        self.world.vms["kube-1.36"] = Vm("kube-1.36", "kube-1.36", Power.ON, stamp)
        return super().bake_image(template, image)


@fails("test_what_the_machine_says_is_told")
class LosesWhatTheMachineSays(Sound):
    @hookimpl
    def list_templates(self, roles):
        found = super().list_templates(roles)
        return [replace(it, baking=it.baking and replace(it.baking, baked=None)) for it in found]


@fails("test_what_an_earlier_run_has_left_is_replaced")
class GoesOnWithWhatIsThere(Sound):
    @hookimpl
    def bake_image(self, template, image):
        if not template.baking:
            super().bake_image(template, image)
        return True

    @hookimpl
    def list_templates(self, roles):
        found = super().list_templates(roles)
        return [
            replace(
                it,
                baking=it.baking
                and replace(it.baking, baked=it.baking.baked and replace(it.baking.baked, spec=it.baking.spec)),
            )
            for it in found
        ]


@fails("test_the_finished_template_tells_what_is_in_it")
class RemembersContentsInMemory(Sound):
    def __init__(self, *given):
        super().__init__(*given)
        self.held = {}

    @hookimpl
    def finish_image(self, template):
        self.held[template.name] = template.baking.baked
        return super().finish_image(template)

    @hookimpl
    def list_templates(self, roles):
        return [replace(it, baked=self.held.get(it.name)) for it in super().list_templates(roles)]


@fails("test_an_earlier_template_stays_until_the_new_one_is_good")
class RemovesTheEarlierTemplateFirst(Sound):
    @hookimpl
    def bake_image(self, template, image):
        return super().bake_image(replace(template, exists=False, baked=None), image)


@fails("test_an_earlier_template_is_replaced")
class KeepsTheEarlierTemplate(Sound):
    @hookimpl
    def finish_image(self, template):
        if template.exists:
            self.shelf.templates[template.name] = replace(template, baking=None)
            return True
        return super().finish_image(template)


@fails("test_a_template_that_was_not_baked_is_never_replaced")
class ReplacesWhatWasNotBaked(Sound):
    @hookimpl
    def finish_image(self, template):
        self.shelf.templates[template.name] = replace(template, exists=False)
        return super().finish_image(template)


@fails("test_the_finished_template_holds_no_boot_data")
class KeepsBootData(Sound):
    @hookimpl
    def finish_image(self, template):
        held = self.shelf.boot_data[template.name]
        super().finish_image(template)
        self.shelf.boot_data[template.name] = held
        return True


@fails("test_a_machine_of_the_template_begins_afresh")
class InheritsAStatus(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        self.world.statuses[node.name] = NodeStatus(Stage.FINISH, "done")
        return super().provision_vm(node, boot)


@fails("test_secrets_are_never_told")
class LogsBootData(Sound):
    @hookimpl
    def bake_image(self, template, image):
        logging.getLogger("driver").debug("giving it %s", image.boot.user_data)
        return super().bake_image(template, image)
