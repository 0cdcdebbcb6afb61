"""A Consul server as `consul_ip` names it: `10.0.0.4`, `consul.example.org:8500`, `https://consul.example.org:8501`."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from kube_provision_core import check_node_network, without_credentials

_FORM = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>[^/:?#\[\]]+)(?::(?P<port>[0-9]+))?/?")
_leads_nowhere_or_lets_in = without_credentials("a token stands in consul_token")


class ServerAddress(NamedTuple):
    scheme: str
    """Empty where none was said."""
    host: str
    port: int | None


def parse(text: str) -> ServerAddress:
    """Of a text that is valid."""
    parts = _FORM.fullmatch(text)
    assert parts is not None, "it was validated"
    return ServerAddress(parts["scheme"] or "", parts["host"], int(parts["port"]) if parts["port"] else None)


def _valid(text: str, info: ValidationInfo) -> str:
    """Quotes nothing that may hold a token."""
    _leads_nowhere_or_lets_in(text if "://" in text else f"http://{text}")
    if _FORM.fullmatch(text) is None:
        raise ValueError(
            "names no Consul server: an IPv4 address or a DNS name is wanted, with its port where that is another than"
            " Consul's, as 10.0.0.4, consul.example.org:8500 or https://consul.example.org:8501"
        )
    try:
        address = IPv4Address(parse(text).host)
    except AddressValueError:
        return text
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        raise ValueError("no machine can have this address: the one at which all nodes reach Consul is needed")
    check_node_network(address, info)
    return text


def _listed(value: Any) -> Any:
    """One is a list, too; on a command line commas part several."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


ConsulServer = Annotated[str, AfterValidator(_valid)]
ConsulServers = Annotated[list[ConsulServer], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
