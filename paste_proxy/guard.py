"""Keeps web pages away from the tools and from the pages about sessions.

A page in the user's browser can post to a server on loopback, or have its own name resolved to it (DNS
rebinding). The MCP specification (2025-11-25, Transports, "Security Warning") therefore has servers check
`Origin`, and on loopback the `Host`, which a page can't choose. Agents send no `Origin` at all.
"""

import functools
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from paste_proxy.errors import RequestError

HOSTS_KEPT = 64
"""Values of `Host` that are not looked at again: clients on loopback say two or three."""


class UntrustedHostError(RequestError):
    status = 421
    code = "untrusted_host"


class UntrustedOriginError(RequestError):
    status = 403
    code = "untrusted_origin"


class Guard:
    """Decides by `Host` and `Origin` whether a request may reach what is ours.

    `listen_host` is the address that the server listens on. On another than loopback any `Host` will do,
    since the names of a network are not ours to know; the `Origin` must still be loopback or `listen_host`.
    """

    def __init__(self, listen_host: str) -> None:
        self._listen_host = listen_host.lower()
        self._on_loopback = is_loopback(self._listen_host)

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises `UntrustedHostError` or `UntrustedOriginError`."""
        host = headers.get("host")
        if host and self._on_loopback and not _is_local(host):
            raise UntrustedHostError(
                f"host {host!r} is not loopback, where this server listens: "
                "use 127.0.0.1 in the address, or set listen.host to the address that clients use",
                param="host",
            )
        origin = headers.get("origin")
        if origin is not None and not self._trusts(_name(origin)):
            raise UntrustedOriginError(
                f"origin {origin!r} may not call tools or read sessions: web pages of other hosts "
                "are refused; ask from a program, which sends no origin",
                param="origin",
            )

    def _trusts(self, name: str) -> bool:
        return bool(name) and (name == self._listen_host or is_loopback(name))


@functools.lru_cache(maxsize=HOSTS_KEPT)
def _is_local(host: str) -> bool:
    """Whether a `Host` names this machine."""
    return is_loopback(_name(f"//{host}"))


def _name(address: str) -> str:
    """The host name of an address, without port; "" where there is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
