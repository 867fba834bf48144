"""The completions dialect: streams and whole replies of `text_completion` (OpenAI API reference, legacy; SGLang
0.5.23 `serving_completions.py`, vLLM 0.33 and llama-cpp-python alike).

Plain text, and only choice 0 is read: what is a call in it, a configured format says.
"""

from typing import Any

import msgspec

from paste_proxy.grammar.dialects.chat import TokenCounts
from paste_proxy.grammar.dialects.decoding import UNDECODABLE
from paste_proxy.grammar.reply import Reply

FINISHED = frozenset({"stop"})
"""The only reason that means that the model ended the text itself."""


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    text: str | None = None
    finish_reason: str | None = None


class _Reply(msgspec.Struct, gc=False):
    """A chunk of a stream, or a whole reply."""

    choices: list[_Choice] | None = None
    usage: TokenCounts | None = None
    error: Any = None
    object: Any = None


_decode = msgspec.json.Decoder(_Reply).decode


class CompletionsDialect:
    """Chunks of a stream and whole replies alike."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def read(self, payload: bytes, at: int) -> None:
        reply = self._reply
        try:
            read = _decode(payload)
        except UNDECODABLE as error:
            reply.unreadable(f"not a completion: {error}", at)
            return
        for choice in read.choices or ():
            if not choice.index:
                if choice.text:
                    reply.content(choice.text, at)
                if choice.finish_reason:
                    reply.end(choice.finish_reason, at, finished=choice.finish_reason in FINISHED)
        if not read.choices and (read.error or read.object == "error"):
            reply.end("error", at, finished=False)
        if read.usage is not None and (reply.ended or not read.choices):
            reply.usage(read.usage.told())
