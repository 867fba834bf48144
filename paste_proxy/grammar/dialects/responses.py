"""The responses dialect: streams of typed events and whole `response` replies (OpenAI API reference; SGLang
0.5.23 `serving_responses.py` and vLLM 0.33 `entrypoints/openai/responses` for what engines do).

A reply is a list of items, told three times: by deltas, by the item when it is done, by the response when it is
complete. Each item is read where it is told first, and the repetitions are passed over; a call that only the
last event tells is read there, since agents may take their calls from it. What the server runs itself
(`mcp_call`, `web_search_call`, ...) is no call of the agent's (`client_calls`).
"""

from collections import Counter

import msgspec

from paste_proxy.grammar.calls import CALL_LIMIT
from paste_proxy.grammar.client_calls import INPUT_BEGINS, INPUT_ENDS, CallItem, input_text
from paste_proxy.grammar.dialects.decoding import UNDECODABLE, is_foreign
from paste_proxy.grammar.digests import canonical, digest
from paste_proxy.grammar.events import ReplyNamed, Usage
from paste_proxy.grammar.reply import Reply

_TEXT = "response.output_text.delta"
_REASONING = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_ARGUMENTS = "response.function_call_arguments.delta"
_ALL_ARGUMENTS = "response.function_call_arguments.done"
_INPUT = "response.custom_tool_call_input.delta"
_ADDED = "response.output_item.added"
_DONE = "response.output_item.done"
_BEGINS = frozenset({"response.created", "response.in_progress", "response.queued"})
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_DELTAS = _REASONING | {_TEXT, _ARGUMENTS, _INPUT}
_EVENTS = _DELTAS | _BEGINS | _ENDS | {"", "error", _ALL_ARGUMENTS, _ADDED, _DONE}
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
_STATUSES = frozenset(kind.removeprefix("response.") for kind in _ENDS)

_Index = int | None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    """Empty for a whole reply, which is no event."""
    output_index: _Index = None
    delta: str | None = None
    arguments: str | None = None
    item: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None


class _Item(CallItem, gc=False):
    content: list[_Part] | None = None
    summary: list[_Part] | None = None


class _InputDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Response(msgspec.Struct, gc=False):
    """Also the body of an error."""

    id: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: _Usage | None = None
    incomplete_details: _Incomplete | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Event).decode
_decode_item = msgspec.json.Decoder(_Item).decode
_decode_response = msgspec.json.Decoder(_Response).decode


class _ToldCalls:
    """The calls that a stream told before its last event: there they have the same ids, or, from engines that
    make new ones, the same names and arguments."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._ended: Counter[tuple[str, bytes]] = Counter()
        """Complete ones, by name and digest of the arguments; each stands for one in the last event."""

    def begin(self, item: CallItem) -> None:
        if item.call_id and len(self._ids) < CALL_LIMIT:
            self._ids.add(item.call_id)

    def end(self, item: CallItem, arguments: str) -> None:
        self.begin(item)
        if len(self._ended) < CALL_LIMIT:
            self._ended[item.tool, _digest(arguments)] += 1

    def untold(self, items: list[tuple[int, _Item]]) -> list[tuple[int, _Item]]:
        """Those calls of the last event that nothing before it told."""
        unknown = []
        for place, item in items:
            if item.call_id in self._ids:
                self._take(item)
            else:
                unknown.append((place, item))
        return [(place, item) for place, item in unknown if not self._take(item)]

    def _take(self, item: CallItem) -> bool:
        """Whether one like this is left."""
        try:
            key = item.tool, _digest(item.json())
        except UNDECODABLE:
            return False
        known = self._ended[key] > 0
        self._ended[key] -= known
        return known


def _digest(arguments: str) -> bytes:
    return digest(canonical(arguments))


class ResponsesDialect:
    """Events of a stream and whole replies alike; what can't be decoded spoils the calls that are open."""

    __slots__ = ("_calls", "_items", "_last_call", "_named", "_reasoning", "_reply", "_told")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._items: dict[_Index, bool] = {}
        """The open items, by `output_index`; true where some of the text or the arguments has come."""
        self._told = False
        """The stream tells its items one by one; else only its last event has them."""
        self._calls = _ToldCalls()
        self._named = False
        self._reasoning: tuple[_Index, str] | None = None
        """The last item that reasoned, and by which deltas: SGLang tells one text as content and as summary."""
        self._last_call: tuple[_Index] | None = None
        """The index of the last call that is done."""

    def read(self, payload: bytes, at: int) -> None:
        try:
            event = _decode(payload)
        except UNDECODABLE as error:
            if not is_foreign(payload, _EVENTS):
                self._reply.unreadable(f"not an event of a response: {error}", at)
            return
        kind, index = event.type, event.output_index
        if kind in _DELTAS:
            if event.delta:
                self._read_delta(kind, index, event.delta, at)
        elif kind == _ALL_ARGUMENTS:
            self._read_arguments(index, event.arguments or "", at)
        elif kind == _ADDED:
            self._add_item(index, event.item, at)
        elif kind == _DONE:
            self._end_item(index, event.item, at)
        else:
            self._read_frame(kind, event.response if kind else msgspec.Raw(payload), at)

    def _read_delta(self, kind: str, index: _Index, text: str, at: int) -> None:
        begins = ""
        if not self._items.get(index):
            self._hear(index)
            begins = INPUT_BEGINS
        if kind == _TEXT:
            self._reply.content(text, at)
        elif kind == _ARGUMENTS:
            self._reply.call(index, "", "", text, at)
        elif kind == _INPUT:
            self._reply.call(index, "", "", begins + input_text(text), at)
        else:
            if self._reasoning is None or self._reasoning[0] != index:
                self._reasoning = (index, kind)
            if self._reasoning[1] == kind:
                self._reply.reasoning(text)

    def _hear(self, index: _Index) -> None:
        """Some of the text or the arguments of this item has come."""
        self._told = True
        if len(self._items) < CALL_LIMIT:
            self._items[index] = True

    def _read_arguments(self, index: _Index, arguments: str, at: int) -> None:
        """All arguments of a call: news only where no deltas brought them."""
        if arguments and not self._items.get(index):
            self._hear(index)
            self._reply.call(index, "", "", arguments, at)

    def _add_item(self, index: _Index, raw: msgspec.Raw, at: int) -> None:
        """An item begins. Arguments that it has already are left for later: vLLM repeats them in a delta."""
        self._told = True
        self._close_call(at)
        item = self._item(raw, at)
        if item is None:
            return
        if len(self._items) < CALL_LIMIT:
            self._items[index] = False
        if item.is_call:
            self._calls.begin(item)
            self._reply.call(index, item.call_id or "", item.tool, "", at)

    def _end_item(self, index: _Index, raw: msgspec.Raw, at: int) -> None:
        """An item is complete: reads what has not come yet, which is nothing or all of it."""
        self._told = True
        self._close_call(at)
        known = self._items.pop(index, None)
        item = self._item(raw, at)
        if item is None:
            return
        if item.is_call:
            self._end_call(index, item, known, at)
        elif not known:
            self._read_texts(item, at)

    def _end_call(self, index: _Index, item: _Item, known: bool | None, at: int) -> None:
        """`known`: as in `_items`; None where the item's beginning was not told."""
        try:
            arguments = item.json()
        except UNDECODABLE as error:
            self._reply.unreadable(f"not the arguments of a call: {error}", at)
            return
        self._calls.end(item, arguments)
        if known is None:
            self._reply.call(index, item.call_id or "", item.tool, arguments, at)
        elif not known:
            self._reply.call(index, "", "", arguments, at)
        elif item.type == "custom_tool_call":
            self._reply.call(index, "", "", INPUT_ENDS, at)
        self._last_call = (index,)

    def _item(self, raw: msgspec.Raw, at: int) -> _Item | None:
        """None where it can't be decoded, and need not be where it is none of ours."""
        try:
            return _decode_item(raw)
        except UNDECODABLE as error:
            if not is_foreign(raw, _ITEMS):
                self._reply.unreadable(f"not an item of a response: {error}", at)
            return None

    def _read_texts(self, item: _Item, at: int) -> None:
        if item.type == "message":
            for part in item.content or ():
                if part.type == "output_text" and part.text:
                    self._reply.content(part.text, at)
        elif item.type == "reasoning":
            for part in item.content or item.summary or ():
                if part.text:
                    self._reply.reasoning(part.text)

    def _close_call(self, at: int) -> None:
        """The model goes on after its last call, so that one was whole, even if it has no arguments. Not known
        before: SGLang calls the item of a call that the token limit cut off `completed` just as well."""
        if self._last_call is not None:
            self._reply.close_call(self._last_call[0], at)
            self._last_call = None

    def _read_frame(self, kind: str, raw: msgspec.Raw, at: int) -> None:
        """What is not of one item; a whole reply where `kind` is empty."""
        if kind == "error":
            self._reply.end("error", at, finished=False)
        elif not kind or kind in _BEGINS or kind in _ENDS:
            try:
                response = _decode_response(raw)
            except UNDECODABLE as error:
                self._reply.unreadable(f"not a response: {error}", at)
                return
            self._name(response.id)
            status = response.status or kind.removeprefix("response.")
            if status in _STATUSES and kind not in _BEGINS:
                self._end(response, status, at)
            elif not kind and bytes(response.error) != b"null":
                self._reply.end("error", at, finished=False)

    def _name(self, reply_id: str | None) -> None:
        if reply_id and not self._named:
            self._named = True
            self._reply.out.append(ReplyNamed(reply_id))

    def _end_untold_calls(self, output: list[msgspec.Raw], at: int) -> None:
        items = [(place, item) for place, raw in enumerate(output) if (item := self._item(raw, at)) is not None]
        for place, item in self._calls.untold([(place, item) for place, item in items if item.is_call]):
            self._close_call(at)
            # Its place may be another item's index: engines count them in several ways.
            self._end_call(-1 - place, item, None, at)

    def _end(self, response: _Response, status: str, at: int) -> None:
        output = response.output or []
        if self._told and not self._reply.ended:
            self._end_untold_calls(output, at)
        elif not self._reply.ended:
            for index, item in enumerate(output):
                self._end_item(index, item, at)
        reason = response.incomplete_details.reason if response.incomplete_details is not None else None
        # An item that was never done may have lost text: a call without arguments is not whole then.
        self._reply.end(reason or status, at, finished=status == "completed" and not self._items)
        if response.usage is not None:
            self._reply.usage(_told(response.usage))


def _told(usage: _Usage) -> Usage:
    details = usage.input_tokens_details
    cached = details.cached_tokens if details is not None else None
    return Usage.told(usage.input_tokens, usage.output_tokens, cached)
