"""What of a chat request decides whether its reply is rewritten, and what must be added to it for that."""

from typing import Any

import msgspec


class RequestWish(msgspec.Struct, frozen=True, gc=False):
    """Fields of the body; a wrong type makes nobody's request fail: the engine says what it thinks of it."""

    stream: Any = None
    tools: Any = None
    tool_choice: Any = None
    logprobs: Any = None
    top_logprobs: Any = None
    n: Any = None
    separate_reasoning: Any = None
    skip_special_tokens: Any = None

    @property
    def may_call(self) -> bool:
        """The model may call tools in its own format. With `none` SGLang 0.5.23 doesn't tell it of any; with
        `required` or a named one it constrains the reply to a plain JSON array where it has no parser."""
        return isinstance(self.tools, list) and bool(self.tools) and self.tool_choice in (None, "auto")

    @property
    def one_reply(self) -> bool:
        return self.n in (None, 1)

    @property
    def reasoning_apart(self) -> bool:
        """Unless the client wants it in the content."""
        return self.separate_reasoning in (None, True)

    @property
    def asks_logprobs(self) -> bool:
        """What an engine may take for true is the client's own wish: nothing of it is taken out."""
        return self.logprobs not in (None, False)


_decode = msgspec.json.Decoder(RequestWish).decode


def read_wish(body: bytes) -> RequestWish:
    """Of a body that was read as a chat request."""
    return _decode(body)


def with_field(body: bytes, name: str, value: bytes) -> bytes:
    """`body`, a JSON object with at least one member, with one more at its end: of two that are equal, the
    last counts (Python's parsers, which SGLang's are). Everything before it stays as it is."""
    return b'%b,"%b":%b}' % (body.rstrip(b" \t\r\n")[:-1], name.encode(), value)
