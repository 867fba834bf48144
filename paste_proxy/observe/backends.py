"""/paste/v1/backends: how each backend does; and the switch by which the operator drains one."""

import logging
from typing import Any

import msgspec
from aiohttp import web

from paste_proxy.errors import RequestError
from paste_proxy.events import BackendDraining
from paste_proxy.json_words import why_no_json
from paste_proxy.observe.switch import read_body
from paste_proxy.placing import Counts
from paste_proxy.proxy.lines import Line, Lines
from paste_proxy.runtime import Runtime

log = logging.getLogger(__name__)


class UnknownBackendError(RequestError):
    status = 404
    code = "unknown_backend"


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: `{"draining": true}`, or false."""

    draining: bool


_wishes = msgspec.json.Decoder(Wish)


def all_backends(runtime: Runtime, lines: Lines) -> dict[str, Any]:
    """By name; the only one has none: ""."""
    return {"backends": {line.name: _standing(runtime, line) for line in lines}}


def _standing(runtime: Runtime, line: Line) -> dict[str, Any]:
    """`live`: turns that wait for it or run there, `waiting` of them. `sessions`: those whose next turn goes
    there; `leased` of them keep their part of its memory, `leased_tokens` together, of `budget` (0: any), and
    `lost` ones were taken back. `thrash`: of prompts of late, read again. `overruled`: it has other users.
    `no_llm`: why it seems to be no LLM server."""
    placing, sessions = runtime.core.placing, runtime.core.turns.sessions.values()
    facts = runtime.core.pacing.facts_of(line.name)
    return {
        "url": line.control.config.url,
        "kind": line.control.current.name,
        "up": line.health.up,
        "reason": line.health.reason,
        "no_llm": line.control.no_llm,
        "draining": line.draining,
        "live": placing.live(line.name),
        "waiting": facts.waiting,
        "leased": facts.leased,
        "leased_tokens": facts.leased_tokens,
        "budget": facts.budget,
        "lost": facts.parked,
        "thrash": round(facts.thrash, 3),
        "overruled": facts.overruled,
        "sessions": sum(session.home == line.name for session in sessions),
        **msgspec.structs.asdict(placing.counts.get(line.name, Counts())),
    }


async def drain(request: web.Request, runtime: Runtime, lines: Lines) -> dict[str, Any]:
    """Raises `RequestError`, `UnknownBackendError`."""
    name = request.match_info["name"]
    body = await read_body(request)
    try:
        wanted = _wishes.decode(body)
    except (msgspec.DecodeError, UnicodeError) as error:
        why = why_no_json(body, error)
        raise RequestError(
            f'the body says nothing that can be done: {why}; send {{"draining": true}} or false', param="body"
        ) from error
    line = next((line for line in lines if line.name == name), None)
    if line is None:
        known = ", ".join(line.name for line in lines if line.name) or "none by name: there is one only"
        raise UnknownBackendError(f"there is no backend {name!r}; known: {known}", param="name")
    line.draining = wanted.draining
    runtime.tell(BackendDraining(name, wanted.draining))
    log.info("backend %s %s", name, "drains: no session comes to it" if wanted.draining else "takes sessions")
    return all_backends(runtime, lines)
