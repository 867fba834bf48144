"""The two opt-ins that show calls earlier than an engine's parser does (docs/operations.md, "Raw text").

`OptIns` says for each chat request whether one of them applies; the `OptIn` then carries its reply.
"""

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from paste_proxy.backends import BackendControl, ReplyText
from paste_proxy.grammar.events import CallOpened, ContentText, GrammarEvent, ReasoningText, TurnEnded
from paste_proxy.grammar.raw_tap import RawTap
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.rewrite import (
    Begin,
    CallsRewriter,
    EventsRewriter,
    OptIn,
    Report,
    Rewriter,
    RewritingSink,
    WholeReplySink,
    with_length,
)
from paste_proxy.proxy.rewrite_calls import CallWriter
from paste_proxy.proxy.rewrite_chat import EngineParsesError, rewritten_reply
from paste_proxy.proxy.rewrite_logprobs import LogprobStripper
from paste_proxy.proxy.rewrite_request import RequestWish, read_wish, with_field
from paste_proxy.proxy.tap import EVENT_STREAM, JSON, Failures, Tap, is_identity, media_type
from paste_proxy.proxy.upstream import Exchange, Outgoing, uncompressed


class OptIns:
    def __init__(self, control: BackendControl, failures: Failures, limit: int) -> None:
        """`limit` is of a whole reply, in bytes."""
        self._control = control
        self._failures = failures
        self._limit = limit

    def of(self, body: bytes, chat: ChatRequest, tap: Tap) -> OptIn | None:
        """None where the reply is relayed as it is."""
        text = self._control.text
        if not (text.parsed_here or text.tapped):
            return None
        wish = read_wish(body)
        if text.parsed_here:
            return self._parsed_here(text, wish, chat)
        return self._tapped(text, wish, chat, tap)

    def _parsed_here(self, text: ReplyText, wish: RequestWish, chat: ChatRequest) -> OptIn | None:
        calls, reasoning = wish.may_call, wish.reasoning_apart and text.told_here is not None
        if not (calls or reasoning):
            return None
        new_reader = partial(text.reader, chat.tools, calls=calls, reasoning=reasoning)
        return _ParsedHere(lambda: CallWriter(new_reader()), self._report, self._limit, markers=not calls)

    def _tapped(self, text: ReplyText, wish: RequestWish, chat: ChatRequest, tap: Tap) -> OptIn | None:
        if not (wish.stream is True and wish.may_call and wish.one_reply):
            return None
        raw = RawTap(text.reader(chat.tools), (tool.name for tool in chat.tools))
        return _Tapped(self._control, raw, tap, self._failures, asked=wish.asks_logprobs)

    def _report(self, where: str, error: Exception) -> None:
        if isinstance(error, EngineParsesError):
            self._control.doubt()
        self._failures.report(where, error)


_SAID = frozenset({ContentText, ReasoningText, CallOpened})


def is_refusal(head: ReplyHead) -> bool:
    """The backend would not have a request like this, whoever sends it, and whenever."""
    return 400 <= head.status < 500 and head.status not in (401, 403, 404, 408, 413, 429)


class _ParsedHere:
    """`parse: proxy`."""

    def __init__(
        self,
        new_writer: Callable[[], CallWriter],
        report: Callable[[str, Exception], None],
        limit: int,
        *,
        markers: bool,
    ) -> None:
        """`markers`: special tokens must be asked for. With tools SGLang 0.5.23 leaves them in the text by
        itself, but for the one at the end."""
        self._new_writer = new_writer
        self._report = report
        self._limit = limit
        self._markers = markers

    def sent_as(self, outgoing: Outgoing) -> Outgoing:
        outgoing = uncompressed(outgoing)
        if not self._markers or outgoing.body is None:
            return outgoing
        return msgspec.structs.replace(
            outgoing, body=with_field(outgoing.body, "skip_special_tokens", b"false")
        )

    def refused(self, head: ReplyHead) -> bool:
        return self._markers and is_refusal(head)

    def sent_again(self, head: ReplyHead) -> None:
        """Without the field: the text shows no marks, and stays as it is."""

    async def relay(self, head: ReplyHead, exchange: Exchange, begin: Begin) -> None:
        media = media_type(head) if head.status == 200 and is_identity(head) else b""
        if media == EVENT_STREAM:
            await _relay_stream(head, exchange, begin, CallsRewriter(self._new_writer), self._report)
        elif media == JSON:
            rewrite = partial(rewritten_reply, new_writer=self._new_writer)
            whole = WholeReplySink(head, begin, rewrite, self._report, self._limit)
            await exchange.relay(whole)
            await whole.end()
        else:
            await exchange.relay(begin(head))


class _Tapped:
    """`raw_tap: logprobs`. The tap hears of the raw text when the bytes beside it have gone on."""

    def __init__(
        self, control: BackendControl, raw: RawTap, tap: Tap, failures: Failures, *, asked: bool
    ) -> None:
        """`asked`: the client wants log probabilities itself, so they are read only."""
        self._control = control
        self._raw: RawTap | None = raw
        self._tap = tap
        self._failures = failures
        self._asked = asked
        self._stripper = LogprobStripper(strip=not asked)
        self._said = False
        """The parsed stream said something that tokens stand for."""
        self._failed = False
        """It ended with an error: it says nothing of the engine."""
        tap.heard = self._heard

    def sent_as(self, outgoing: Outgoing) -> Outgoing:
        outgoing = uncompressed(outgoing)
        if self._asked or outgoing.body is None:
            return outgoing
        return msgspec.structs.replace(outgoing, body=with_field(outgoing.body, "logprobs", b"true"))

    def refused(self, head: ReplyHead) -> bool:
        return not self._asked and is_refusal(head)

    def sent_again(self, head: ReplyHead) -> None:
        if head.status == 200:
            self._control.text.raw_tap_fails("the backend refuses a request with log probabilities")

    async def relay(self, head: ReplyHead, exchange: Exchange, begin: Begin) -> None:
        if head.status == 200 and is_identity(head) and media_type(head) == EVENT_STREAM:
            rewriter = EventsRewriter(self._stripper)
            await _relay_stream(head, exchange, begin, rewriter, self._failures.report, self._foresee)
            self._judge()
        else:
            await exchange.relay(begin(head))

    def _heard(self, events: Sequence[GrammarEvent]) -> None:
        """What the parsed stream said."""
        for event in events:
            if type(event) is TurnEnded:
                self._failed = event.reason in ("error", "abort")
            elif type(event) in _SAID:
                self._said = True
        if self._raw is not None:
            self._raw.parsed(events)

    def _foresee(self) -> None:
        text, raw = self._stripper.take(), self._raw
        if raw is None or not text:
            return
        try:
            self._tap.foresee(raw.raw(text))
        except Exception as error:  # noqa: BLE001 - the boundary, as in tap.py
            self._raw = None
            self._failures.report("reading raw text", error)

    def _judge(self) -> None:
        """The reply is complete: did its raw text come, and did it say what the engine said?"""
        text = self._control.text
        if self._failed:
            return
        if self._tap.ended and self._said and not self._stripper.tokens:
            text.raw_tap_fails("log probabilities were asked for, and none came")
        elif self._raw is not None:
            agrees = not (self._raw.disagrees or self._raw.missed)
            text.raw_tap_read(agrees=agrees)
            if not agrees:
                self._control.doubt()


async def _relay_stream(
    head: ReplyHead,
    exchange: Exchange,
    begin: Begin,
    rewriter: Rewriter,
    report: Report,
    after: Callable[[], None] | None = None,
) -> None:
    sink = RewritingSink(
        begin(head if head.length is None else with_length(head, None)), rewriter, report, after
    )
    try:
        await exchange.relay(sink)
    finally:
        sink.end()
