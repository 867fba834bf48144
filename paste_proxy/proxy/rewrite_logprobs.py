"""`raw_tap: logprobs`: reads the text of every token from the log probabilities in a chat stream, and takes out
of the stream what is in it only because we asked for them (SGLang 0.5.23, `serving_chat.py`).

Where a parser is active, SGLang puts the log probabilities of a step on that step's reasoning or content chunk,
or else, after the step's tool-call chunks, on a chunk of their own whose delta says nothing. So a chunk goes on
without them, byte for byte as it would have come, and a chunk that has nothing else does not go on at all.
"""

import codecs

import msgspec


class _Token(msgspec.Struct, gc=False):
    token: str = ""
    bytes: list[int] | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[_Token] | None = None


class _Delta(msgspec.Struct, gc=False):
    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    hidden_states: msgspec.Raw = msgspec.Raw(b"null")

    def empty(self) -> bool:
        said = self.role or self.content or self.reasoning_content or self.reasoning or self.tool_calls
        return not said and bytes(self.hidden_states) == b"null"


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    logprobs: msgspec.Raw = msgspec.Raw(b"null")
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_logprobs = msgspec.json.Decoder(_Logprobs | None).decode
_KEY = b'"logprobs":'
# Inside a JSON string a quote has a backslash before it, so these bytes are always a key with its value.
_MARK = b'"logprobs":{'


class TokenText:
    """The text of tokens as it grows. A character whose bytes are in several tokens comes with the last."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def add(self, tokens: list[_Token]) -> str:
        """`bytes` where the engine knows them: the display text of part of a character is U+FFFD."""
        return "".join(
            [self._decode(bytes(one.bytes) if one.bytes is not None else one.token.encode()) for one in tokens]
        )


class LogprobStripper:
    """A `RewriteEvent` that collects the raw text behind the events, until it is taken."""

    def __init__(self, *, strip: bool = True) -> None:
        """`strip` is false where the client asked for the log probabilities itself: then all stays."""
        self._strip = strip
        self._token_text = TokenText()
        self._text = ""
        self.tokens = 0

    def take(self) -> str:
        text, self._text = self._text, ""
        return text

    def __call__(self, payload: bytes) -> bytes | None:
        if _MARK not in payload:
            return None
        choices = _decode(payload).choices
        if len(choices) != 1:
            return None
        choice = choices[0]
        self._read(choice.logprobs)
        if not self._strip:
            return None
        if choice.finish_reason is None and (choice.delta is None or choice.delta.empty()):
            return b""
        before, _, after = payload.partition(_KEY + bytes(choice.logprobs))
        return b"data: " + before + _KEY + b"null" + after + b"\n\n"

    def _read(self, raw: msgspec.Raw) -> None:
        logprobs = _decode_logprobs(raw)
        if logprobs is not None and logprobs.content:
            self.tokens += len(logprobs.content)
            self._text += self._token_text.add(logprobs.content)
