"""All threads that wait share one look at the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers.simulator import Simulator

from kube_provision_core import TargetError
from kube_provision_vsphere import tls
from kube_provision_vsphere.client.session import Session
from kube_provision_vsphere.client.waiting import Awaited, Seen, Values, Waiting

pytestmark = pytest.mark.integration

NAME = {"VirtualMachine": ["name"]}
Judge = Callable[[Values | None, float], Seen[str] | None]


@pytest.fixture
def waiting(vcenter: Simulator) -> Iterator[Waiting]:
    address = (vcenter.host, vcenter.port)

    def trust() -> tls.ssl.SSLContext:
        return tls.context(address, ca_file=Path(vcenter.ca_file), fingerprint=None)

    session = Session(address, vcenter.username, vcenter.password, trust, 8)
    yield Waiting(session, NAME)
    session.close()


@pytest.fixture
def machine(vcenter: Simulator) -> str:
    return str(vcenter.vm("ubuntu")["id"])


def name(values: Values | None, _: float) -> Seen[str]:
    return Seen(values["name"] if values else "gone")


def test_the_judge_decides(waiting: Waiting, machine: str) -> None:
    assert waiting.wait(Awaited("VirtualMachine", machine, name)) == "ubuntu"


def test_what_does_not_exist_is_judged_too(waiting: Waiting) -> None:
    assert waiting.wait(Awaited("VirtualMachine", "vm-99999", name)) == "gone"


def test_a_judge_may_name_what_comes_next(waiting: Waiting, machine: str) -> None:
    def first(_values: Values | None, _: float) -> Seen[str]:
        return Seen(then=Awaited("VirtualMachine", machine, name))

    assert waiting.wait(Awaited("VirtualMachine", "vm-99999", first)) == "ubuntu"


def test_many_waits_cost_few_calls(vcenter: Simulator, waiting: Waiting, machine: str) -> None:
    waiting.wait(Awaited("VirtualMachine", machine, name))
    vcenter.reset_counts()

    def later(values: Values | None, waited: float) -> Seen[str] | None:
        return name(values, waited) if waited > 0.5 else None

    with ThreadPoolExecutor(50) as pool:
        waits = [pool.submit(waiting.wait, Awaited("VirtualMachine", machine, later)) for _ in range(50)]
        assert {wait.result(60) for wait in waits} == {"ubuntu"}
    assert vcenter.counts()["RetrievePropertiesEx"] <= 12


def test_no_look_comes_before_it_can_be_over(vcenter: Simulator, waiting: Waiting, machine: str) -> None:
    waiting.wait(Awaited("VirtualMachine", machine, name))
    vcenter.reset_counts()
    waiting.wait(Awaited("VirtualMachine", machine, name, expected=0.5))
    assert vcenter.counts()["RetrievePropertiesEx"] == 1


def test_one_failing_judge_fails_its_own_wait_only(waiting: Waiting, machine: str) -> None:
    def refuse(_values: Values | None, _: float) -> Seen[str]:
        raise TargetError("refused")

    def later(values: Values | None, waited: float) -> Seen[str] | None:
        return name(values, waited) if waited > 0.3 else None

    judges: list[Judge] = [refuse, later, refuse, later]
    with ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(waiting.wait, Awaited("VirtualMachine", machine, judge)) for judge in judges]
        errors = [wait.exception(60) for wait in waits]
    assert [str(error) for error in errors] == ["refused", "None", "refused", "None"]


def test_a_thread_that_dies_hands_on_the_lead(waiting: Waiting, machine: str) -> None:
    begun = threading.Event()

    def die(_values: Values | None, _: float) -> Seen[str]:
        begun.set()
        raise ZeroDivisionError

    def later(values: Values | None, waited: float) -> Seen[str] | None:
        return name(values, waited) if waited > 0.3 else None

    with ThreadPoolExecutor(2) as pool:
        dying = pool.submit(waiting.wait, Awaited("VirtualMachine", machine, die))
        begun.wait(60)
        living = pool.submit(waiting.wait, Awaited("VirtualMachine", machine, later))
        assert isinstance(dying.exception(60), ZeroDivisionError)
        assert living.result(60) == "ubuntu"


def test_nobody_waits_after_the_end(waiting: Waiting, machine: str) -> None:
    waiting.close()
    with pytest.raises(TargetError, match="the run ended"):
        waiting.wait(Awaited("VirtualMachine", machine, name))
