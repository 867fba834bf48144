"""Which addresses are public: a table of the known kinds, and what must hold of all of them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.tools.http.addresses import parsed, why_not_public

v4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
v6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


def why(text: str) -> str:
    address = parsed(text)
    assert address is not None
    return why_not_public(address)


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.15.9.9", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_ones(text: str) -> None:
    assert why(text) == ""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "of one interface of this machine"),
        ("2606:4700::1%1", "of one interface of this machine"),
        ("10.0.0.1", "private"),
        ("192.168.1.1", "private"),
        ("172.16.0.1", "private"),
        ("fd00::1", "private"),
        ("198.18.0.1", "private"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "private"),
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "private"),
        ("240.0.0.1", "private"),
        ("100.64.0.1", "not public"),
        ("192.88.99.1", "not public"),
        ("::ffff:127.0.0.1", "IPv6 for 127.0.0.1, which is loopback"),
        ("::ffff:0:127.0.0.1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("2002:7f00:1::", "IPv6 for 127.0.0.1, which is loopback"),
        ("2002:a00:1::5", "IPv6 for 10.0.0.1, which is private"),
        ("64:ff9b::10.0.0.1", "IPv6 for 10.0.0.1, which is private"),
        ("64:ff9b:1::8.8.8.8", "reserved"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "private"),
        ("2001:db8::1", "private"),
        ("3fff::1", "not public"),
        ("5f00::1", "reserved"),
    ],
)
def test_all_others(text: str, kind: str) -> None:
    assert why(text) == kind


@given(v4 | v6)
def test_what_is_called_public_is_global_unicast(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not why_not_public(address):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(v4)
def test_an_ipv4_address_inside_an_ipv6_one_is_judged_alike(address: ipaddress.IPv4Address) -> None:
    public = not why_not_public(address)
    value = int(address)
    for base, shift in (("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80)):
        carrier = ipaddress.IPv6Address(int(ipaddress.IPv6Address(base)) | value << shift)
        assert (not why_not_public(carrier)) == public, carrier
