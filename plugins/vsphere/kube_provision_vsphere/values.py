"""What values of the driver's keys look like."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Interface
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)

from kube_provision_core import LocalPath, StaticIp

InventoryName = Annotated[str, StringConstraints(min_length=1)]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")]
"""What Kubernetes takes for a label."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a tag is listed twice")
    return names


Names = Annotated[list[InventoryName], Field(min_length=1)]


def _of_a_machine(address: IPv4Interface) -> IPv4Interface:
    """Raises `ValueError` where `static_ip` would not take it."""
    try:
        StaticIp(addresses=[address])
    except ValidationError as error:
        raise ValueError(str(error.errors()[0]["ctx"]["error"])) from None
    return address


OwnAddress = Annotated[IPv4Interface, AfterValidator(_of_a_machine)]
"""Of one machine, with its network's prefix length."""

TagNames = Annotated[
    Names,
    BeforeValidator(_listed, json_schema_input_type=InventoryName | Names),
    AfterValidator(_each_once),
]
"""Of one category; one is a list, too."""


class Firmware(StrEnum):
    """What a machine boots by."""

    BIOS = "bios"
    EFI = "efi"
    EFI_SECURE_BOOT = "efi-secure-boot"


def _fingerprint(text: str) -> str:
    digits = text.replace(":", "").lower()
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ValueError("must be a SHA-256 fingerprint: 64 hexadecimal digits, colons between pairs allowed")
    return digits


Fingerprint = Annotated[str, AfterValidator(_fingerprint)]


class InLibrary(BaseModel):
    """An item of a content library."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    library: InventoryName = Field(description="Content library.")
    item: InventoryName = Field(description="Item of it, an OVF template.")


class InOva(BaseModel):
    """An OVA of this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ova: LocalPath = Field(description="File of this machine: an OVF template of one machine in one archive.")

    @model_validator(mode="before")
    @classmethod
    def _one_source(cls, value: object) -> object:
        if isinstance(value, dict) and (others := sorted(value.keys() & InLibrary.model_fields.keys())):
            raise ValueError(f"names an OVA and {others[0]}: keep one")
        return value


_TEXT, _LIBRARY, _OVA = "text", "content library", "OVA"
"""Called as no key is: a fault's place begins with the form that was written."""


def _form(value: object) -> str:
    if isinstance(value, InOva) or (isinstance(value, dict) and "ova" in value):
        return _OVA
    return _LIBRARY if isinstance(value, (dict, InLibrary)) else _TEXT


Source = Annotated[
    Annotated[InventoryName, Tag(_TEXT)] | Annotated[InLibrary, Tag(_LIBRARY)] | Annotated[InOva, Tag(_OVA)],
    Discriminator(_form),  # so that a fault is one of the form that was written
]


class Domain(BaseModel):
    """A failure domain: what its machines have in place of what is said for their role."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    region: LabelValue | None = Field(None, description="Value of the nodes' label `topology.kubernetes.io/region`.")
    cluster: InventoryName | None = Field(None, description="Cluster of hosts.")
    resource_pool: InventoryName | None = Field(None, description="Resource pool or vApp.")
    datastore: InventoryName | None = Field(None, description="Datastore or datastore cluster.")
    network: InventoryName | None = Field(
        None, description="Network, port group, or network of NSX; of several cards, that of the role `node`."
    )
    template: InventoryName | None = Field(None, description="Template, such as a copy on the domain's own datastore.")
    vm_groups: list[InventoryName] = Field(
        [], description="DRS groups of machines to join beside the role's, such as one that is bound to a group of hosts."
    )

    @model_validator(mode="after")
    def _differs(self) -> Self:
        if not self.model_dump(exclude={"region"}, exclude_defaults=True):
            raise ValueError("says nothing of where its machines go: name a cluster, or one of the others")
        return self
