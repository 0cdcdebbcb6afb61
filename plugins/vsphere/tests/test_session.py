"""One login a run, renewed once for all threads; trust in the server; ends of all kinds."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers.certificates import issue_certificate
from servers.simulator import Machine, Simulator

from kube_provision_core import Boot, Cluster, Node, TargetError
from kube_provision_vsphere import tls
from kube_provision_vsphere.client import session
from kube_provision_vsphere.client.tags import read_categories
from kube_provision_vsphere.driver import Vsphere

pytestmark = pytest.mark.integration

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]
MakeDriver = Callable[..., Vsphere]


def refusal(driver: Vsphere, cluster: Cluster) -> str:
    with pytest.raises(TargetError) as caught:
        driver.list_vms(cluster)
    assert "\n" not in str(caught.value)
    assert caught.value.retryable is ("refuses" not in str(caught.value))
    return str(caught.value)


# --- logging in and out ------------------------------------------------------------------------------------------------


def test_a_run_logs_in_once_and_out_at_its_end(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: driver.list_vms(cluster), range(16)))
    assert vcenter.counts()["Login"] == 1
    assert vcenter.sessions() == 1
    driver.close()
    assert vcenter.sessions() == 0


def test_an_unused_driver_never_connects(vcenter: Simulator, driver: Vsphere) -> None:
    driver.close()
    assert vcenter.counts() == {}


def test_many_threads_on_an_expired_session_log_in_once(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))  # without any machine there is nothing to ask after the first look
    driver.list_vms(cluster)
    vcenter.expire_sessions()
    vcenter.reset_counts()
    together = threading.Barrier(8)

    def look(_: int) -> None:
        together.wait(60)
        driver.list_vms(cluster)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(look, range(8)))
    assert vcenter.counts()["Login"] == 1


def test_a_session_that_expires_while_machines_are_made_is_renewed(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(clone_time=2)
    driver = driver_for(vcenter)
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(driver.provision_vm, node(index), boot(node(index))) for index in range(1, 5)]
        while vcenter.counts().get("CloneVM_Task", 0) < 4:
            time.sleep(0.02)
        vcenter.expire_sessions()
        assert [future.result(60).name for future in made] == [f"w-prod-{index}" for index in range(1, 5)]
    assert vcenter.counts()["Login"] == 2


def test_a_refused_login_is_never_repeated(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vcenter_password="wrong-pw")
    assert refusal(driver, cluster) == (
        f"log in to {vcenter.address}: vCenter refuses vcenter_username and vcenter_password (not tried again: accounts get "
        "locked)"
    )
    with ThreadPoolExecutor(4) as pool:
        assert all("refuses" in text for text in pool.map(lambda _: refusal(driver, cluster), range(4)))
    driver.close()
    assert vcenter.counts()["Login"] == 1


def test_credentials_that_expire_during_a_run_are_tried_once(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    vcenter.expire_sessions()
    vcenter.fail("Login", fault="InvalidLogin")
    vcenter.reset_counts()
    with ThreadPoolExecutor(4) as pool:
        assert all("refuses" in text for text in pool.map(lambda _: refusal(driver, cluster), range(4)))
    assert vcenter.counts()["Login"] == 1


def test_the_password_is_told_nowhere(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    driver = driver_for(vcenter, vcenter_password="wrong-pw")
    text = refusal(driver, cluster)
    assert "wrong-pw" not in text + caplog.text + repr(driver._target.vcenter.__dict__) + repr(driver._config)


# --- trust -------------------------------------------------------------------------------------------------------------


def test_an_untrusted_certificate_is_refused_with_its_fingerprint(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster
) -> None:
    text = refusal(driver_for(vcenter, vcenter_ca_file=None), cluster)
    assert f"{vcenter.address}: its certificate is not trusted" in text
    assert f"set vcenter_thumbprint: {vcenter.thumbprint}" in text
    assert "Login" not in vcenter.counts()


def test_a_pinned_certificate_needs_no_authority(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster) -> None:
    driver = driver_for(vcenter, vcenter_ca_file=None, vcenter_thumbprint=vcenter.thumbprint)
    assert list(driver.list_vms(cluster)) == []


def test_another_certificate_than_the_pinned_one_is_refused(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster
) -> None:
    text = refusal(driver_for(vcenter, vcenter_ca_file=None, vcenter_thumbprint="00" * 32), cluster)
    assert "presents another certificate" in text
    assert vcenter.thumbprint in text
    assert "Login" not in vcenter.counts()


def test_another_authority_is_refused(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, tmp_path: Path) -> None:
    other = issue_certificate(tmp_path).ca_file
    assert "is not trusted" in refusal(driver_for(vcenter, vcenter_ca_file=other), cluster)


def test_a_certificate_for_another_name_is_refused(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster) -> None:
    address = f"127.0.0.1.nip.invalid:{vcenter.port}"
    assert "cannot be resolved" in refusal(driver_for(vcenter, vcenter_hostname=address), cluster)


def test_an_authority_file_that_has_become_unusable_is_named(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, tmp_path: Path
) -> None:
    path = issue_certificate(tmp_path).ca_file
    driver = driver_for(vcenter, vcenter_ca_file=path)
    path.write_text("no certificate")
    assert f"vcenter_ca_file: {path} is no PEM file" in refusal(driver, cluster)


def test_the_environments_proxies_are_bypassed(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert list(driver.list_vms(cluster)) == []


# --- servers that are not there ----------------------------------------------------------------------------------------


def test_nobody_listening_is_told(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster) -> None:
    vcenter.kill()
    text = refusal(driver_for(vcenter), cluster)
    assert text == f"vcenter_hostname: {vcenter.address} cannot be reached: Connection refused"


def test_a_server_without_tls_is_told(vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, plain: int) -> None:
    text = refusal(driver_for(vcenter, vcenter_hostname=f"127.0.0.1:{plain}"), cluster)
    assert f"127.0.0.1:{plain} does not speak TLS" in text


def test_a_server_that_never_answers_is_given_up(
    vcenter: Simulator, driver_for: MakeDriver, cluster: Cluster, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "CONNECT_TIMEOUT", 0.3)
    text = refusal(driver_for(vcenter, vcenter_hostname=f"127.0.0.1:{silent}"), cluster)
    assert "cannot be reached" in text
    assert "timed out" in text


@pytest.mark.parametrize("kind", ["503", "reset", "lost", "garbage"])
def test_a_look_that_gets_lost_fails_nobody_who_waits(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot, kind: str
) -> None:
    vcenter = simulate(clone_time=2)
    driver = driver_for(vcenter)
    driver.preflight([(node(1), boot(node(1)))])
    with ThreadPoolExecutor(16) as pool:
        making = [pool.submit(driver.provision_vm, node(index), boot(node(index))) for index in range(1, 17)]
        while vcenter.counts().get("CloneVM_Task", 0) < 16:
            time.sleep(0.02)
        vcenter.trouble(kind, "RetrievePropertiesEx", times=3)
        assert {future.result(60).name for future in making} == {f"w-prod-{index}" for index in range(1, 17)}
    assert vcenter.counts()["CloneVM_Task"] == 16


@pytest.mark.parametrize("kind", ["503", "reset", "lost", "garbage", "nothing"])
def test_a_clone_whose_answer_gets_lost_is_made_once(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, kind: str
) -> None:
    driver.preflight([(node(1), boot(node(1)))])
    vcenter.trouble(kind, "CloneVM_Task", "w-prod-1", times=1)
    assert driver.provision_vm(node(1), boot(node(1))).name == "w-prod-1"
    assert vcenter.machine_names() == ["w-prod-1"]


def test_a_server_whose_answers_nobody_can_read_is_told_in_a_line(
    vcenter: Simulator, driver: Vsphere, node: MakeNode, boot: MakeBoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE", 1.0)
    driver.preflight([(node(1), boot(node(1)))])
    vcenter.trouble("garbage", "ReconfigVM_Task", times=0)
    vm = driver.provision_vm(node(1), boot(node(1)))
    with pytest.raises(TargetError) as caught:
        driver.scrub_boot(vm)
    assert str(caught.value).startswith("w-prod-1: replace the boot data: no answer from vCenter 127.0.0.1:")
    assert "its answer cannot be read (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_silence_that_lasts_is_told_and_waited_for_once(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE", 2.0)
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    vcenter.trouble("503", times=0)
    begun = time.monotonic()
    assert refusal(driver, cluster).endswith(": 503 Service Unavailable")
    assert 2 <= time.monotonic() - begun < 60
    vcenter.reset_counts()
    assert "503" in refusal(driver, cluster), "it is known to be silent"
    assert sum(vcenter.counts().values()) == 1
    vcenter.heal()
    assert len(driver.list_vms(cluster)) == 1


def test_slow_calls_whose_answers_get_lost_are_made_again(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence begins when an answer is lost, not when its call began: for that call, and for all others."""
    monkeypatch.setattr(session, "SILENCE", 0.3)
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
    vcenter = simulate(call_delay=0.7, machines=[Machine("k8s/w-prod-1")])
    driver = driver_for(vcenter)
    driver.list_vms(cluster)
    vcenter.trouble("503", "RetrievePropertiesEx", times=4)
    with ThreadPoolExecutor(4) as pool:
        assert [len(vms) for vms in pool.map(lambda _: driver.list_vms(cluster), range(4))] == [1] * 4


def test_a_call_that_is_never_answered_fails_while_others_are(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SILENCE", 0.5)
    monkeypatch.setattr(session, "SILENCE_PAUSE", 0.1)
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    vcenter.trouble("503", "Category.list", times=0)
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            driver.list_vms(cluster)

    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(look)
        asking = pool.submit(read_categories, driver._target.vcenter.rest, [])
        try:
            with pytest.raises(TargetError, match=r"^read tags: no answer from vCenter .*: it answers 503$"):
                asking.result(30)
        finally:
            over.set()
        looking.result(30)


def test_an_answer_to_another_thread_in_the_midst_of_silence_harms_nobody(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    vcenter_session = driver._target.vcenter.session

    def answered() -> float:
        vcenter_session._silent_since = None
        return time.monotonic()

    monkeypatch.setattr(session, "monotonic", answered)
    vcenter.trouble("503", "RetrievePropertiesEx", times=2)
    assert len(driver.list_vms(cluster)) == 1


def test_a_server_that_restarts_is_logged_in_to_again(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    for method in ("RetrievePropertiesEx", "Login"):
        vcenter.trouble("503", method, times=1)
    vcenter.expire_sessions()
    assert len(driver.list_vms(cluster)) == 1


def test_a_first_call_that_gets_lost_is_told_at_once(vcenter: Simulator, driver: Vsphere, cluster: Cluster) -> None:
    vcenter.trouble("503", times=0)
    assert refusal(driver, cluster).startswith(f"log in to {vcenter.address}: ")
    assert sum(vcenter.counts().values()) == 1


def test_a_server_killed_at_work_fails_everybody_who_waits(
    simulate: Callable[..., Simulator],
    driver_for: MakeDriver,
    node: MakeNode,
    boot: MakeBoot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "SILENCE", 2.0)
    vcenter = simulate(clone_time=600)
    driver = driver_for(vcenter)
    with ThreadPoolExecutor(8) as pool:
        making = [pool.submit(driver.provision_vm, node(index), boot(node(index))) for index in range(1, 9)]
        while vcenter.counts().get("CloneVM_Task", 0) < 8:
            time.sleep(0.05)
        vcenter.kill()
        begun = time.monotonic()
        errors = [future.exception(60) for future in making]
    assert all(isinstance(error, TargetError) for error in errors)
    assert all(f"no answer from vCenter {vcenter.address}" in str(error) for error in errors)
    driver.close()
    assert time.monotonic() - begun < 60


def test_closing_ends_waits_that_nobody_needs_any_more(
    simulate: Callable[..., Simulator], driver_for: MakeDriver, node: MakeNode, boot: MakeBoot
) -> None:
    vcenter = simulate(clone_time=600)
    driver = driver_for(vcenter)
    with ThreadPoolExecutor(2) as pool:
        making = [pool.submit(driver.provision_vm, node(index), boot(node(index))) for index in (1, 2)]
        while vcenter.counts().get("CloneVM_Task", 0) < 2:
            time.sleep(0.05)
        driver.close()
        errors = [str(future.exception(60)) for future in making]
    assert all("the run ended while vCenter was still at work" in error for error in errors)
    assert vcenter.sessions() == 0


def test_a_connection_that_the_server_has_closed_is_opened_anew(
    vcenter: Simulator, driver: Vsphere, cluster: Cluster
) -> None:
    vcenter.create(Machine("k8s/w-prod-1"))
    driver.list_vms(cluster)
    for connection, _ in driver._target.vcenter.session._stub.pool:
        connection.sock.shutdown(socket.SHUT_RDWR)
    assert len(driver.list_vms(cluster)) == 1


@pytest.fixture
def silent() -> Iterator[int]:
    """Port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def plain() -> Iterator[int]:
    """Port of a server that answers in plain text."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(60)
