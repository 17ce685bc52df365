"""Who is at the other end of a connection, as far as shares and limits go."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Network, ip_address


def client_of(host: str) -> str:
    """The address, of IPv6 its network of 64 bits: whoever has one address of it has all (RFC 4291, 2.5.4)."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
