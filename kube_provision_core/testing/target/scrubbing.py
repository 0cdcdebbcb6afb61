"""`scrub_boot`: the secrets go, everywhere, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from ... import Cluster, Power, TargetError, Vm
from ..connected import Connected
from ..offers import answering, offered
from ..samples import SECRET, boot_of, node_of
from .fixtures import WORKER, TargetFixtures, make, one

Read = Callable[[Vm], str]


class ScrubbingChecks(TargetFixtures):
    def test_scrub_boot_takes_the_secrets_and_says_so(
        self, connect: Callable[[], Connected], cluster: Cluster, read_boot_data: Read | None
    ) -> None:
        driver = connect()
        answering(driver, "scrub_boot")
        read, vm = offered(read_boot_data, "read_boot_data"), make(driver)
        assert SECRET in read(vm), "read_boot_data does not find what provision_vm delivered"
        assert not one(driver, cluster).scrubbed
        assert driver.scrub_boot(vm=vm) is True
        assert SECRET not in read(vm)
        assert one(connect(), cluster).scrubbed, "no later run knows of it"

    def test_scrub_boot_keeps_no_copy(self, driver: Connected, find_text: Callable[[str], Sequence[str]] | None) -> None:
        answering(driver, "scrub_boot")
        find, vm = offered(find_text, "find_text"), make(driver)
        assert find(SECRET), "find_text does not find what provision_vm delivered"
        driver.scrub_boot(vm=vm)
        assert not find(SECRET), f"the secret is still at {find(SECRET)}"

    def test_scrub_boot_may_be_repeated(self, connect: Callable[[], Connected], cluster: Cluster) -> None:
        answering(connect(), "scrub_boot")
        vm = make(connect())
        assert connect().scrub_boot(vm=vm) is True
        assert connect().scrub_boot(vm=one(connect(), cluster)) is True

    def test_scrub_boot_keeps_the_instance(self, driver: Connected, read_metadata: Read | None) -> None:
        """Another one would make the next boot a first boot, without anything to boot from."""
        answering(driver, "scrub_boot")
        read, vm = offered(read_metadata, "read_metadata"), make(driver)
        driver.scrub_boot(vm=vm)
        assert boot_of(WORKER).instance_id in read(vm), "the instance id has gone"
        assert boot_of(WORKER).hostname in read(vm).replace(boot_of(WORKER).instance_id, ""), "the host name has gone"

    def test_scrub_boot_changes_nothing_else(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "scrub_boot")
        make(driver)
        before = one(driver, cluster)
        driver.scrub_boot(vm=before)
        after = one(driver, cluster)
        assert (after.id, after.power, after.stamp) == (before.id, Power.ON, before.stamp)

    def test_scrub_boot_scrubs_one_machine(self, driver: Connected, cluster: Cluster, read_boot_data: Read | None) -> None:
        answering(driver, "scrub_boot")
        read, other = offered(read_boot_data, "read_boot_data"), make(driver, node_of("w-contract-10"))
        driver.scrub_boot(vm=make(driver))
        assert SECRET in read(other)
        assert not one(driver, cluster, other.name).scrubbed

    def test_scrubbing_a_machine_that_is_gone_is_no_bug(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "scrub_boot", "destroy_vm")
        vm = make(driver)
        driver.destroy_vm(vm=vm)
        with suppress(TargetError):
            driver.scrub_boot(vm=vm)
