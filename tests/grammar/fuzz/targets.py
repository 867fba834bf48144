"""What is fuzzed: each target reads bytes that may be anything, and raises where something does not hold.

What has to hold for all of them: nothing raises but what is documented, and the pieces give the same as the
whole.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import Any, NamedTuple, TypeAlias, TypeVar

import orjson

from paste_proxy.grammar.dialects import Api, read_reply, stream_reader
from paste_proxy.grammar.events import ContentText, GrammarEvent
from paste_proxy.grammar.formats import (
    Format,
    ReasoningFormat,
    TextReader,
    find,
    find_reasoning,
    names,
    reasoning_names,
)
from paste_proxy.grammar.json_stream import Grown, JsonStream
from paste_proxy.grammar.requests import RequestTool, UnreadableRequestError, parse_request
from paste_proxy.grammar.sse import SseDecoder
from tests.grammar.formats.fixture import TOOLS
from tests.grammar.fuzz.same import Whole, whole


class Input(NamedTuple):
    """Bytes to read, the lengths of the pieces to cut them into, and a number that says how to read them."""

    data: bytes
    lengths: list[int]
    option: int


Target: TypeAlias = Callable[[Input], None]


def unpacked(data: bytes) -> Input:
    """A fuzzer's input: how many lengths of pieces and the option, the lengths, and the bytes to read."""
    first = data[0] if data else 0
    count = first % 8
    return Input(data[1 + count :], [length + 1 for length in data[1 : 1 + count]], first // 8)


Cut = TypeVar("Cut", bytes, str)


def pieces(data: Cut, lengths: Sequence[int]) -> Iterator[Cut]:
    """`data` in pieces of these lengths, in turn; one byte or character each without any."""
    at = 0
    for length in cycle(lengths or (1,)):
        if at >= len(data):
            return
        yield data[at : at + length]
        at += length


def sse(given: Input) -> None:
    """Framing: the same payloads at the same places, or the same refusal."""
    assert _framed([given.data]) == _framed(pieces(given.data, given.lengths))


def _framed(parts: Iterable[bytes]) -> tuple[list[tuple[int, bytes]], str]:
    decoder = SseDecoder(limit=64)
    return [event for part in parts for event in decoder.feed(part)], decoder.fault


def dialect(api: Api) -> Target:
    def target(given: Input) -> None:
        """A reply that is streamed, and the same bytes as one that is not."""
        pieced = _streamed(api, pieces(given.data, given.lengths))
        assert whole(_streamed(api, [given.data])) == whole(pieced)
        read_reply(api, given.data)

    return target


def _streamed(api: Api, parts: Iterable[bytes]) -> list[GrammarEvent]:
    reader = stream_reader(api)
    events: list[GrammarEvent] = []
    for part in parts:
        events += reader.feed(part)
    return [*events, *reader.end()]


def json_stream(given: Input) -> None:
    """Pieces of characters give the same values, and what is complete is what a whole decoder reads."""
    text = given.data.decode("utf-8", "replace")
    one, other = _valued([text]), _valued(pieces(text, given.lengths))
    assert one == other
    complete, value, stopped = one[0], one[1], one[4]
    if complete:
        assert json.loads(text[:stopped]) == value
    try:
        known = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    if isinstance(known, dict) and not one[2]:
        assert complete


def _valued(parts: Iterable[str]) -> tuple[bool, Any, str, list[Any], int]:
    stream = JsonStream()
    stopped = 0
    for part in parts:
        stopped += stream.feed(part)
        if stream.complete or stream.fault:
            break
    return stream.complete, stream.value, stream.fault, _grown_merged(stream.found), stopped


def _grown_merged(found: Sequence[Any]) -> list[Any]:
    told: list[Any] = []
    for news in found:
        last = told[-1] if told else None
        if isinstance(news, Grown) and isinstance(last, Grown) and news.path == last.path:
            told[-1] = Grown(news.path, last.text + news.text)
        else:
            told.append(news)
    return told


def text_format(calls: Format | None, reasoning: ReasoningFormat | None = None) -> Target:
    def target(given: Input) -> None:
        """Text of a model, where tools are known or none are, for clients that get calls apart or as text.
        Bytes that are no text become characters that are none."""
        text = given.data.decode("utf-8", "surrogateescape")
        tools = TOOLS if given.option % 2 else ()
        in_text = bool(given.option & 2) or (calls is not None and calls.in_text)
        once = _read([text], calls, reasoning, tools, in_text=in_text)
        assert once == _read(pieces(text, given.lengths), calls, reasoning, tools, in_text=in_text)
        assert not in_text or once[0].content == text

    return target


def _read(
    parts: Iterable[str],
    calls: Format | None,
    reasoning: ReasoningFormat | None,
    tools: Sequence[RequestTool],
    *,
    in_text: bool,
) -> tuple[Whole, int]:
    """What was told, and how far, before the end."""
    reader = TextReader(calls, reasoning, tools, in_text=in_text)
    events: list[GrammarEvent] = []
    for part in parts:
        reader.feed(part, 0, events)
    settled = reader.settled
    reader.end(0, events, finished=True)
    assert ContentText("") not in events
    return whole(events, in_text=in_text), settled


def request(api: Api) -> Target:
    def target(given: Input) -> None:
        """A body that a client sent."""
        try:
            parse_request(api, given.data)
        except UnreadableRequestError:
            return

    return target


TARGETS: dict[str, Target] = {
    "sse": sse,
    "json": json_stream,
    **{f"dialect:{api.name.lower()}": dialect(api) for api in Api},
    **{f"request:{api.name.lower()}": request(api) for api in Api},
    **{f"format:{name}": text_format(find(name)) for name in names()},
    **{f"reasoning:{name}": text_format(find("hermes"), find_reasoning(name)) for name in reasoning_names()},
}
