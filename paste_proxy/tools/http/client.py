"""The one way out to other servers: guarded, bounded in bytes and time, without cookies.

Redirects are followed here rather than by aiohttp, since each is a new target to be judged, and what the
operator put into the headers is for the first one's origin alone. aiohttp bounds the headers (8 KiB a line,
128 lines) and decompresses piece by piece, so that a bomb is noticed when it passes the limit.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from paste_proxy.config_http import TargetsConfig
from paste_proxy.connection_words import why_no_answer
from paste_proxy.errors import ResultTooLargeError, ToolError, ToolTimeoutError
from paste_proxy.tools.ahead import Ahead, ahead_now
from paste_proxy.tools.hosts import is_listed
from paste_proxy.tools.http.freshness import max_age
from paste_proxy.tools.http.guard import Guard, GuardedResolver, TargetRefusedError
from paste_proxy.tools.http.quiet import Pauses, QuietHosts
from paste_proxy.tools.http.rates import Rates

REDIRECTS = 5
"""Followed at most: one for https, one for www, one for a language or a login, and two to spare."""
REDIRECTED = frozenset({301, 302, 303, 307, 308})
FOLLOWED = frozenset({"GET", "HEAD"})
"""Other methods are not sent twice: what the first server did with the request is not known."""

USELESS_S = 300.0
"""So long nothing is asked ahead where an answer could not be kept: it would cost the server, and a call that
joins it a second run. Servers change what they say of freshness with a release, not from call to call."""
USER_AGENT = "paste-proxy"
PREFETCH = {"Sec-Purpose": "prefetch"}
"""Of the Fetch standard: browsers say so of pages that nobody has asked for yet."""


class Request(msgspec.Struct, frozen=True):
    method: str
    url: URL
    headers: Mapping[str, str] = {}
    body: bytes | None = None


class Limits(msgspec.Struct, frozen=True):
    bytes: int
    """Of the body, decompressed."""
    seconds: float
    """From the first request to the last byte."""
    grace: float = 0.0
    """Seconds that an answer may be used at least, though its server calls it stale."""


class Response(msgspec.Struct, frozen=True):
    url: URL
    """After redirects."""
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    max_age: float | None
    """Seconds from the start on for which all servers on the way let it be used; None: no limit."""
    sent: float
    """When the first request was sent, in seconds of the calendar."""


class Client:
    """Connections are made when first wanted, and kept for the next request to their host.

    `resolver`: what answers for names, in place of the system's.
    """

    def __init__(
        self,
        rules: TargetsConfig,
        setting: str,
        *,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.guard = Guard(rules, setting)
        self._purpose = PREFETCH if rules.purpose else {}
        self._resolver = resolver
        self._wall = wall
        self._quiet = QuietHosts(now, wall)
        self._rates = Rates(rules.rate_reserve, now, wall)
        self._useless = Pauses(now)
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, request: Request, limits: Limits, *, ahead: bool | None = None, group: str = ""
    ) -> Response:
        """Send a request and read its answer, whatever its status.

        `ahead`: the model has not asked for it; None: as the run says that this is part of. `group`: requests
        whose answers are alike in how long they may be kept; unless stated, those to one host.
        Raises `TargetRefusedError`, `ToolTimeoutError`, `ResultTooLargeError`, or another `ToolError`.
        """
        host = request.url.raw_host or ""
        run = ahead_now() if ahead is None else (Ahead() if ahead else None)
        self._check_ahead(run, host, group)
        try:
            async with asyncio.timeout(limits.seconds):
                answer = await self._followed(request, limits, run)
        except TimeoutError as error:
            reason = f"{host}: no whole answer within {limits.seconds:g} s"
            raise ToolTimeoutError(reason, param=host) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ToolError(f"{host}: {_reason(error)}", param=host) from error
        if run is not None and answer.max_age == 0:
            self._useless.pause(group or host, USELESS_S)
        return answer

    def check_ahead(self, request: Request, group: str = "") -> None:
        """Whether the run that this is part of may ask for it. Raises `ToolError`."""
        self._check_ahead(ahead_now(), request.url.raw_host or "", group)

    def _check_ahead(self, run: Ahead | None, host: str, group: str) -> None:
        if run is None:
            return
        if self._useless.left_s(group or host):
            raise ToolError(f"{host}: its answers can't be kept: nothing is run ahead there", param=host)
        self._check_rest(run, host)

    def _check_rest(self, run: Ahead | None, host: str) -> None:
        if run is None:
            return
        if (rest := self._quiet.left_s(host)) > 0:
            raise ToolError(f"{host} asked for {rest:.0f} s of rest: nothing is run ahead there", param=host)
        if (rest := self._rates.pause_s(host)) > 0:
            raise ToolError(
                f"{host} has for {rest:.0f} s no more requests left than are kept for the model's own calls: "
                "nothing is run ahead there",
                param=host,
            )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _followed(self, request: Request, limits: Limits, run: Ahead | None) -> Response:
        purpose = self._purpose if run is not None else {}
        first = request.url.raw_host
        sent = self._wall()
        fresh: float | None = None
        for _ in range(REDIRECTS + 1):
            self.guard.check(request.url)
            host = request.url.raw_host or ""
            if host != first:
                _check_led(run, first, host)
                self._check_rest(run, host)
            self._rates.sent(host)
            async with self._opened(request, purpose) as answer:
                self._quiet.heard(host, answer.status, answer.headers.get("Retry-After"))
                self._rates.heard(host, answer.headers)
                kept = max_age(answer.headers, sent, self._wall(), map(str.lower, purpose), limits.grace)
                fresh = min((age for age in (fresh, kept) if age is not None), default=None)
                onward = self._onward(request, answer)
                if onward is None:
                    body = await _read(answer, host, limits.bytes)
                    return Response(request.url, answer.status, answer.headers, body, fresh, sent)
            request = onward
        raise ToolError(f"{request.url.raw_host}: more than {REDIRECTS} redirects", param=request.url.raw_host)

    def _opened(self, request: Request, purpose: Mapping[str, str]) -> Any:
        """A context of aiohttp's that holds the answer's connection."""
        headers = CIMultiDict({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"})
        headers.update(request.headers)
        headers.update(purpose)
        return self._open_session().request(
            request.method, request.url, headers=headers, data=request.body, allow_redirects=False
        )

    def _onward(self, request: Request, answer: aiohttp.ClientResponse) -> Request | None:
        """The request that a redirect asks for; None where this is the answer."""
        location = answer.headers.get("Location")
        if answer.status not in REDIRECTED or location is None:
            return None
        if request.method not in FOLLOWED:
            host = request.url.raw_host
            raise ToolError(
                f"{host}: redirected with {answer.status}; only GET and HEAD follow: name the right address",
                param=host,
            )
        target = request.url.join(URL(location)).with_fragment(None)
        self.guard.check_redirect(request.url, target)
        headers = request.headers if target.origin() == request.url.origin() else {}
        return Request(request.method, target, headers)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self.guard, self._resolver()),
                limit=0,  # the core bounds the runs; a run that has a slot never waits for another one here
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session


def _check_led(run: Ahead | None, first: str | None, host: str) -> None:
    """A page that the agent has read may have chosen the address, and a redirect of it the next one."""
    if run is None or run.hosts is None or is_listed(host, run.hosts):
        return
    raise TargetRefusedError(
        f"{first} redirects to {host}, which speculation.network.NAME.hosts of this tool does not list: not "
        "followed ahead of the model",
        param=host,
    )


async def _read(answer: aiohttp.ClientResponse, host: str, limit: int) -> bytes:
    pieces = bytearray()
    async for piece in answer.content.iter_any():
        pieces += piece
        if len(pieces) > limit:
            raise ResultTooLargeError(f"{host}: the answer has more than {limit} bytes", param=host)
    return bytes(pieces)


def _reason(error: Exception) -> str:
    """One line without the address, which may hold a key of the operator's in its query."""
    if isinstance(error, aiohttp.ClientResponseError):
        text = f"not HTTP: {error.message}"
    elif isinstance(error, aiohttp.ClientConnectorError):
        text = f"no connection: {why_no_answer(error)}"
    elif isinstance(error, aiohttp.InvalidURL):
        text = "not an address that can be asked"
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        text = "closed the connection without an answer"
    else:
        text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
