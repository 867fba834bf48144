"""Has backends read ahead what a session's next request begins with (`warming`): a request of our own, for one
token, whose reply nobody sees.

It is made of the bytes of the session's last request, so that the prompt comes out alike: same model, tools and
settings of the template, the messages as they were, the reply as clients send it back, and an empty result for
each of its calls. Only `/v1/chat/completions` has all of that in one request.
"""

import asyncio
import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from paste_proxy.access.access import Tenant
from paste_proxy.errors import PasteError
from paste_proxy.events import AdmitTurn, CancelWarm, Event, WarmEnded, WarmPrefix
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.dialects import read_reply
from paste_proxy.grammar.events import Usage, UsageReported
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.proxy.additions import Additions
from paste_proxy.proxy.headers import REQUEST_ID, RequestHead
from paste_proxy.proxy.lines import Lines
from paste_proxy.proxy.session_tags import SessionTags
from paste_proxy.proxy.upstream import Exchange, Outgoing
from paste_proxy.tasks import TaskSet

log = logging.getLogger(__name__)

KEPT_BYTES = 256 * 1024 * 1024
"""Of requests, the longest unused go first: 2,500 sessions with an agent's usual history of 100 KB."""
REPLY_BYTES = 1024 * 1024
"""A reply of one token is a few hundred."""
LEFT_OUT = (
    *("stream", "stream_options", "n", "max_tokens", "max_completion_tokens", "min_tokens"),
    *("logprobs", "top_logprobs", "rid", "request_id", "store", "background"),
)
"""Fields that say how a reply is made, told or kept, and by which it is named; none is part of the prompt."""
OWN_FIELDS = frozenset({b"accept-encoding", b"idempotency-key", REQUEST_ID.encode()})
"""Header fields that say something of the client's own request alone."""

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Kept(msgspec.Struct, frozen=True):
    """A chat request that went to a backend."""

    turn: str
    tenant: Tenant
    head: RequestHead
    body: bytes
    read: ChatRequest


class Warmer:
    """`carry_out` takes the core's decisions. What fails here is nobody's failure but the warm-up's."""

    def __init__(
        self,
        lines: Lines,
        tags: SessionTags,
        tell: Callable[[Event], object],
        *,
        on: bool,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._lines = lines
        self._tags = tags
        self._tell = tell
        self._on = on
        self._left = kept_bytes
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        """By session."""
        self._tasks = TaskSet()
        self._running: dict[str, asyncio.Task[WarmEnded]] = {}

    def __len__(self) -> int:
        """Requests that are kept."""
        return len(self._kept)

    def keep(self, session: str, request: Kept) -> None:
        """Its reply has ended: what comes next goes on from this request."""
        if not self._on or not session:
            return
        self.over(session)
        self._kept[session] = request
        self._left -= len(request.body)
        while self._left < 0:
            self.over(next(iter(self._kept)))

    def over(self, session: str) -> None:
        kept = self._kept.pop(session, None)
        self._left += len(kept.body) if kept is not None else 0

    def carry_out(self, decision: WarmPrefix | CancelWarm) -> None:
        if isinstance(decision, CancelWarm):
            if (task := self._running.get(decision.warm_up)) is not None:
                task.cancel()
            return
        task = self._tasks.spawn(self._warm(decision), name=f"warm-up {decision.warm_up}")
        self._running[decision.warm_up] = task
        task.add_done_callback(lambda task: self._ended(decision.warm_up, task))

    async def close(self) -> None:
        await self._tasks.close()

    def _ended(self, warm_up: str, task: "asyncio.Task[WarmEnded]") -> None:
        del self._running[warm_up]
        failed = task.cancelled() or task.exception() is not None  # the task set has logged it
        self._tell(WarmEnded(warm_up, ok=False) if failed else task.result())

    async def _warm(self, decision: WarmPrefix) -> WarmEnded:
        failed = WarmEnded(decision.warm_up, ok=False)
        kept = self._kept.get(decision.session)
        body = warm_body(kept.body, decision) if kept is not None and kept.turn == decision.turn else None
        if kept is None or body is None:
            return failed
        line = self._lines[decision.backend]
        admission = AdmitTurn(decision.turn, decision.backend, decision.priority, None, decision.session)
        read = replace(kept.read, choices=1, has_rid=False)
        head = line.head_for(_own_head(kept.head), kept.tenant)
        added = Additions(line.control, Api.CHAT, read, admission).to(
            head, body, self._tags.name(decision.session)
        )
        try:
            exchange = await line.upstream.send(Outgoing(head=added.head, body=added.body))
            try:
                status, reply = await _reply(exchange)
            finally:
                exchange.close()
        except asyncio.CancelledError:
            if added.rid:
                line.control.abort(Api.CHAT, added.rid, added.head.authorization)
            raise
        except PasteError as error:
            log.debug("%s was not read ahead: %s", decision.session, error.message)
            return failed
        return WarmEnded(decision.warm_up, ok=True, usage=_usage(reply)) if status == 200 else failed


def warm_body(body: bytes, said: WarmPrefix) -> bytes | None:
    """The request that has an engine read what comes after `body`; None where that can't be said."""
    fields = _fields.decode(body)
    messages = bytes(fields.get("messages", b"")).strip()
    choice = bytes(fields.get("tool_choice", b'"auto"'))
    if not messages.endswith(b"]") or choice.startswith(b"{"):
        return None  # the tool that it names need not be the next one's, and only its tool is in the prompt
    if choice == b'"required"':
        del fields["tool_choice"]  # it would make the engine build a grammar, and changes no prompt
    limit = "max_completion_tokens" if "max_completion_tokens" in fields else "max_tokens"
    added = b"".join(b"," + msgspec.json.encode(message) for message in _following(said))
    for name in LEFT_OUT:
        fields.pop(name, None)
    fields["messages"] = msgspec.Raw(messages[:-1] + added + b"]")
    fields[limit] = msgspec.Raw(b"1")
    return msgspec.json.encode(fields)


def _following(said: WarmPrefix) -> list[dict[str, Any]]:
    """The reply, and results of which nothing is known yet: with them templates write the reply as they will
    where the results stand behind it."""
    reply: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if said.calls:
        reply["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in said.calls
        ]
    results = ({"role": "tool", "tool_call_id": call.call_id, "content": ""} for call in said.calls)
    return [reply, *results]


def _own_head(head: RequestHead) -> RequestHead:
    fields = tuple(field for field in head.fields if field[0].lower() not in OWN_FIELDS)
    return replace(head, fields=fields, request_id=uuid.uuid4().hex)


class _Collected:
    """A sink for a small body; more of it is dropped."""

    def __init__(self) -> None:
        self.body = bytearray()

    def take(self, data: bytes) -> bool:
        if len(self.body) < REPLY_BYTES:
            self.body += data
        return True

    async def drain(self) -> None:
        """There is always room."""


async def _reply(exchange: Exchange) -> tuple[int, bytes]:
    head = await exchange.reply()
    collected = _Collected()
    await exchange.relay(collected)
    return head.status, bytes(collected.body)


def _usage(reply: bytes) -> Usage | None:
    events = read_reply(Api.CHAT, reply, None)
    return next((event.usage for event in events if isinstance(event, UsageReported)), None)
