"""The proxy's own pages: /paste/health, /paste/ready, /paste/metrics, /paste/v1/stats, /paste/v1/shadow,
/paste/v1/speculation, /paste/v1/backends, /paste/v1/sessions, /paste/v1/sessions/{id}.

Those about sessions tell what agents do: web pages are kept away from them, as from the tools. Health, ready
and metrics are open to any `Host` and `Origin`: probes and Prometheus ask by the address of a pod or a service,
and what they are told is a version and sums.
"""

import heapq
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

import paste_proxy
from paste_proxy.access.access import Access
from paste_proxy.errors import PasteError, RequestError, openai_error
from paste_proxy.events import TimePassed
from paste_proxy.guard import Guard
from paste_proxy.observe.backends import all_backends, drain
from paste_proxy.observe.metrics import exposition, stats
from paste_proxy.observe.shadow import shadow_report
from paste_proxy.observe.switch import standing, switch
from paste_proxy.predict.model import LEVELS, Prediction
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.lines import Lines
from paste_proxy.runtime import Runtime
from paste_proxy.sessions.state import Note, SessionState

LISTED = 100
"""Sessions in the list unless more are asked for: as many as anybody reads; ten thousand are a megabyte."""
_COUNT = re.compile(r"[0-9]{1,9}")
Handler = Callable[[web.Request], Awaitable[web.Response]]


class UnknownSessionError(RequestError):
    status = 404
    code = "unknown_session"


class ReadOnlyError(RequestError):
    status = 405
    code = "method_not_allowed"


class UnknownPageError(RequestError):
    status = 404
    code = "unknown_page"


class ObserveRoutes:
    def __init__(
        self,
        runtime: Runtime,
        relay: RelayCounters,
        guard: Guard,
        access: Access,
        lines: Lines,
        is_backend_up: Callable[[], Awaitable[bool]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`wall`: seconds since 1970, for people to read; the core's clock has no zero."""
        self._is_backend_up = is_backend_up
        self._wall = wall
        self._runtime = runtime
        self._relay = relay
        self._guard = guard
        self._access = access
        self._lines = lines

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/paste/health", self.health)
        app.router.add_get("/paste/ready", self.ready)
        app.router.add_get("/paste/metrics", self._answering(self._for_all(self.metrics)))
        app.router.add_get("/paste/v1/stats", self._guarded(self._for_all(self.stats)))
        app.router.add_get("/paste/v1/shadow", self._guarded(self._for_all(self.shadow)))
        app.router.add_get("/paste/v1/speculation", self._guarded(self._for_all(self.speculation)))
        app.router.add_post("/paste/v1/speculation", self._guarded(self._for_all(self.switch)))
        app.router.add_get("/paste/v1/backends", self._guarded(self._for_all(self.backends)))
        app.router.add_post("/paste/v1/backends/{name}", self._guarded(self._for_all(self.drain)))
        app.router.add_get("/paste/v1/sessions", self._guarded(self.sessions))
        app.router.add_get("/paste/v1/sessions/{id}", self._guarded(self.session))
        app.router.add_route("*", r"/paste/{rest:[\s\S]*}", self._guarded(self.unknown))

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._guard.check(request.headers)
            return await handler(request)

        return self._answering(handle)

    def _for_all(self, handler: Handler) -> Handler:
        """A page about all tenants, or a switch for all."""

        async def handle(request: web.Request) -> web.Response:
            self._access.check_sees_all(self._access.tenant_of(request.headers))
            return await handler(request)

        return handle

    def _answering(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except PasteError as error:
                response = _json(openai_error(error), error.status)
                response.headers.update(error.headers)
                return response

        return handle

    async def health(self, request: web.Request) -> web.Response:
        """200 while the proxy serves; `core` says whether it still speculates."""
        return _json({"status": "ok", "version": paste_proxy.__version__, "core": self._core()})

    async def ready(self, request: web.Request) -> web.Response:
        """200 while a turn that comes now would be served, and with all that the proxy can do; else 503."""
        up = await self._is_backend_up()
        ready = up and not self._runtime.failed
        told = {
            "status": "ready" if ready else "not ready",
            "core": self._core(),
            "backend": "up" if up else "down",
        }
        return _json(told, 200 if ready else 503)

    def _core(self) -> str:
        return "failed" if self._runtime.failed else "ok"

    async def metrics(self, request: web.Request) -> web.Response:
        self._runtime.tell(TimePassed())  # what time alone ends counts, too
        return web.Response(
            body=exposition(self._runtime, self._relay, self._access, self._lines),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def stats(self, request: web.Request) -> web.Response:
        return _json(stats(self._runtime.core))

    async def shadow(self, request: web.Request) -> web.Response:
        self._runtime.tell(TimePassed())
        return _json(shadow_report(self._runtime.core))

    async def speculation(self, request: web.Request) -> web.Response:
        return _json(standing(self._runtime.core))

    async def switch(self, request: web.Request) -> web.Response:
        """Switch running ahead off or on, at once: of all tools, or of one (`observe/switch.py`)."""
        return _json(await switch(request, self._runtime))

    async def backends(self, request: web.Request) -> web.Response:
        return _json(all_backends(self._runtime, self._lines))

    async def drain(self, request: web.Request) -> web.Response:
        """No session comes to a backend any more, or again (`observe/backends.py`)."""
        return _json(await drain(request, self._runtime, self._lines))

    async def sessions(self, request: web.Request) -> web.Response:
        """Those heard of last come first."""
        limit = _limit(request.query.get("limit", str(LISTED)))
        tenant = self._access.tenant_of(request.headers)
        known = self._runtime.core.turns.sessions.values()
        sessions = [one for one in known if tenant.sees_all or one.tenant == tenant.name]
        shown = heapq.nlargest(limit, sessions, key=lambda session: session.last)
        return _json({"sessions": [self._listed(session) for session in shown], "total": len(sessions)})

    def _listed(self, session: SessionState) -> dict[str, Any]:
        return {
            "id": session.id,
            "tenant": session.tenant,
            "name": session.name,
            "turns": session.turns,
            "started": self._time(session.began),
            "last_seen": self._time(session.last),
        }

    def _time(self, at: float) -> str:
        """UTC."""
        when = datetime.fromtimestamp(self._wall() - (self._runtime.now - at), UTC)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def session(self, request: web.Request) -> web.Response:
        """The timeline of one session: what was seen, predicted and served."""
        tenant = self._access.tenant_of(request.headers)
        self._runtime.tell(TimePassed())
        session_id = request.match_info["id"]
        session = self._runtime.core.turns.sessions.get(session_id)
        if session is None or not (tenant.sees_all or session.tenant == tenant.name):
            raise UnknownSessionError(
                f"session {session_id!r} is not known (any more); see /paste/v1/sessions", param="id"
            )
        return _json(
            {
                **self._listed(session),
                "parent": session.parent,
                "relation": session.relation,
                "predictions": [_prediction(one, session.notes[0].at) for one in session.predictions],
                "timeline": [_since(note, session.notes[0].at) for note in session.notes],
            }
        )

    async def unknown(self, request: web.Request) -> web.Response:
        self._access.tenant_of(request.headers)
        if request.method not in ("GET", "HEAD"):
            raise ReadOnlyError(
                f"{request.method} {request.path}: pages under /paste/ are read with GET", param="method"
            )
        raise UnknownPageError(f"paste-proxy has no page {request.path}; see /paste/v1/stats", param="path")


def _limit(text: str) -> int:
    if not _COUNT.fullmatch(text) or int(text) == 0:
        raise RequestError(f"limit: {text[:20]!r} is no number from 1 on", param="limit")
    return int(text)


def _since(note: Note, start: float) -> dict[str, Any]:
    """`at_s`: seconds since the first note that is still kept."""
    return {"at_s": round(note.at - start, 3), "what": note.what, **note.detail}


def _prediction(one: Prediction, start: float) -> dict[str, Any]:
    """What was expected, why, how surely, what it was worth, and what became of it."""
    told = msgspec.structs.asdict(one)
    del told["start_by"]
    return {"at_s": round(told.pop("at") - start, 3), **told, "level": LEVELS[one.level]}


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")
