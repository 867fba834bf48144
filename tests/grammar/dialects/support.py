"""What the tests of the dialects share: streams in, merged events out; and the recordings of a real SGLang."""

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from paste_proxy.grammar.dialects import Api, read_reply, stream_reader
from paste_proxy.grammar.events import (
    ArgumentGrown,
    ArgumentSealed,
    ArgumentText,
    CallSealed,
    ContentText,
    GrammarEvent,
    Malformed,
    ReasoningText,
)

RECORDINGS = Path(__file__).parent / "recordings"
"""Bodies that SGLang 0.5.23 sent, with a random model: `NAME.sse` streams, `NAME.json` whole replies."""

API_OF = {
    "chat": Api.CHAT,
    "responses": Api.RESPONSES,
    "messages": Api.MESSAGES,
    "completions": Api.COMPLETIONS,
    "generate": Api.GENERATE,
}
DONE = b"data: [DONE]\n\n"


def event(payload: Any, name: str = "") -> bytes:
    """One event of a stream; `name` is its event line."""
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(payload)}\n\n".encode()


def recording(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes()


def recorded_events(name: str) -> list[Any]:
    """The payloads of a recorded stream, less `[DONE]`."""
    lines = recording(name).split(b"\n")
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


def read(api: Api, *pieces: bytes) -> list[GrammarEvent]:
    """What a stream says that came in these pieces and then ended."""
    reader = stream_reader(api)
    events: list[GrammarEvent] = []
    for piece in pieces:
        events += reader.feed(piece)
    return told([*events, *reader.end()])


def read_whole(api: Api, reply: Any) -> list[GrammarEvent]:
    return told(read_reply(api, reply if isinstance(reply, bytes) else json.dumps(reply).encode()))


def told(events: Iterable[GrammarEvent]) -> list[GrammarEvent]:
    """Only what a dialect decodes, without what is read out of arguments; neighbouring texts put together."""
    out: list[GrammarEvent] = []
    for one in events:
        last = out[-1] if out else None
        if isinstance(one, ContentText) and isinstance(last, ContentText):
            out[-1] = ContentText(last.text + one.text)
        elif isinstance(one, ReasoningText) and isinstance(last, ReasoningText):
            out[-1] = ReasoningText(last.text + one.text)
        elif isinstance(one, ArgumentText) and isinstance(last, ArgumentText) and one.ordinal == last.ordinal:
            out[-1] = ArgumentText(one.ordinal, last.text + one.text)
        elif isinstance(one, CallSealed):
            out.append(msgspec.structs.replace(one, canonical=""))
        elif not isinstance(one, ArgumentGrown | ArgumentSealed):
            out.append(one)
    return out


def sealed(events: Iterable[GrammarEvent]) -> list[tuple[str, str, str]]:
    return [(one.call_id, one.name, one.arguments) for one in events if isinstance(one, CallSealed)]


def faults(events: Iterable[GrammarEvent]) -> list[str]:
    return [one.why for one in events if isinstance(one, Malformed)]


def text(events: Iterable[GrammarEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, ContentText))


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces, cut at these places (modulo its length)."""
    at = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(at)]
