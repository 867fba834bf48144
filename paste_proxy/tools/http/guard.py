"""The guard against requests that a model, a page or a name server aims at the inside of a network (SSRF).

Two places decide. `check` looks at an address before anything is sent to it, and at that of each redirect.
`GuardedResolver` looks at what a name resolves to; the connection is made to the very addresses that it
gives, so a name that answers differently the next moment (DNS rebinding) gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.errors import ConfigError, ToolError
from paste_proxy.tools.http.addresses import Address, Network, parsed, why_not_public

SCHEMES = ("http", "https")

_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
"""Names whose last label is a number: there are none, but resolvers read `127.1` or `0x7f000001` as IPv4."""


class TargetRefusedError(ToolError):
    """A request that may not leave: its address, or that of a redirect, is not allowed."""

    status = 403
    type = "invalid_request_error"
    code = "target_refused"


class Guard:
    """Decides where requests may go. `setting`: how the operator calls the rules, as in `http.targets`.

    Raises `ConfigError` where a rule can't be meant.
    """

    def __init__(self, rules: TargetsConfig, setting: str) -> None:
        self._rules = rules
        self._setting = setting
        self._networks = [network for entry in rules.allow if (network := as_network(entry)) is not None]
        self._names = {_name(entry, setting) for entry in rules.allow if as_network(entry) is None}

    def parse(self, address: str) -> URL:
        """The address as a URL that passed `check`. Raises `TargetRefusedError`."""
        try:
            url = URL(address.strip())
        except ValueError as error:
            raise TargetRefusedError(f"{shortened(address)!r} is no address: {error}") from error
        self.check(url)
        return url

    def check(self, url: URL) -> None:
        """Everything that can be told without a name server. Raises `TargetRefusedError`."""
        host = url.raw_host
        if url.scheme not in SCHEMES or not host:
            wanted = "only absolute addresses with http:// or https:// are asked"
            raise TargetRefusedError(f"{shortened(url.scheme or url.raw_path)!r}: {wanted}")
        if url.raw_user is not None or url.raw_password is not None:
            raise TargetRefusedError(f"{host}: user names and passwords in addresses are refused", param=host)
        if self._rules.ports and url.port not in self._rules.ports:
            raise TargetRefusedError(
                f"{host}: port {url.port} is not in {self._setting}.ports, which lists what is allowed",
                param=host,
            )
        self._check_host(host)

    def check_redirect(self, source: URL, target: URL) -> None:
        """`check` for where a server sends us on to. Raises `TargetRefusedError`."""
        self.check(target)
        if source.scheme == "https" and target.scheme == "http" and not self._rules.downgrade:
            raise TargetRefusedError(
                f"{source.raw_host} redirects from https to plain http ({target.raw_host}); "
                f"{self._setting}.downgrade: true allows it",
                param=target.raw_host,
            )

    def check_addresses(self, host: str, addresses: Sequence[str]) -> None:
        """All that a name resolves to: one bad address among good ones is how rebinding begins.

        Raises `TargetRefusedError`.
        """
        for text in addresses:
            address = parsed(text)
            kind = "no address" if address is None else why_not_public(address)
            if kind and not self._allows(host, address):
                raise self._refused(host, text, kind)

    def _check_host(self, host: str) -> None:
        address = parsed(host)
        if address is None and (":" in host or _NUMERIC.fullmatch(host)):
            raise TargetRefusedError(
                f"{shortened(host)}: a number in place of a host must be a whole IP address, as in 192.0.2.1",
                param=host,
            )
        if address is not None:
            self.check_addresses(host, [host])

    def _allows(self, host: str, address: Address | None) -> bool:
        if host.lower().rstrip(".") in self._names:
            return True
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )

    def _refused(self, host: str, address: str, kind: str) -> TargetRefusedError:
        where = host if host == address else f"{host} resolves to {address}, which"
        return TargetRefusedError(
            f"{where} is {kind}: only public addresses are asked, unless {self._setting}.allow lists the host "
            "or its network",
            param=host,
        )


class GuardedResolver(AbstractResolver):
    """Gives aiohttp's connector checked addresses only; it connects to these and no others."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises `TargetRefusedError`, and `OSError` where there is no such name."""
        found = await self._inner.resolve(host, port, family)
        self._guard.check_addresses(host, [one["host"] for one in found])
        return found

    async def close(self) -> None:
        await self._inner.close()


def as_network(entry: str) -> Network | None:
    """An entry of `allow` that is an address or a network; None for a name."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def _name(entry: str, setting: str) -> str:
    """A host in lower case, as addresses have it."""
    try:
        host = URL.build(scheme="http", host=entry).raw_host or ""
    except ValueError:
        host = ""
    if not host or set(entry) & set("/:*@ "):
        raise ConfigError(
            f"{setting}.allow: {entry!r} is no host name, IP address or network like 10.0.0.0/8",
            param=f"{setting}.allow",
        )
    return host.lower().rstrip(".")


def shortened(text: str) -> str:
    """What a model wrote may be long, and goes back into its context."""
    return text if len(text) <= 200 else f"{text[:200]}..."
