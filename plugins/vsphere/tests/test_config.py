"""The driver's keys: what they accept, and that they keep secrets."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from servers.certificates import issue_certificate

from kube_provision_core import ConfigError, Role
from kube_provision_core.config import load
from kube_provision_vsphere.config import StaticIp, VsphereConfig
from kube_provision_vsphere.driver import Vsphere

ACCOUNT = "vcenter_hostname: vc\nvcenter_username: u\n"
REQUIRED = {"vcenter_hostname": "vc.example", "vcenter_username": "u", "vcenter_password": "secret-pw", "template": "t"}
DIGITS = "ab" * 32


def revocations(_: bytes) -> bytes:
    """A list of revoked certificates, in which none is."""
    now = datetime.now(UTC)
    named = (
        x509.CertificateRevocationListBuilder().issuer_name(x509.Name([])).last_update(now).next_update(now + timedelta(1))
    )
    return named.sign(ec.generate_private_key(ec.SECP256R1()), SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return issue_certificate(tmp_path).ca_file.rename(tmp_path / "ca.pem")


def config(**keys: Any) -> VsphereConfig:
    return VsphereConfig(**{**REQUIRED, **keys})


def problem(**keys: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(**keys)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("vc.example", ("vc.example", 443)),
        ("vc.example:8443", ("vc.example", 8443)),
        ("10.0.0.1:9443", ("10.0.0.1", 9443)),
        ("[2001:db8::1]", ("2001:db8::1", 443)),
        ("[2001:db8::1]:8443", ("2001:db8::1", 8443)),
    ],
)
def test_host_name_may_carry_a_port(written: str, address: tuple[str, int]) -> None:
    assert config(vcenter_hostname=written).address == address


@pytest.mark.parametrize(
    "written", ["https://vc.example", "vc.example/sdk", "user@vc.example", "", "vc.example:port", "vc.example:65536"]
)
def test_host_name_is_no_url(written: str) -> None:
    assert "vcenter_hostname" in problem(vcenter_hostname=written)


@pytest.mark.parametrize("written", [DIGITS, DIGITS.upper(), ":".join(["AB"] * 32)])
def test_thumbprint_is_read_as_every_tool_prints_it(written: str) -> None:
    assert config(vcenter_thumbprint=written).vcenter_thumbprint == DIGITS


@pytest.mark.parametrize("written", ["ab" * 20, "zz" * 32, ""])
def test_thumbprint_must_be_sha_256(written: str) -> None:
    assert "must be a SHA-256 fingerprint" in problem(vcenter_thumbprint=written)


def test_authority_and_thumbprint_exclude_each_other(authority: Path) -> None:
    assert "exclude each other" in problem(vcenter_thumbprint=DIGITS, vcenter_ca_file=authority)


def test_authority_must_be_a_file_that_is_there(tmp_path: Path) -> None:
    assert "there is no file" in problem(vcenter_ca_file=tmp_path / "ca.pem")
    assert "is not a file" in problem(vcenter_ca_file=tmp_path)


@pytest.mark.parametrize(
    "made",
    [
        lambda _: b"",
        lambda _: b"no certificate",
        lambda pem: pem[: len(pem) // 2],
        lambda pem: ssl.PEM_cert_to_DER_cert(pem.decode()),
        revocations,
    ],
    ids=["empty", "text", "cut", "DER", "revocations"],
)
def test_authority_is_a_pem_file_of_certificates(made: Callable[[bytes], bytes], authority: Path) -> None:
    authority.write_bytes(made(authority.read_bytes()))
    assert f"Value error, {authority} " in problem(vcenter_ca_file=authority)


def test_authority_may_be_several_with_words_between_them(authority: Path) -> None:
    authority.write_bytes(b"our authorities\n" + authority.read_bytes() * 2)
    assert config(vcenter_ca_file=authority).vcenter_ca_file == authority


def test_authority_is_sought_beside_the_file_that_names_it(authority: Path, tmp_path: Path) -> None:
    beside = VsphereConfig.model_validate(
        {**REQUIRED, "vcenter_ca_file": "ca.pem"}, context={"folders": {"vcenter_ca_file": tmp_path}}
    )
    assert beside.vcenter_ca_file == tmp_path / "ca.pem"


def test_password_is_not_empty() -> None:
    assert "vcenter_password" in problem(vcenter_password="")


def test_password_is_never_shown() -> None:
    assert "secret-pw" not in repr(config())
    assert "secret-pw" not in problem(template="")


@pytest.mark.parametrize(
    ("static_ip", "said"),
    [
        ({"addresses": ["10.0.0.11"]}, "prefix length"),
        ({"addresses": ["10.0.0.0/24"]}, "own or broadcast address"),
        ({"addresses": ["10.0.0.255/24"]}, "own or broadcast address"),
        ({"addresses": ["10.0.0.11/24"], "gateway": "10.0.1.1"}, "gateway 10.0.1.1 is not in the network"),
        ({"addresses": ["10.0.0.11/24", "10.0.0.11/24"]}, "listed twice"),
        ({"addresses": []}, "at least 1"),
        ({"addresses": ["10.0.0.11/24"], "gatway": "10.0.0.1"}, "gatway"),
    ],
)
def test_static_addresses_are_checked(static_ip: dict[str, Any], said: str) -> None:
    assert said in problem(static_ip=static_ip)


@pytest.mark.parametrize("address", ["10.0.0.99", "10.0.0.0/24", "10.0.0.255/24"])
def test_a_machine_that_bakes_has_no_address_that_no_machine_can_have(address: str) -> None:
    assert problem(bake_ip=address)


def test_static_addresses_are_known_before_machines_are_made() -> None:
    masters = config(static_ip={"addresses": ["10.0.0.11/24", "10.0.0.12/24"]})
    known = Vsphere({Role.MASTER: masters, Role.WORKER: config()}).fixed_addresses
    assert known == {Role.MASTER: ["10.0.0.11", "10.0.0.12"]}


def test_a_static_address_outside_of_the_address_filter_is_refused() -> None:
    filtered = problem(static_ip={"addresses": ["10.0.0.11/24", "10.1.0.12/24"]}, wait_for_ip_address_subnet="10.0.0.0/24")
    assert "10.1.0.12/24 of static_ip is not in 10.0.0.0/24" in filtered
    assert config(static_ip={"addresses": ["10.0.0.11/24"]}, wait_for_ip_address_subnet="10.0.0.0/16")


@pytest.mark.parametrize(
    ("key", "aliases"),
    [
        ("datacenter", ["region"]),
        ("cluster", ["az"]),
        ("template", ["ami"]),
        ("network", ["vlan", "subnet_name"]),
        ("vm_attributes", ["tags", "all_tags"]),
    ],
)
def test_old_names_of_keys_are_aliases(key: str, aliases: list[str]) -> None:
    assert extra(key)("aliases") == aliases


@pytest.mark.parametrize("key", ["template", "datastore", "network", "folder", "resource_pool", "cluster", "static_ip"])
def test_placement_may_differ_per_role(key: str) -> None:
    assert extra(key)("per_role") is True


@pytest.mark.parametrize("key", ["vcenter_hostname", "vcenter_username", "vcenter_password", "datacenter"])
def test_one_vcenter_serves_all_roles(key: str) -> None:
    assert extra(key)("per_role") is False


def extra(key: str) -> Callable[[str], Any]:
    schema = VsphereConfig.model_fields[key].json_schema_extra
    assert isinstance(schema, dict)
    return schema.__getitem__


@pytest.mark.parametrize("address", ["224.0.0.5/24", "169.254.3.5/24", "240.0.0.1/24"])
def test_an_address_that_no_machine_can_have_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no address that a machine can be given"):
        StaticIp(addresses=[IPv4Interface(address)])


@pytest.mark.parametrize(
    ("domains", "said"),
    [
        ({"zone a": {"cluster": "c"}}, "should match pattern"),
        ({"zone-a": {}}, "says nothing of where its machines go"),
        ({"zone-a": {"region": "north"}}, "says nothing of where its machines go"),
        ({"zone-a": {"cluster": "c", "host": "h"}}, "Extra inputs are not permitted"),
        ({"zone-a": {"cluster": ""}}, "at least 1 character"),
        ({"zone-a": {"cluster": "c", "region": "-"}}, "should match pattern"),
    ],
)
def test_a_failure_domain_has_a_name_for_labels_and_says_where(domains: Any, said: str) -> None:
    assert said in problem(failure_domains=domains)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["zone-c"], "zone-c is none of failure_domains: zone-a, zone-b"),
        (["zone-a", "zone-a"], "a failure domain is listed twice"),
        ([], "at least 1 item"),
    ],
)
def test_a_role_spreads_over_domains_that_there_are(names: list[str], said: str) -> None:
    domains = {"zone-a": {"cluster": "a"}, "zone-b": {"cluster": "b"}}
    assert said in problem(failure_domains=domains, spread_over=names)
    assert "zone-c is none of failure_domains: there are none" in problem(spread_over=["zone-c"])


def test_a_failure_domain_takes_the_place_of_what_is_said_for_the_role() -> None:
    domains = {"zone-a": {"cluster": "a", "vm_groups": ["rack"]}, "zone-b": {"datastore": "b"}}
    keys = config(cluster="c", datastore="d", vm_groups=["gpu"], failure_domains=domains)
    a, b, none = (keys.within(name) for name in ("zone-a", "zone-b", "zone-c"))
    assert (a.cluster, a.datastore, a.vm_groups) == ("a", "d", ["gpu", "rack"])
    assert (b.cluster, b.datastore, b.vm_groups) == ("c", "b", ["gpu"])
    assert none is keys
    assert keys.domains == ("zone-a", "zone-b")


def test_only_linked_clones_have_a_snapshot() -> None:
    assert "set linked_clone: true, or remove it" in problem(snapshot="base")
    assert config(snapshot="base", linked_clone=True).snapshot == "base"


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"backup": []}, "at least 1 item"),
        ({"backup": ["daily", "daily"]}, "a tag is listed twice"),
        ({"backup": ""}, "at least 1 character"),
        ({"": "daily"}, "at least 1 character"),
        ({"backup": 7}, "valid list"),
        (["backup/daily"], "valid dictionary"),
    ],
)
def test_tags_stand_in_categories(tags: Any, said: str) -> None:
    assert said in problem(vm_tags=tags)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "at least 1 character"),
        ({"library": "images"}, "Field required"),
        ({"library": "", "item": "ubuntu"}, "at least 1 character"),
        ({"library": "images", "item": "ubuntu", "version": "3"}, "Extra inputs are not permitted"),
        (["images", "ubuntu"], "should be a valid string"),
        ({"ova": "https://cloud.example/ubuntu.ova"}, "is a URL, and a file or folder of this machine is wanted"),
        ({"ova": "ubuntu.ova", "item": "ubuntu"}, "names an OVA and item: keep one"),
    ],
)
def test_what_is_baked_from_is_a_name_or_an_item_of_a_library_or_a_file(source: Any, said: str) -> None:
    assert said in problem(bake_from=source)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("{library: images}", "5: bake_from.item: is missing"),
        ("{library: images, itm: u, item: u}", "5: unknown key itm in bake_from; did you mean item?"),
        ("{ova: [u.ova]}", "5: bake_from.ova: must be a path"),
        ("{ova: u.ova, library: images}", "5: bake_from: names an OVA and library: keep one"),
    ],
)
def test_what_is_wrong_with_a_source_is_told_by_its_key(tmp_path: Path, source: str, line: str) -> None:
    document = tmp_path / "config.yml"
    document.write_text(f"target: vsphere\nos: debian\nname: prod\ntemplate: t\nbake_from: {source}\n{ACCOUNT}")
    with pytest.raises(ConfigError) as caught:
        load([document], environ={"KUBE_PROVISION_VCENTER_PASSWORD": "hunter2"})
    assert caught.value.problems == (f"{document}:{line}",)


def test_one_tag_is_a_list_too_and_attributes_keep_their_old_name() -> None:
    keys = VsphereConfig(
        **REQUIRED, vm_tags={"environment": "test", "backup": ["daily", "weekly"]}, vm_attributes={"a": "b"}
    )
    assert keys.vm_tags == {"environment": ["test"], "backup": ["daily", "weekly"]}
    assert keys.vm_attributes == {"a": "b"}


def test_firmware_is_one_that_there_is() -> None:
    assert "Input should be 'bios', 'efi' or 'efi-secure-boot'" in problem(firmware="uefi")
