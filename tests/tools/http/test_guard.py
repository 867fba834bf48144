"""Where requests may go, by the address alone, by what a name resolves to, and again at each redirect."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.errors import ConfigError
from paste_proxy.tools.http.addresses import parsed, why_not_public
from paste_proxy.tools.http.guard import Guard, GuardedResolver, TargetRefusedError
from tests.tools.http.servers import Names

STRICT = Guard(TargetsConfig(), "http.targets")


def refused(address: str, guard: Guard = STRICT) -> str:
    with pytest.raises(TargetRefusedError) as caught:
        guard.parse(address)
    return caught.value.message


def test_public_addresses_pass() -> None:
    for address in ("https://example.com/a?b", "http://8.8.8.8:99/", "http://[2606:4700::1]/", " http://a.b "):
        STRICT.parse(address)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("ftp://example.com/", "'ftp': only absolute addresses"),
        ("file:///etc/passwd", "'file': only absolute addresses"),
        ("/etc/passwd", "'/etc/passwd': only absolute addresses"),
        ("example.com", "'example.com': only absolute addresses"),
        ("http:///x", "'http': only absolute addresses"),
        ("http://a:99999/", "is no address"),
        ("http://[::1", "is no address"),
        ("http://user:pass@example.com/", "example.com: user names and passwords"),
        ("http://127.0.0.1@example.com/", "example.com: user names and passwords"),
        ("http://127.0.0.1/", "127.0.0.1 is loopback"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254 is link-local"),
        ("http://[::1]/", "::1 is loopback"),
        ("http://[::ffff:10.0.0.1]/", "IPv6 for 10.0.0.1, which is private"),
        ("http://[fe80::1%25eth0]/", ""),
        ("http://127.1/", "127.1: a number in place of a host"),
        ("http://2130706433/", "2130706433: a number in place of a host"),
        ("http://0x7f000001/", "0x7f000001: a number in place of a host"),
        ("http://0177.0.0.1/", "0177.0.0.1: a number in place of a host"),
        ("http://127.0.0.1./", "127.0.0.1.: a number in place of a host"),
        ("http://x.0x1/", "x.0x1: a number in place of a host"),
        ("http://①②⑦.⓪.⓪.①/", ""),
        ("http://127。0。0。1/", ""),
        ("http://%31%32%37.0.0.1/", ""),
    ],
)
def test_what_is_refused_at_sight(address: str, why: str) -> None:
    assert why in refused(address)


def test_the_error_names_the_host_the_reason_and_the_setting() -> None:
    assert refused("http://10.1.2.3:80/x?key=secret") == (
        "10.1.2.3 is private: only public addresses are asked, "
        "unless http.targets.allow lists the host or its network"
    )


def test_what_the_operator_allows() -> None:
    guard = Guard(TargetsConfig(allow=("10.1.0.0/16", "::1", "127.0.0.1"), ports=(80, 8080)), "options.targets")
    for address in ("http://10.1.2.3/", "http://[::1]:8080/", "http://127.0.0.1/"):
        guard.parse(address)
    assert "10.2.0.1 is private" in refused("http://10.2.0.1/", guard)
    assert "127.0.0.2 is loopback" in refused("http://127.0.0.2/", guard)
    assert "port 443 is not in options.targets.ports" in refused("https://example.com/", guard)


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "*.example.com", "a b", "http://x", "user@host", "host:80"])
def test_a_rule_that_can_t_be_meant(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"http\.targets\.allow"):
        Guard(TargetsConfig(allow=(entry,)), "http.targets")


NUMBERS = st.sampled_from(["127.0.0.1", "10.0.0.1", "169.254.169.254", "8.8.8.8", "0.0.0.0"])


def spellings(text: str) -> list[str]:
    """The ways of writing an IPv4 address that some resolver or other understands."""
    value, parts = int(ipaddress.IPv4Address(text)), text.split(".")
    octal, hexadecimal = (".".join(f(int(part)) for part in parts) for f in (lambda n: f"0{n:o}", hex))
    wide = text.translate({ord(digit): 0xFF10 + int(digit) for digit in "0123456789"})
    return [
        *(text, str(value), hex(value), f"0{value:o}", octal, hexadecimal, f"{text}.", wide),
        *(f"{parts[0]}.{value & 0xFFFFFF}", f"{parts[0]}.{parts[1]}.{value & 0xFFFF}", text.replace(".", "。")),
        *(
            f"[::ffff:{text}]",
            f"[::{text}]",
            f"[64:ff9b::{text}]",
            f"[2002:{value >> 16:x}:{value & 0xFFFF:x}::]",
        ),
        *("".join(f"%{ord(character):02x}" for character in text), text.replace(".", "%2e")),
    ]


hosts = st.one_of(
    NUMBERS.flatmap(lambda text: st.sampled_from(spellings(text))),
    st.integers(0, 2**32 - 1).map(lambda value: str(ipaddress.IPv4Address(value))),
    st.integers(0, 2**128 - 1).map(lambda value: f"[{ipaddress.IPv6Address(value)}]"),
    st.text(alphabet="0123456789abcdefx.:%[]@/\\#?-。\uff0e①⓪ \t", max_size=24),
)


@given(hosts, st.sampled_from(["http://", "https://", "HTTP://", "//", "http:/", "http:\\\\"]))
@example("8.8.8.8#@127.0.0.1", "http://")
@example("8.8.8.8\\@127.0.0.1", "http://")
def test_whatever_passes_is_public_or_a_name_for_the_resolver(host: str, scheme: str) -> None:
    try:
        url = STRICT.parse(f"{scheme}{host}/path")
    except TargetRefusedError:
        return
    asked = url.raw_host
    assert asked
    assert url.scheme in ("http", "https")
    assert url.raw_user is None
    address = parsed(asked)
    if address is not None:
        assert not why_not_public(address)
    else:
        assert ":" not in asked
        assert not asked.rstrip(".").rpartition(".")[2].isdigit()


ADDRESSES = st.lists(
    st.sampled_from(
        ["8.8.8.8", "2606:4700::1", "127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:127.0.0.1"]
    )
    | st.integers(0, 2**32 - 1).map(lambda value: str(ipaddress.IPv4Address(value))),
    min_size=1,
    max_size=4,
)


@given(ADDRESSES)
async def test_a_name_passes_only_if_all_that_it_resolves_to_is_public(addresses: list[str]) -> None:
    resolver = GuardedResolver(STRICT, Names(x_test=[addresses]))
    public = all((one := parsed(text)) is not None and not why_not_public(one) for text in addresses)
    if public:
        assert [one["host"] for one in await resolver.resolve("x.test", 80)] == addresses
    else:
        with pytest.raises(TargetRefusedError, match=r"x\.test resolves to"):
            await resolver.resolve("x.test", 80)


async def test_a_name_that_is_allowed_may_resolve_to_anything() -> None:
    resolver = GuardedResolver(
        Guard(TargetsConfig(allow=("Wiki.Internal",)), "x"), Names(wiki_internal=[["10.0.0.1"]])
    )
    assert [one["host"] for one in await resolver.resolve("wiki.internal", 80)] == ["10.0.0.1"]


def test_redirects_are_judged_anew() -> None:
    secure = URL("https://example.com/")
    STRICT.check_redirect(secure, URL("https://other.example/"))
    with pytest.raises(TargetRefusedError, match=r"http\.targets\.downgrade: true allows it"):
        STRICT.check_redirect(secure, URL("http://example.com/"))
    with pytest.raises(TargetRefusedError, match="loopback"):
        STRICT.check_redirect(secure, URL("https://127.0.0.1/"))
    Guard(TargetsConfig(downgrade=True), "x").check_redirect(secure, URL("http://example.com/"))
