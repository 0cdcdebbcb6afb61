"""`preflight` before anything is made, and `arrange_vms` after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ... import Boot, Cluster, Node
from ..connected import Connected
from ..offers import answering, offered
from ..samples import SECRET, boot_of, node_of
from .fixtures import NAMES, WORKER, TargetFixtures, listed, make, ours

MACHINES = ((WORKER, boot_of(WORKER)),)


class PreparationChecks(TargetFixtures):
    def test_preflight_answers_with_lines(self, driver: Connected, make_misled_driver: Callable[[], Any] | None) -> None:
        answering(driver, "preflight")
        assert not _lines(driver, MACHINES), f"the suite's machines are refused: {_lines(driver, MACHINES)}"

    def test_preflight_finds_what_the_configuration_names_wrongly(
        self, make_misled_driver: Callable[[], Any] | None
    ) -> None:
        driver = Connected(offered(make_misled_driver, "make_misled_driver")())
        answering(driver, "preflight")
        assert _lines(driver, MACHINES), "nothing is said of what the target does not have"

    def test_preflight_changes_nothing(
        self, driver: Connected, cluster: Cluster, find_text: Callable[[str], Sequence[str]] | None
    ) -> None:
        answering(driver, "preflight")
        driver.preflight(machines=MACHINES)
        assert listed(driver, cluster) == [], "it has made machines"
        assert not offered(find_text, "find_text")(SECRET), "it has left boot data somewhere"

    def test_preflight_may_be_asked_of_nobody(self, driver: Connected) -> None:
        answering(driver, "preflight")
        assert not _lines(driver, ())

    def test_boot_data_is_delivered_whole_or_refused_beforehand(
        self, driver: Connected, find_text: Callable[[str], Sequence[str]] | None
    ) -> None:
        answering(driver, "preflight")
        find = offered(find_text, "find_text")
        boot = replace(boot_of(WORKER), user_data=boot_of(WORKER).user_data + "# much\n" * 30_000 + f"# {SECRET}-end\n")
        if not _lines(driver, [(WORKER, boot)]):
            make(driver, boot=boot)
            assert find(f"{SECRET}-end"), "it was cut off, and nobody said so"

    def test_arrange_vms_may_be_repeated(self, driver: Connected, cluster: Cluster) -> None:
        answering(driver, "arrange_vms")
        for name in NAMES:
            make(driver, node_of(name))
        before = ours(driver, cluster)
        for _ in range(2):
            assert driver.arrange_vms(cluster=cluster, vms=tuple(before.values())) is True
        assert {name: (vm.id, vm.stamp) for name, vm in ours(driver, cluster).items()} == {
            name: (vm.id, vm.stamp) for name, vm in before.items()
        }


def _lines(driver: Connected, machines: Sequence[tuple[Node, Boot]]) -> list[str]:
    answer = driver.preflight(machines=machines)
    assert answer is None or (isinstance(answer, Sequence) and not isinstance(answer, str)), (
        f"preflight answered a {type(answer).__name__}, not a list of lines"
    )
    lines = list(answer or ())
    assert all(isinstance(line, str) and line and "\n" not in line for line in lines), f"these are no lines: {lines}"
    return lines
