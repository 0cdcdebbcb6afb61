"""What every target driver promises that bakes templates, as checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from .. import Baked, Baking, Image, Role, TargetError, Template
from .connected import Connected
from .fixtures import DriverFixtures
from .guards import logged, telling
from .offers import offered
from .samples import BAKED, SECRET, boot_of, cluster_of, image_of, node_of

NEWER = replace(BAKED, spec="ddddeeeeffff", date="2026-12-01T10:00:00Z")


class BakingContract(DriverFixtures):
    """For targets that answer `list_templates`, `bake_image` and `finish_image`, beside `TargetContract`.

    Subclass it and override `make_driver` (with one template for all roles, and what it is baked from) and `guest_bakes`;
    override the other fixtures to have more checked. Every test gets a target with a source, and without the template that
    the configuration names.
    """

    @pytest.fixture
    def guest_bakes(self) -> Callable[[Baked], None]:
        """A function that returns when the machine that bakes has published the end of its work, with this record."""
        raise NotImplementedError("override the fixture guest_bakes")

    @pytest.fixture
    def make_image(self) -> Callable[[Baked], Image]:
        """A function that makes the image for a record. Override it where machines really boot what they are given."""
        return image_of

    @pytest.fixture
    def create_foreign(self) -> Callable[[], None] | None:
        """A function that puts a template that was not baked where the configured one would be. None: not checked."""
        return None

    @pytest.fixture
    def read_boot_data(self) -> Callable[[], str] | None:
        """A function that reads the boot data that the target holds for the template, or for the machine that becomes it;
        empty where there is none. None: not checked."""
        return None

    @pytest.fixture
    def bake_machine(
        self, make_image: Callable[[Baked], Image], guest_bakes: Callable[[Baked], None]
    ) -> Callable[..., None]:
        """A function that bakes the template as far as its machine has done its work."""

        def bake_machine(driver: Connected, baked: Baked = BAKED) -> None:
            driver.bake_image(template=_only(driver), image=make_image(baked))
            guest_bakes(baked)

        return bake_machine

    @pytest.fixture
    def bake(self, bake_machine: Callable[..., None]) -> Callable[..., None]:
        """A function that bakes the template from beginning to end."""

        def bake(driver: Connected, baked: Baked = BAKED) -> None:
            bake_machine(driver, baked)
            assert driver.finish_image(template=_only(driver)) is True

        return bake

    # --- list_templates --------------------------------------------------------------------------------------------

    def test_list_templates_names_a_template_once_for_all_its_roles(self, driver: Connected) -> None:
        found = _only(driver)
        assert found.source, "what it is baked from is not told"
        assert (found.exists, found.baked, found.baking) == (False, None, None)
        (again,) = driver.list_templates(roles=frozenset({Role.WORKER}))
        assert (again.name, again.roles) == (found.name, {Role.WORKER})

    # --- bake_image ------------------------------------------------------------------------------------------------

    def test_the_machine_that_bakes_is_found_by_what_it_was_given(
        self, driver: Connected, connect: Callable[[], Connected], make_image: Callable[[Baked], Image]
    ) -> None:
        assert driver.bake_image(template=_only(driver), image=make_image(BAKED)) is True
        found = _only(connect())
        assert not found.exists, "the template exists before it is finished"
        assert (_baking(found).spec, _baking(found).running) == (BAKED.spec, True)

    def test_the_machine_that_bakes_is_no_machine_of_any_cluster(
        self, driver: Connected, make_image: Callable[[Baked], Image]
    ) -> None:
        driver.bake_image(template=_only(driver), image=make_image(BAKED))
        assert list(driver.list_vms(cluster=cluster_of("w-contract-1"))) == []

    def test_what_the_machine_says_is_told(
        self, driver: Connected, connect: Callable[[], Connected], bake_machine: Callable[..., None]
    ) -> None:
        bake_machine(driver)
        found = _baking(_only(connect()))
        assert (found.done, found.baked) == (True, BAKED)

    def test_what_an_earlier_run_has_left_is_replaced(
        self,
        driver: Connected,
        connect: Callable[[], Connected],
        make_image: Callable[[Baked], Image],
        bake_machine: Callable[..., None],
    ) -> None:
        driver.bake_image(template=_only(driver), image=make_image(BAKED))
        later = connect()
        bake_machine(later, NEWER)
        assert _baking(_only(later)).baked == NEWER
        later.finish_image(template=_only(later))
        assert _only(later).baking is None, "the machine of the earlier run is still there"

    # --- finish_image ----------------------------------------------------------------------------------------------

    def test_the_finished_template_tells_what_is_in_it(
        self, driver: Connected, connect: Callable[[], Connected], bake: Callable[..., None]
    ) -> None:
        bake(driver)
        found = _only(connect())
        assert (found.exists, found.baked, found.baking) == (True, BAKED, None)

    def test_an_earlier_template_stays_until_the_new_one_is_good(
        self, driver: Connected, make_image: Callable[[Baked], Image], bake: Callable[..., None]
    ) -> None:
        bake(driver)
        driver.bake_image(template=_only(driver), image=make_image(NEWER))
        assert _only(driver).baked == BAKED

    def test_an_earlier_template_is_replaced(self, driver: Connected, bake: Callable[..., None]) -> None:
        bake(driver)
        bake(driver, NEWER)
        assert (_only(driver).baked, _only(driver).baking) == (NEWER, None)

    def test_a_template_that_was_not_baked_is_never_replaced(
        self, driver: Connected, create_foreign: Callable[[], None] | None, bake_machine: Callable[..., None]
    ) -> None:
        bake_machine(driver)
        offered(create_foreign, "create_foreign")()
        found = _only(driver)
        assert (found.exists, found.baked) == (True, None)
        with pytest.raises(TargetError):
            driver.finish_image(template=found)
        assert (_only(driver).exists, _only(driver).baked) == (True, None)

    def test_the_finished_template_holds_no_boot_data(
        self,
        driver: Connected,
        read_boot_data: Callable[[], str] | None,
        make_image: Callable[[Baked], Image],
        guest_bakes: Callable[[Baked], None],
    ) -> None:
        read = offered(read_boot_data, "read_boot_data")
        driver.bake_image(template=_only(driver), image=make_image(BAKED))
        assert SECRET in read(), "read_boot_data does not find what bake_image delivered"
        guest_bakes(BAKED)
        driver.finish_image(template=_only(driver))
        assert SECRET not in read()

    def test_a_machine_of_the_template_begins_afresh(
        self, driver: Connected, connect: Callable[[], Connected], bake: Callable[..., None]
    ) -> None:
        """One that seems to have finished its boot before it begins would never be waited for."""
        bake(driver)
        later, node = connect(), node_of("w-contract-1")
        later.provision_vm(node=node, boot=boot_of(node))
        (vm,) = later.list_vms(cluster=cluster_of(node.name))
        assert (vm.name, vm.stamp) == (node.name, node.stamp)
        assert vm.status is None or not vm.status.finished, "it bears the status of the machine that baked"

    def test_secrets_are_never_told(self, driver: Connected, bake: Callable[..., None]) -> None:
        with logged() as lines:
            bake(driver)
        told = telling([*lines, repr(driver), repr(_only(driver))], [SECRET])
        assert not told, f"a secret was told: {told}"


def _only(driver: Connected) -> Template:
    found = driver.list_templates(roles=frozenset(Role))
    assert all(isinstance(it, Template) for it in found), "list_templates returned something that is no Template"
    assert len(found) == 1, f"one template is configured, and list_templates names {[it.name for it in found]}"
    (template,) = found
    assert template.roles == frozenset(Role), f"it is for all roles, and list_templates says {sorted(template.roles)}"
    assert isinstance(template, Template)
    return template


def _baking(template: Template) -> Baking:
    assert template.baking is not None, "the machine that bakes is not found"
    return template.baking
