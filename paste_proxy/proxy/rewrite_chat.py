"""`parse: proxy` on the wire: the raw text of chat streams and of whole chat replies becomes tool calls."""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from paste_proxy.proxy.rewrite_calls import CallWriter, Delta
from paste_proxy.proxy.rewrite_stream import framed


class EngineParsesError(Exception):
    """The reply has tool calls already: the engine was restarted with a parser. Never parse twice."""


class _Delta(msgspec.Struct, gc=False):
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_text = msgspec.json.Decoder(str).decode
_ABSENT = (b"null", b"[]")


class ChatStreamWriter:
    """A `RewriteEvent` for one chat stream; replies to `n` > 1 are told apart by their index.

    A chunk that says what its text says is left as it is. What takes its place has its id, time and model, and
    one delta each; `usage` and `logprobs` stay with the first.
    """

    def __init__(self, new_writer: Callable[[], CallWriter]) -> None:
        self._new_writer = new_writer
        self._writers: dict[int, CallWriter] = {}
        self._last: dict[int, bytes] = {}
        """The last chunk of each reply, for what is told after it."""

    def __call__(self, payload: bytes) -> bytes | None:
        if payload == b"[DONE]":
            return self._flushed() + framed(payload)
        choices = _decode(payload).choices
        if len(choices) != 1:
            return None
        choice = choices[0]
        delta = choice.delta or _Delta()
        if bytes(delta.tool_calls) not in _ABSENT:
            raise EngineParsesError
        content = bytes(delta.content)
        text = _decode_text(content) if content.startswith(b'"') else ""
        if not text and choice.finish_reason is None:
            return None
        self._last[choice.index] = payload
        writer = self._writers.get(choice.index)
        if writer is None:
            writer = self._writers[choice.index] = self._new_writer()
        if writer.ended:
            return None
        deltas = writer.feed(text) if text else []
        if choice.finish_reason is not None:
            return self._end(payload, text, deltas, choice.finish_reason, writer)
        return None if deltas == [{"content": text}] else _said(orjson.loads(payload), deltas)

    @staticmethod
    def _end(payload: bytes, text: str, deltas: list[Delta], reason: str, writer: CallWriter) -> bytes | None:
        held, ended = writer.end(reason)
        deltas = deltas + held
        if ended == reason and deltas == ([{"content": text}] if text else []):
            return None
        return _ended(payload, deltas, ended)

    def give_up(self) -> bytes:
        """The text that is held, for a stream of which no more will be rewritten."""
        return b"".join(self._late(index, one.give_up()) for index, one in self._writers.items())

    def _flushed(self) -> bytes:
        """What is held of replies that never said why they ended."""
        return b"".join(
            self._late(index, one.end("")[0]) for index, one in self._writers.items() if not one.ended
        )

    def _late(self, index: int, deltas: list[Delta]) -> bytes:
        """Chunks after the last one of their reply."""
        if not deltas:
            return b""
        chunk = orjson.loads(self._last[index])
        chunk.pop("usage", None)
        chunk["choices"][0] |= {"delta": {}, "logprobs": None}
        return _said(chunk, deltas)


def _said(chunk: dict[str, Any], deltas: list[Delta]) -> bytes:
    """Chunks like `chunk` for `deltas`. Log probabilities of text that is held need a chunk of their own."""
    choice = chunk["choices"][0]
    rest = {"reasoning_content": None} | choice["delta"]
    rest.pop("content", None)
    choice["finish_reason"] = None
    if not deltas and (choice.get("logprobs") or any(rest.values())):
        deltas = [{}]
    out: list[bytes] = []
    for delta in deltas:
        choice["delta"] = rest | delta
        out.append(framed(orjson.dumps(chunk)))
        rest = dict.fromkeys(rest)
        choice["logprobs"] = None
        chunk.pop("usage", None)
    return b"".join(out)


def _ended(payload: bytes, deltas: list[Delta], reason: str) -> bytes:
    chunk = orjson.loads(payload)
    choice = chunk["choices"][0]
    before = _said(orjson.loads(payload), deltas) if deltas else b""
    if before:
        choice["delta"] = {"reasoning_content": None}
        choice["logprobs"] = None
        chunk.pop("usage", None)
    choice["finish_reason"] = reason
    return before + framed(orjson.dumps(chunk))


def rewritten_reply(body: bytes, new_writer: Callable[[], CallWriter]) -> bytes:
    """A whole chat reply; the same bytes where its text holds no call. Raises where `body` is no such reply."""
    reply = orjson.loads(body)
    changed = [_rewrite_choice(choice, new_writer()) for choice in reply["choices"]]
    return orjson.dumps(reply) if any(changed) else body


def _rewrite_choice(choice: dict[str, Any], writer: CallWriter) -> bool:
    message = choice["message"]
    if message.get("tool_calls"):
        raise EngineParsesError
    text = message.get("content")
    if not isinstance(text, str) or not text:
        return False
    deltas = writer.feed(text)
    reason = choice.get("finish_reason") or ""
    held, ended = writer.end(reason)
    deltas += held
    if deltas == [{"content": text}] and ended == reason:
        return False
    message["content"] = "".join(delta.get("content", "") for delta in deltas)
    if reasoning := "".join(delta.get("reasoning_content", "") for delta in deltas):
        message["reasoning_content"] = reasoning
    if calls := [call for call in _joined(deltas) if call["index"] not in writer.open_calls]:
        message["tool_calls"] = calls
    if ended != reason:
        choice["finish_reason"] = ended
        choice["matched_stop"] = None
    return True


def _joined(deltas: list[Delta]) -> list[dict[str, Any]]:
    calls: dict[int, dict[str, Any]] = {}
    for delta in deltas:
        for call in delta.get("tool_calls", ()):
            known = calls.setdefault(call["index"], call)
            if known is not call:
                known["function"]["arguments"] += call["function"]["arguments"]
    return list(calls.values())
