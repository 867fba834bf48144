"""The proxy's own pages: /paste/health, /paste/metrics, /paste/v1/stats, /paste/v1/sessions/{id}."""

from typing import Any

import msgspec
from aiohttp import web

import paste_proxy
from paste_proxy.errors import RequestError, openai_error
from paste_proxy.observe.metrics import exposition, stats
from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.runtime import Runtime


class UnknownSessionError(RequestError):
    status = 404
    code = "unknown_session"


class UnknownPageError(RequestError):
    status = 404
    code = "unknown_page"


class ObserveRoutes:
    def __init__(self, runtime: Runtime, relay: RelayCounters, backend_url: str) -> None:
        self._runtime = runtime
        self._relay = relay
        self._backend_url = backend_url

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/paste/health", self.health)
        app.router.add_get("/paste/metrics", self.metrics)
        app.router.add_get("/paste/v1/stats", self.stats)
        app.router.add_get("/paste/v1/sessions", self.sessions)
        app.router.add_get("/paste/v1/sessions/{id}", self.session)
        app.router.add_route("*", "/paste/{rest:.*}", self.unknown)

    async def health(self, request: web.Request) -> web.Response:
        """200 while the proxy serves; `core` says whether it still speculates."""
        core = "failed" if self._runtime.failed else "ok"
        return _json({"status": "ok", "version": paste_proxy.__version__, "core": core})

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=exposition(self._runtime, self._relay),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def stats(self, request: web.Request) -> web.Response:
        return _json(stats(self._runtime.core))

    async def sessions(self, request: web.Request) -> web.Response:
        sessions = self._runtime.core.turns.sessions.values()
        return _json({"sessions": [{"id": s.id, "name": s.name, "turns": s.turns} for s in sessions]})

    async def session(self, request: web.Request) -> web.Response:
        """The timeline of one session: what was seen, predicted and served."""
        session_id = request.match_info["id"]
        session = self._runtime.core.turns.sessions.get(session_id)
        if session is None:
            error = UnknownSessionError(
                f"session {session_id!r} is not known (any more); see /paste/v1/sessions", param=session_id
            )
            return _json(openai_error(error), error.status)
        return _json(
            {
                "id": session.id,
                "name": session.name,
                "parent": session.parent,
                "relation": session.relation,
                "turns": session.turns,
                "timeline": list(session.notes),
            }
        )

    async def unknown(self, request: web.Request) -> web.Response:
        error = UnknownPageError(
            f"paste-proxy has no page {request.path}; see /paste/v1/stats", param=request.path
        )
        return _json(openai_error(error), error.status)


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")
