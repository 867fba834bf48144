"""The dialect of SGLang's own `/generate`: plain text and `meta_info` (0.5.23 `tokenizer_manager.py`).

Each event of a stream has all the text so far; with `--incremental-streaming-output` only what is new. No field
says which, and the text can't: after "ab", "abab" may be the whole or the news. The counts can: `output_ids`
grows with the text in the one mode, while `meta_info.completion_tokens` is the total in both. So the first
event that follows some tokens decides. Of a batch of prompts (`index`, or a list of replies) nothing is read.
"""

from typing import Any

import msgspec

from paste_proxy.grammar.dialects.decoding import UNDECODABLE
from paste_proxy.grammar.events import Usage
from paste_proxy.grammar.reply import Reply

FINISHED = frozenset({"stop"})
"""The only reason that means that the model ended the text itself."""


class _FinishReason(msgspec.Struct, gc=False):
    type: str | None = None


class _MetaInfo(msgspec.Struct, gc=False):
    finish_reason: _FinishReason | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None


class _Reply(msgspec.Struct, gc=False):
    """An event of a stream, or a whole reply."""

    text: str | None = None
    meta_info: _MetaInfo | None = None
    index: Any = None
    error: Any = None


class _CountedReply(_Reply, gc=False):
    """As long as the ids must be counted: they are most of an event's bytes."""

    output_ids: Any = None


_decode = msgspec.json.Decoder(_Reply).decode
_decode_counted = msgspec.json.Decoder(_CountedReply).decode


class GenerateDialect:
    """Events of a stream and whole replies alike. Takes time linear in the bytes received."""

    __slots__ = ("_batch", "_counted", "_incremental", "_reply", "_text")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._text = ""
        """All text so far, while events repeat it."""
        self._counted = 0
        """Tokens of the last event, while the mode is not known."""
        self._incremental: bool | None = None
        self._batch = False

    def read(self, payload: bytes, at: int) -> None:
        if self._batch:
            return
        try:
            if self._incremental is None:
                read: _Reply = self._look_for_mode(_decode_counted(payload))
            else:
                read = _decode(payload)
        except UNDECODABLE as error:
            self._reply.unreadable(f"not a generated text: {error}", at)
            return
        if read.index is not None:
            self._batch = True
            self._reply.unreadable("one of several replies to one request", at)
        elif read.error:
            self._reply.end("error", at, finished=False)
        else:
            self._read_text(read.text or "", at)
            if read.meta_info is not None:
                self._read_meta(read.meta_info, at)

    def _look_for_mode(self, read: _CountedReply) -> _CountedReply:
        tokens = (read.meta_info.completion_tokens or 0) if read.meta_info is not None else 0
        if self._counted and isinstance(read.output_ids, list):
            self._incremental = len(read.output_ids) <= tokens - self._counted
        self._counted = tokens
        return read

    def _read_text(self, text: str, at: int) -> None:
        if self._incremental:
            new = text
        elif text.startswith(self._text):
            new = text[len(self._text) :]
            self._text = text
        else:
            self._reply.unreadable("the text does not go on where it was", at)
            return
        if new:
            self._reply.content(new, at)

    def _read_meta(self, meta: _MetaInfo, at: int) -> None:
        if meta.finish_reason is None:
            return
        reason = meta.finish_reason.type or "stop"
        self._reply.end(reason, at, finished=reason in FINISHED)
        self._reply.usage(Usage.told(meta.prompt_tokens, meta.completion_tokens, meta.cached_tokens))
