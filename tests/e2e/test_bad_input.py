"""Bad input and bad luck, as the user meets them: one clear line, the right exit code, nothing half-done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers.simulator import NEVER_AN_ADDRESS, Guest, Machine, Template

from .conftest import Run, Site, finish, until


def lines(run: Run) -> list[str]:
    return [line for line in run.errors.splitlines() if line.startswith("kube-provision: ")]


def refused(site: Site, run: Run, code: int, *words: str) -> None:
    """One line that says it, and not a machine more than before."""
    assert run.code == code, run.errors
    said = lines(run)
    assert len(said) == 1, run.errors
    for word in words:
        assert word in said[0]
    assert site.vcenter.machine_names() == []
    assert "CloneVM_Task" not in site.vcenter.counts()
    assert not (site.state / "prod").exists()


@pytest.fixture
def bare(open_site: Callable[..., Site]) -> Site:
    """A site where nothing needs Consul, because nothing gets as far."""
    return open_site()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("template", "ubuntu-99", ("template", "ubuntu-99")),
        ("datastore", "LocalDS_9", ("datastore", "LocalDS_9")),
        ("network", "VM Netwrok", ("network", "VM Netwrok")),
        ("folder", "no/such/folder", ("folder", "no/such/folder")),
        ("datacenter", "DC9", ("datacenter", "DC9")),
        ("cluster", "DC0_C9", ("cluster", "DC0_C9")),
    ],
)
def test_a_name_that_the_vcenter_does_not_know(bare: Site, key: str, value: str, words: tuple[str, ...]) -> None:
    bare.settings[key] = value
    refused(bare, bare.provision(), 2, *words)


def test_all_unknown_names_are_told_at_once(bare: Site) -> None:
    bare.settings |= {"template": "ubuntu-99", "datastore": "LocalDS_9", "network": "nowhere"}
    run = bare.provision()
    assert run.code == 2
    assert len(lines(run)) == 3


def test_a_template_that_exists_twice(open_site: Callable[..., Site]) -> None:
    site = open_site(templates=(Template("a/ubuntu-24.04"), Template("b/ubuntu-24.04")), folders=("a", "b"))
    refused(site, site.provision(), 2, "a/ubuntu-24.04", "b/ubuntu-24.04")


def test_a_misspelt_key(bare: Site) -> None:
    bare.settings["datastoer"] = "LocalDS_0"
    refused(bare, bare.provision(), 2, "config.yml:", "datastoer", "datastore")


def test_machines_addresses_where_services_have_theirs(bare: Site) -> None:
    bare.settings["masters"] = {"static_ip": {"addresses": ["10.100.1.11/24"], "gateway": "10.100.1.1"}}
    run = bare.provision()
    assert run.code == 2
    assert ["static_ip.addresses[0]: 10.100.1.11/24" in line for line in lines(run)] == [True, False]
    assert all("config.yml:" in line and "lies in service_subnet 10.96.0.0/12" in line for line in lines(run))


def test_a_wrong_password_is_tried_once(bare: Site) -> None:
    bare.environment["KUBE_PROVISION_VCENTER_PASSWORD"] = "wrong"
    refused(bare, bare.provision(), 3, "vcenter_password")
    assert bare.vcenter.counts().get("Login") == 1


def test_a_certificate_that_nobody_vouches_for(bare: Site) -> None:
    bare.settings["vcenter_ca_file"] = None
    refused(bare, bare.provision(), 3, "certificate", "thumbprint")


def test_a_thumbprint_is_as_good_as_an_authority(bare: Site) -> None:
    bare.settings |= {"vcenter_ca_file": None, "vcenter_thumbprint": bare.vcenter.thumbprint}
    assert bare.run("plan").code == 0


def test_a_vcenter_that_is_not_there(bare: Site) -> None:
    bare.vcenter.kill()
    run = bare.provision()
    assert run.code == 3
    assert len(lines(run)) == 1


def test_a_permission_that_is_missing(site: Site) -> None:
    site.vcenter.fail(
        "CloneVM_Task", "*", "NoPermission", fields={"privilegeId": "VirtualMachine.Provisioning.DeployTemplate"}
    )
    run = site.provision(masters=1, workers=0)
    assert run.code == 3
    assert "VirtualMachine.Provisioning.DeployTemplate" in run.output


def test_boot_data_that_is_too_large(bare: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    import os

    large = tmp_path_factory.mktemp("files") / "large"
    large.write_bytes(os.urandom(70_000))
    bare.settings["files"] = {"/opt/large": str(large)}
    run = bare.provision()
    assert run.code == 2
    assert "65536" in run.errors
    assert "/opt/large" in run.errors
    assert bare.vcenter.machine_names() == []


def test_a_machine_of_somebody_elses_that_bears_a_name_we_need(open_site: Callable[..., Site]) -> None:
    site = open_site(machines=(Machine("w-prod-2", power_on=True),))
    theirs = site.vcenter.vm("w-prod-2")["id"]
    run = site.provision()
    assert run.code == 2
    assert "w-prod-2" in lines(run)[0]
    assert site.vcenter.machine_names() == ["w-prod-2"]
    assert site.vcenter.vm("w-prod-2")["id"] == theirs
    assert not {"ReconfigVM_Task", "PowerOffVM_Task", "Destroy_Task"} & site.vcenter.counts().keys()
    assert site.run("destroy", "--yes").code == 0
    assert site.vcenter.machine_names() == ["w-prod-2"]


@pytest.mark.parametrize(
    ("masters", "static", "keys", "words"),
    [
        (3, False, {}, ("nobody knows the addresses of m-prod-1, m-prod-2, m-prod-3", "static_ip")),
        (2, True, {}, ("2 masters cannot be Consul's servers",)),
        (3, True, {"consul_servers": 5}, ("5 servers on 3 masters",)),
    ],
)
def test_masters_that_cannot_be_consul_servers(
    bare: Site, masters: int, static: bool, keys: dict[str, int], words: tuple[str, ...]
) -> None:
    addresses = [f"{bare.master_address(number)}/24" for number in range(1, 4)]
    bare.settings |= {"consul_on_masters": True, **keys}
    if static:
        bare.settings["masters"] = {"static_ip": {"addresses": addresses}}
    refused(bare, bare.provision(masters=masters), 2, *words)


def test_an_existing_consul_whose_name_does_not_resolve(bare: Site) -> None:
    refused(bare, bare.provision("--consul-ip=consul.invalid"), 2, "consul.invalid", "does not resolve")


def test_an_existing_consul_with_a_token_in_its_url(bare: Site) -> None:
    run = bare.provision("--consul-ip=https://:a-token-of-mine@consul.invalid")
    refused(bare, run, 2, "--consul-ip", "consul_token")
    assert "a-token-of-mine" not in run.errors + run.output


def test_an_existing_consul_that_does_not_answer(bare: Site) -> None:
    refused(bare, bare.provision(f"--consul-ip={bare.server_address}"), 3, f"{bare.server_address}:8500")


def test_a_clone_that_fails_neither_stops_nor_hides_the_others(site: Site) -> None:
    site.vcenter.fail("CloneVM_Task", "w-prod-2", "InsufficientResourcesFault")
    run = site.provision()
    assert run.code == 4
    by_name = {node["name"]: node for node in run.data["nodes"]}
    assert (by_name["w-prod-2"]["state"], by_name["w-prod-1"]["state"], by_name["w-prod-3"]["state"]) == (
        "failed",
        "done",
        "done",
    )
    site.vcenter.heal()
    assert site.provision().code == 0
    assert len(site.vcenter.machine_names()) == 7


def test_a_first_master_that_could_not_be_made_is_made_by_the_next_run(site: Site) -> None:
    site.vcenter.fail("CloneVM_Task", "m-prod-1", "InsufficientResourcesFault")
    assert site.provision().code == 4
    site.vcenter.heal()
    assert site.provision().code == 0


def test_a_machine_that_never_gets_an_address(site: Site) -> None:
    site.settings["wait_for_ip_address_timeout"] = 2
    site.vcenter.set_guests(Guest("w-prod-1", **NEVER_AN_ADDRESS), *site.guests())
    run = site.provision(masters=1, workers=2)
    assert run.code == 4
    by_name = {node["name"]: node for node in run.data["nodes"]}
    assert by_name["w-prod-1"]["state"] == "failed"
    assert "no address" in by_name["w-prod-1"]["text"]
    assert by_name["w-prod-2"]["state"] == "done"


def test_a_vcenter_that_dies_in_mid_run(open_site: Callable[..., Site]) -> None:
    site = open_site(clone_time=1.0)
    with site.discovery():
        process = site.start("--masters", "3", "--workers", "1", "--output", "json", "--no-wait")
        until(lambda: site.vcenter.counts().get("CloneVM_Task", 0) >= 2)
        site.vcenter.kill()
        run = finish(process)
    assert run.code in (3, 4)
    assert "Traceback" not in run.errors
    assert [node for node in run.data["nodes"] if node["state"] == "failed"]


def test_a_folder_of_secrets_that_is_gone(site: Site) -> None:
    site.provision(masters=1, workers=0)
    (site.state / "prod").rename(site.folder / "elsewhere")
    run = site.provision(masters=1, workers=1)
    assert run.code == 2
    assert "folder of secrets" in lines(run)[0]
    assert "w-prod-1" not in site.vcenter.machine_names()


@pytest.mark.parametrize("masters", [2, 4])
def test_an_even_number_of_masters_is_warned_about(bare: Site, masters: int) -> None:
    run = bare.run("plan", "--masters", str(masters))
    assert run.code == 0
    assert "quorum" in run.errors


def test_no_masters_at_all(bare: Site) -> None:
    refused(bare, bare.provision(masters=0), 2, "masters")
