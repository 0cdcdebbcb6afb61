"""The driver's keys of the configuration."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from kube_provision_core import (
    DriverConfig,
    HostAndPort,
    LocalFile,
    NetworkCard,
    Networks,
    OnNodeNetwork,
    StaticIp,
    key_in_networks,
    node_card,
    option,
    raise_faults,
)

from .tls import authorities
from .values import Domain, Fingerprint, Firmware, InventoryName, LabelValue, OwnAddress, Source, TagNames

HTTPS_PORT = 443
MOST_CARDS = 10
"""What a machine of vSphere's takes."""


class VsphereConfig(DriverConfig):
    """Where machines are created, and from what. Inventory names may be full paths; an ambiguous name is refused."""

    vcenter_hostname: HostAndPort = option(
        example="vcenter.example.com", help="The vCenter server: a host name or address, with `:port` if not 443."
    )
    vcenter_username: InventoryName = option(
        example="kube-provision@vsphere.local", help="The account, such as `kube-provision@vsphere.local`."
    )
    vcenter_password: SecretStr = option(min_length=1, help="The account's password.")
    vcenter_ca_file: LocalFile | None = option(
        None, asked=True, example="vcenter-ca.pem", help="PEM file of the authority that signed vCenter's certificate."
    )
    vcenter_thumbprint: Fingerprint | None = option(
        None, help="SHA-256 fingerprint of vCenter's own certificate, instead of an authority."
    )

    datacenter: InventoryName | None = option(
        None, aliases=["region"], example="Berlin", help="Datacenter; unset: the only one that there is."
    )
    cluster: InventoryName | None = option(
        None,
        per_role=True,
        aliases=["az"],
        example="Compute",
        help="Cluster of hosts; unset: the resource pool's, or the only one.",
    )
    resource_pool: InventoryName | None = option(
        None, per_role=True, help="Resource pool or vApp; unset: the cluster's own."
    )
    folder: InventoryName | None = option(
        None, per_role=True, help="Folder of the machines; unset: the datacenter's top one."
    )
    template: InventoryName = option(
        per_role=True,
        aliases=["ami"],
        example="ubuntu-24.04",
        help="Template that machines are cloned from; of a pattern such as `ubuntu-24.04-*`, the newest match.",
    )
    bake_from: Source | None = option(
        None,
        help="What `bake` makes the template from: a template or a machine that is powered off; a pattern's newest match; "
        "`{library: images, item: ubuntu-24.04}`, an OVF template of a content library; or `{ova: ubuntu-24.04.ova}`, a "
        "file of this machine. The last two are untried on a vCenter.",
    )
    bake_ip: OwnAddress | None = option(
        None, help="Fixed address, with prefix length, of the machine that bakes; where machines have `static_ip`."
    )
    datastore: InventoryName | None = option(
        None, per_role=True, example="ssd-1", help="Datastore or datastore cluster; unset: where the template lies."
    )
    storage_policy: InventoryName | None = option(
        None,
        per_role=True,
        help="Storage policy of the machines' disks; of `datastore`, or of all where that is unset, one is taken that "
        "satisfies it. Untried on a vCenter.",
    )
    network: InventoryName | None = option(
        None,
        per_role=True,
        aliases=["vlan", "subnet_name"],
        asked=True,
        example="kubernetes",
        help="Network, port group, or network of NSX; unset: the template's.",
    )
    static_ip: StaticIp | None = option(
        None,
        per_role=True,
        shown=False,
        help="Fixed addresses, `{addresses: [10.0.0.11/24, …], gateway: 10.0.0.1}`; unset: DHCP.",
    )
    networks: Annotated[Networks, Field(max_length=MOST_CARDS)] | None = option(
        None,
        per_role=True,
        shown=False,
        example="[{name: VLAN 120, role: node}, {name: SAN, role: storage, mtu: 9000}]",
        help="Networks of machines with several cards, in their order, in place of `network` and `static_ip`: one of the "
        "role `node`, in which machines have their addresses, and others of the role `storage` or `none`. Beside those of a "
        "section, a common `network` is taken back by `network: null`, and a common `static_ip` likewise.",
    )
    dns_servers: list[OnNodeNetwork[IPv4Address | IPv6Address]] = option(
        [], per_role=True, help="Name servers; unset: DHCP's."
    )
    linked_clone: bool = option(
        False, per_role=True, help="Share the template's disk through a snapshot of it: fast and small, but bound to it."
    )
    snapshot: InventoryName | None = option(
        None,
        per_role=True,
        shown="linked_clone",
        example="2026-11",
        help="Name of the template's snapshot that linked clones build on; unset: the current one, which is its newest.",
    )
    firmware: Firmware | None = option(
        None,
        per_role=True,
        help="Firmware of the machines, which the template's disk must be able to boot by; unset: the template's. "
        "Untried on a vCenter.",
    )
    failure_domains: dict[LabelValue, Domain] = option(
        {},
        example="{zone-a: {cluster: compute-1}, zone-b: {cluster: compute-2}}",
        help="Failure domains by name, each with a cluster, resource pool, datastore, network, template or DRS groups of "
        "its own: machines of a role spread over them, and nodes bear the name as `topology.kubernetes.io/zone`.",
    )
    spread_over: list[LabelValue] | None = option(
        None,
        per_role=True,
        min_length=1,
        shown="failure_domains",
        example="[zone-a, zone-b]",
        help="Names of failure domains that machines of the role are made in; unset: all of them.",
    )
    keep_workers_apart: bool = option(
        False,
        help="Workers of a pool run on different hosts where DRS can: a rule that is not mandatory. Untried on a vCenter.",
    )
    vm_groups: list[InventoryName] = option([], per_role=True, help="DRS groups of machines to join; they must exist.")
    vm_attributes: dict[str, str] = option(
        {}, per_role=True, aliases=["tags", "all_tags"], help="Custom attributes of the machines in vCenter."
    )
    vm_tags: dict[InventoryName, TagNames] = option(
        {},
        per_role=True,
        example="{environment: production, backup: [daily, offsite]}",
        help="Tags of the machines in vCenter, by category, one or a list of them; all of them must exist. "
        "Untried on a vCenter.",
    )
    wait_for_ip_address_subnet: OnNodeNetwork[IPv4Network] | None = option(
        None, per_role=True, help="A machine's address must be in this network; others are ignored."
    )
    wait_for_ip_address_timeout: int = option(300, ge=1, help="Seconds that a machine may take until it has an address.")

    @field_validator("vcenter_ca_file")
    @classmethod
    def _holds_certificates(cls, file: Path | None) -> Path | None:
        if file is not None:
            authorities(file)
        return file

    @field_validator("wait_for_ip_address_subnet")
    @classmethod
    def _holds_static_addresses(cls, subnet: IPv4Network | None, info: ValidationInfo) -> IPv4Network | None:
        cards: list[NetworkCard] = info.data.get("networks") or []
        in_networks = {key_in_networks(n, "static_ip"): it.static_ip for n, it in enumerate(cards) if it.role == "node"}
        statics: dict[str, StaticIp | None] = {"static_ip": info.data.get("static_ip"), **in_networks}
        for key, static in statics.items():
            outside = [it for it in (static.addresses if static else ()) if subnet and it.ip not in subnet]
            if outside:
                raise ValueError(f"{outside[0]} of {key} is not in {subnet}: that machine's address would never count")
        return subnet

    @field_validator("snapshot")
    @classmethod
    def _is_of_linked_clones(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name and not info.data.get("linked_clone"):
            raise ValueError("linked clones alone build on a snapshot: set linked_clone: true, or remove it")
        return name

    @field_validator("spread_over")
    @classmethod
    def _knows_domains(cls, names: list[str] | None, info: ValidationInfo) -> list[str] | None:
        domains: dict[str, Domain] | None = info.data.get("failure_domains")
        unknown = [name for name in names or () if domains is not None and name not in domains]
        if unknown:
            raise ValueError(f"{unknown[0]} is none of failure_domains: {', '.join(domains or ()) or 'there are none'}")
        if names and len(set(names)) < len(names):
            raise ValueError("a failure domain is listed twice")
        return names

    @model_validator(mode="after")
    def _one_trust(self) -> Self:
        if self.vcenter_ca_file and self.vcenter_thumbprint:
            raise ValueError("vcenter_ca_file and vcenter_thumbprint exclude each other: remove one of them")
        return self

    @model_validator(mode="after")
    def _one_way_to_say_networks(self) -> Self:
        """Told where `networks` stand: the others may be common to all machines, and these a section's own."""
        said = [key for key in ("network", "static_ip") if self.networks and getattr(self, key)]
        advice = "remove it, or where other machines need it write {key}: null beside these networks"
        raise_faults(
            (("networks",), f"{key} is given for these machines, too, and they take its place: {advice.format(key=key)}")
            for key in said
        )
        return self

    @property
    def cards(self) -> tuple[NetworkCard, ...]:
        """The machines' network cards. One without a name stays in the template's network."""
        if self.networks:
            return tuple(self.networks)
        return (NetworkCard.model_construct(name=self.network or "", role="node", static_ip=self.static_ip),)

    def called(self, number: int, key: str) -> str:
        """What a key of a network is called in the configuration: `static_ip`, `networks[1].static_ip`."""
        return key_in_networks(number, key) if self.networks else {"name": "network"}.get(key, key)

    @property
    def node_static_ip(self) -> StaticIp | None:
        return self.cards[node_card(self.cards)].static_ip

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of the failure domains of the role's machines, the preferred one first."""
        return tuple(self.failure_domains if self.spread_over is None else self.spread_over)

    @property
    def templates(self) -> tuple[str, ...]:
        """All that are named, also as what is baked from."""
        source = self.bake_from if isinstance(self.bake_from, str) else None
        named = (self.template, source, *(domain.template for domain in self.failure_domains.values()))
        return tuple(filter(None, named))

    def within(self, domain: str) -> VsphereConfig:
        """As it is in a failure domain; the same for one that is not named, or no more."""
        if domain not in self.failure_domains:
            return self
        own = self.failure_domains[domain]
        changes = own.model_dump(exclude={"region", "vm_groups"}, exclude_none=True)
        if self.networks and own.network:
            cards = list(self.networks)
            number = node_card(cards)
            cards[number] = cards[number].model_copy(update={"name": changes.pop("network")})
            changes["networks"] = cards
        return self.model_copy(update={**changes, "vm_groups": [*self.vm_groups, *own.vm_groups]})

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the vCenter server."""
        host, separator, port = self.vcenter_hostname.rpartition(":")
        if not separator or self.vcenter_hostname.endswith("]"):
            return self.vcenter_hostname.strip("[]"), HTTPS_PORT
        return host.strip("[]"), int(port)
