"""Networks of pods and of services, as kubeadm has them: an IPv4 one, in a dual-stack cluster an IPv6 one after a comma.

https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network
Subnets = tuple[Network, ...]
"""Of which the first one is IPv4, and another one IPv6."""

EXAMPLE = "10.244.0.0/16"
DUAL_STACK_EXAMPLE = "10.244.0.0/16,fd00:10:244::/56"


def subnets(text: str) -> Subnets:
    """Read what is written as `10.244.0.0/16` or `10.244.0.0/16,fd00:10:244::/56`. Raises `ValueError`, which says how."""
    try:
        read = [_network(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(
            f"must be an IPv4 network such as {EXAMPLE}, its host bits zero; with an IPv6 one after a comma, "
            f"{DUAL_STACK_EXAMPLE}, in a dual-stack cluster"
        ) from error
    if special := next(filter(_is_special, read), None):
        raise ValueError(f"has {special}, whose addresses mean something else to every machine: take a private network")
    match read:
        case [IPv4Network() as four]:
            return (four,)
        case [IPv4Network() as four, IPv6Network() as six]:
            return four, six
        case [IPv6Network() as six]:
            raise ValueError(
                "is IPv6 alone, and nodes reach each other by IPv4: write an IPv4 network and a comma before it"
            )
        case [IPv6Network() as six, IPv4Network() as four]:
            raise ValueError(f"must have the IPv4 network first: {four},{six}")
    raise ValueError(f"must be an IPv4 network, or one of each family: {DUAL_STACK_EXAMPLE}")


def _network(text: str) -> Network:
    """Raises `ValueError`."""
    network, length = ip_network(text), text.partition("/")[2]
    if "%" in text or (length and not length.isdecimal()):
        raise ValueError(text)
    return network


def _is_special(network: Network) -> bool:
    """Whether no pod and no service can have its addresses."""
    it = network.network_address
    return it.is_multicast or it.is_link_local or it.is_loopback or it.is_unspecified or it.is_reserved


def written(networks: Subnets) -> str:
    """The way back, as kubeadm writes them."""
    return ",".join(map(str, networks))
