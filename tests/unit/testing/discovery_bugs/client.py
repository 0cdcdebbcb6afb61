"""Bugs on the nodes' side."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import BootFragment, hookimpl

from ..planted import fails
from .sound import Sound


def given(old, new, driver=Sound):
    """The driver, with something else in what it gives to machines."""

    class Driver(driver):
        @hookimpl
        def render_boot(self, node, cluster):
            client, *others = super().render_boot(node, cluster).files
            assert old in client.content
            return BootFragment(files=(replace(client, content=client.content.replace(old, new)), *others))

    return Driver


@fails("test_a_node_is_connected_without_asking_anybody")
class ResolvesWhenItConnects(given("    told = json", "    socket.getaddrinfo('localhost', 80)\n    told = json")):
    pass


@fails("test_a_silent_service_is_unavailable_to_nodes")
class RaisesWhatTheShareRaises(given("raise UnavailableError(", "raise OSError(")):
    pass


@fails("test_a_node_knows_its_address")
class TakesItsNameForItsAddress(given("return str(probe.getsockname()[0])", "return self.name")):
    pass


@fails("test_the_record_is_created_once")
class SaysThatEveryRecordWasCreated(given("write_record(content, None)", "write_record(content, None) in (True, False)")):
    pass


@fails("test_the_record_is_replaced_only_while_it_is_the_one_that_was_read")
class ReplacesWhateverIsThere(given("(content, version)", "(content, self.read_record().version)")):
    pass


@fails("test_both_sides_know_one_record")
class KeepsARecordOfTheNodesAlone(given("record.json", "claim.json")):
    pass


@fails("test_an_unreadable_record_is_unavailable_to_nodes")
class TakesTheUnreadableForNone(given("except FileNotFoundError", "except (FileNotFoundError, ValueError)")):
    pass


@fails("test_the_nodes_lock_is_held_by_one_who_is_named")
class DoesNotSayThatItIsBusy(given("busy = True", "engaged = True")):
    pass


@fails("test_a_failure_under_the_nodes_lock_goes_through_and_frees_it")
class KeepsTheNodesLockAfterAFailure(
    given("            yield\n\n    def register", "                yield\n\n    def register")
):
    pass


@fails("test_nodes_take_their_lock_while_a_run_holds_its_own")
class HasOneLockForNodesAndRuns(given('held("join"', 'held("run"')):
    pass


@fails("test_masters_are_told_at_once_to_who_knows_none_yet")
class TellsNoIndex(given("return new, addresses", "return '', addresses")):
    pass


@fails("test_masters_are_told_again_when_the_time_is_over")
class WaitsForNobody(given("left <= 0:", "left <= 60:")):
    pass


@fails("test_a_master_that_is_silent_is_told_to_nobody")
class TellsSilentMasters(given("if answer.result()]", "]")):
    pass


@fails("test_a_master_that_has_withdrawn_is_told_to_nobody_until_it_registers")
class NeverWithdraws(given("self.share.withdraw(self.name)", "pass")):
    pass


@fails("test_a_master_that_has_withdrawn_is_told_to_nobody_until_it_registers")
class CannotWithdrawTwice(given("unlink(missing_ok=True)", "unlink()")):
    pass


@fails("test_a_master_that_has_withdrawn_is_told_to_nobody_until_it_registers")
class NeverComesBack(given("self.share.register(", '(self.share.folder / "masters").exists() or self.share.register(')):
    pass


@fails("test_a_silent_service_is_unavailable_to_nodes")
class TakesSilenceForWithdrawn(given('path = self.folder / "masters"', 'path = self.root / self.cluster / "masters"')):
    pass


@fails("test_a_master_that_is_ready_is_told_to_both_sides")
class LooksAtMastersWhereNeighboursDo(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        return super().discover_masters(replace(cluster, reach={}))
