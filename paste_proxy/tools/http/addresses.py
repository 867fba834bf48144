"""Which IP addresses are on the public internet. Pure; everything else is somebody's inside.

An IPv6 address may carry an IPv4 one that a gateway on the way sends to (RFC 4291 mapped, RFC 3056 6to4, RFC
6052 NAT64): it is judged by that one too.
"""

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA gives out of IPv6 for the internet."""
_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR_RELAYS = IPv4Network("192.88.99.0/24")
"""Withdrawn by RFC 7526; whoever announces it now is not known."""
_NOT_GLOBAL = (IPv6Network("2001::/32"), IPv6Network("3fff::/20"))
"""Teredo, which tunnels to hosts behind a NAT, and documentation (RFC 9637): `ipaddress` may not know them."""


def parsed(text: str) -> Address | None:
    """The address that is written here in full; None for a name, or another way of writing one."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def why_not_public(address: Address) -> str:
    """What kind of address it is, if not one that everybody on the internet can reach; else ""."""
    if isinstance(address, IPv4Address):
        return _why_not_v4(address)
    if address.scope_id is not None:
        return "of one interface of this machine"
    if (inner := _carried(address)) is not None:
        kind = why_not_public(inner)
        return f"IPv6 for {inner}, which is {kind}" if kind else ""
    return _why_not_v6(address)


def _why_not_v4(address: IPv4Address) -> str:
    if kind := _kind(address):
        return kind
    return "" if address.is_global and address not in _SIX_TO_FOUR_RELAYS else "not public"


def _why_not_v6(address: IPv6Address) -> str:
    if kind := _kind(address):
        return kind
    outside = address not in _GLOBAL_UNICAST or any(address in network for network in _NOT_GLOBAL)
    return "not public" if outside or not address.is_global else ""


def _kind(address: Address) -> str:
    """The narrowest word first: the loopback is private too."""
    words = ("loopback", "link_local", "multicast", "unspecified", "private", "reserved")
    return next((word.replace("_", "-") for word in words if getattr(address, f"is_{word}")), "")


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
