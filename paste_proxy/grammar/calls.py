"""Puts the tool calls of one reply together from their deltas (OpenAI chat dialect and its variations).

Engines disagree on what names a call. OpenAI counts `index` and sends id and name once; SGLang's gemma4 parser
puts the tool's place in the tool list into `index`; llama-cpp-python repeats id and name in every delta; some
send no id at all. So a call begins where a new id arrives, or a name that can't belong to the call at hand.
"""

import io
from collections.abc import Hashable, Sequence
from typing import Literal, TypeAlias

import msgspec

from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallOpened,
    CallSealed,
    GrammarEvent,
    Malformed,
)
from paste_proxy.grammar.json_stream import BLANKS, Grown, JsonStream
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.grammar.schemas import Schemas

CALL_LIMIT = 1024
"""Calls of one reply: far above what agents run, and a bound on what a broken stream can make us hold."""

SIZE_LIMIT = 16 * 1024 * 1024
"""Characters of all arguments of one reply. More than any model writes (a million tokens are about 4 MB), and
room for a file of 10 MB."""

Standing: TypeAlias = Literal["open", "sealed", "broken"]

_encode = msgspec.json.Encoder(order="sorted").encode


class _Call:
    """One call as far as it has come."""

    __slots__ = ("call_id", "done", "early", "faulty", "name", "ordinal", "stream", "text")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.name = ""
        self.ordinal = -1
        self.stream = JsonStream()
        self.text = io.StringIO()
        """The arguments as they came."""
        self.early: list[str] = []
        """Arguments that came before the name."""
        self.done = False
        """Sealed, or beyond sealing."""
        self.faulty = False
        """Something was wrong with it, and has been said."""

    def fault(self, why: str, at: int) -> Malformed:
        self.done = self.faulty = True
        return Malformed(f"tool call {self.call_id or self.ordinal}: {why}", at)


class CallAssembler:
    """Reads the deltas of one reply in order; each method appends what they mean to `out`."""

    __slots__ = (
        "_by_id",
        "_by_index",
        "_calls",
        "_in_text",
        "_opened",
        "_schemas",
        "_size",
        "_spoilt",
    )

    def __init__(self, tools: Sequence[RequestTool] = (), *, in_text: bool = False) -> None:
        """`tools` are those of the request; `in_text`: the calls are read from text that the client sees as
        text (`CallOpened.in_text`)."""
        self._schemas = Schemas(tools)
        self._in_text = in_text
        self._calls: list[_Call] = []
        self._by_index: dict[Hashable, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._opened = 0
        self._size = 0
        self._spoilt = False

    def delta(
        self, index: Hashable, call_id: str, name: str, text: str, at: int, out: list[GrammarEvent]
    ) -> None:
        """One element of `delta.tool_calls`; empty strings where it says nothing. `at` is for `Malformed`."""
        call = self._find(index, call_id, name)
        if self._spoilt or (call is None and self._too_many(at, out)):
            return
        room = SIZE_LIMIT - self._size
        over = len(text) > room
        text = text[:room]
        self._size += len(text)
        if call is None:
            if not (call_id or name or text):
                return
            call = self._begin(index, call_id)
        elif call_id and not call.call_id and not call.done:
            call.call_id = call_id
            self._by_id[call_id] = call
        if name and not call.name:
            self._open(call, name, out)
        if not call.name:
            call.early.append(text)
        elif text or call.early:
            self._read(call, text, at, out)
        if over:
            self._overflow(at, out)

    def read(
        self, index: Hashable, text: str, place: int, at: int, out: list[GrammarEvent]
    ) -> tuple[int, Standing]:
        """`text[place:]` goes on with the arguments of a call that has its name, but only they say how far:
        where they stop, and how they stand then."""
        call = self._by_index.get(index)
        if call is None or self._spoilt:
            return place, "broken"
        end = place + SIZE_LIMIT - self._size
        stop = call.stream.feed(text[:end], place)
        self._size += stop - place
        self._tell(call, text[place:stop], out)
        self._judge(call, at, out)
        if not call.done and end < len(text):
            self._overflow(at, out)
        if call.faulty or self._spoilt:
            return stop, "broken"
        return stop, "sealed" if call.done else "open"

    def settle(self, index: Hashable, at: int, out: list[GrammarEvent]) -> None:
        """A number at the end of what has come for this call is complete."""
        call = self._by_index.get(index)
        if call is not None and not call.done and not self._spoilt:
            call.stream.settle()
            self._report(call, out)
            self._judge(call, at, out)

    def close(self, index: Hashable, at: int, out: list[GrammarEvent]) -> None:
        """Nothing more will come for this call; without any arguments they are `{}`."""
        call = self._by_index.get(index)
        if call is not None and not self._spoilt:
            self._finish(call, at, out, finished=True)

    def fail(self, index: Hashable, why: str, at: int, out: list[GrammarEvent]) -> None:
        """The arguments of this call can't be told whole, though they may look so."""
        call = self._by_index.get(index)
        if call is not None and not call.done and not self._spoilt:
            out.append(call.fault(why, at))

    def spoil(self) -> None:
        """Part of the reply was lost, and any call may have lost text with it: nothing more is sealed."""
        self._spoilt = True

    def end(self, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        """No more deltas. Calls without arguments are sealed as `{}` if the model finished by itself."""
        for call in () if self._spoilt else self._calls:
            self._finish(call, at, out, finished=finished)

    def _finish(self, call: _Call, at: int, out: list[GrammarEvent], *, finished: bool) -> None:
        if call.done:
            return
        if finished and call.name and not call.stream.started:
            self._seal(call, "{}", {}, out)
            return
        missing = "arguments are incomplete" if call.name else "no name"
        out.append(call.fault(missing, at))

    def _too_many(self, at: int, out: list[GrammarEvent]) -> bool:
        if len(self._calls) == CALL_LIMIT:
            out.append(Malformed(f"more than {CALL_LIMIT} tool calls", at))
            self._spoilt = True
        return self._spoilt

    def _overflow(self, at: int, out: list[GrammarEvent]) -> None:
        out.append(Malformed(f"tool call arguments of more than {SIZE_LIMIT} characters", at))
        self._spoilt = True

    def _find(self, index: Hashable, call_id: str, name: str) -> _Call | None:
        """The call that a delta continues; None if it begins one."""
        call = self._by_index.get(index)
        if call is None and index is None and not call_id and not name and self._calls:
            return self._calls[-1]
        if call_id and (call is None or call.call_id != call_id):
            return self._find_by_id(call, call_id, name)
        if name and not call_id and call is not None and call.name:
            over = call.done and call.stream.started
            return None if over or call.name != name else call
        return call

    def _find_by_id(self, call: _Call | None, call_id: str, name: str) -> _Call | None:
        """An id that the call at this index does not have: late for it, of a call elsewhere, or new."""
        if call is not None and not call.call_id and not name and not call.done:
            return call
        if name:
            return None
        return self._by_id.get(call_id)

    def _begin(self, index: Hashable, call_id: str) -> _Call:
        call = _Call(call_id)
        self._calls.append(call)
        self._by_index[index] = call
        if call_id:
            self._by_id[call_id] = call
        return call

    def _open(self, call: _Call, name: str, out: list[GrammarEvent]) -> None:
        call.name = name
        call.ordinal = self._opened
        self._opened += 1
        out.append(CallOpened(call.ordinal, call.call_id, name, self._in_text))

    def _read(self, call: _Call, text: str, at: int, out: list[GrammarEvent]) -> None:
        stream = call.stream
        if call.early:
            text = "".join((*call.early, text))
            call.early = []
        if not call.done:
            if not stream.started:
                text = text.lstrip(BLANKS)
            stop = stream.feed(text)
            self._tell(call, text[:stop], out)
            text = text[stop:]
            self._judge(call, at, out)
        if text and call.done and not call.faulty and text.strip(BLANKS):
            out.append(call.fault("text after the complete JSON object", at))

    def _judge(self, call: _Call, at: int, out: list[GrammarEvent]) -> None:
        """Are the arguments complete, or at fault?"""
        stream = call.stream
        if stream.fault:
            out.append(call.fault(f"arguments are not valid JSON: {stream.fault}", at))
        elif stream.complete:
            self._seal(call, call.text.getvalue(), stream.value, out)

    def _tell(self, call: _Call, text: str, out: list[GrammarEvent]) -> None:
        """More of the arguments, and what became known by it, or by what follows it."""
        if text:
            call.text.write(text)
            out.append(ArgumentText(call.ordinal, text))
        self._report(call, out)

    def _report(self, call: _Call, out: list[GrammarEvent]) -> None:
        ordinal = call.ordinal
        found = call.stream.found
        for one in found:
            if isinstance(one, Grown):
                out.append(ArgumentGrown(ordinal, one.path, one.text))
            else:
                out.append(ArgumentSealed(ordinal, one.path, one.value))
        found.clear()

    def _seal(self, call: _Call, text: str, value: dict[str, object], out: list[GrammarEvent]) -> None:
        call.done = True
        canonical = _encode(value).decode()
        invalid = self._schemas.refusal(call.name, value, len(canonical))
        out.append(CallSealed(call.ordinal, call.call_id, call.name, text, canonical, invalid, self._in_text))
