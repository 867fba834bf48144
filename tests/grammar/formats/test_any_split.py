"""However a reply is cut, in characters or in bytes, its events are the same: for every format."""

import itertools
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.grammar.dialects import Api, stream_reader
from paste_proxy.grammar.events import CallSealed, ContentText, GrammarEvent, Malformed
from paste_proxy.grammar.formats import TextReader, find, names
from paste_proxy.grammar.requests import RequestTool
from tests.conformance.parsers.writers import WRITERS, Writer
from tests.grammar.formats.fixture import TOOLS, fixture, read
from tests.grammar.fuzz.same import Whole, whole

SPLITS = 200
"""Of each text in several pieces: with those in two, thousands for every format."""

KEYS = {"text": "string", "number": "number", "flag": "boolean", "list": "array", "object": "object"}
CHUNK = 60
"""Characters of one delta of a stream."""
ALONE = ("llama3", "pythonic", "gpt-oss")
"""Formats in which other text is marked too, or is no call where other text is."""
Call: TypeAlias = tuple[str, dict[str, Any]]
OFFERED = [
    RequestTool(name, {"properties": {key: {"type": type_} for key, type_ in KEYS.items()}})
    for name in ("read", "mcp__files__read")
]
_TEXT = st.text() | st.lists(
    st.sampled_from(
        ["a", " ", "\n", '"', "'", "\\", "{", "}", "[", "]", "(", ")", "<", ">", "</", ",", "=", "|>"]
    ),
    max_size=12,
).map("".join)
_NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
_ANY = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "text": _TEXT,
        "number": _NUMBERS,
        "flag": st.booleans(),
        "list": st.lists(_ANY, max_size=3),
        "object": st.dictionaries(_TEXT, _ANY, max_size=3),
    },
)
CALLS = st.lists(st.tuples(st.sampled_from([tool.name for tool in OFFERED]), ARGUMENTS), min_size=1, max_size=3)
PROSE = st.lists(
    st.sampled_from(["Look", " ", "\n", "<", "</", "{", "[", "|", "é", "日", "`"]), max_size=8
).map("".join)


def splits(text: str, count: int = SPLITS) -> Iterator[list[str]]:
    """In two at every place, in single characters, and in random pieces."""
    yield from ([text[:at], text[at:]] for at in range(1, len(text)))
    yield list(text)
    chance = random.Random(text)
    for _ in range(count):
        places = sorted(chance.sample(range(len(text) + 1), min(len(text), chance.randint(2, 12))))
        yield [text[start:end] for start, end in itertools.pairwise([0, *places, len(text)])]


@pytest.mark.parametrize("tools", [TOOLS, ()], ids=["tools", "no tools"])
@pytest.mark.parametrize("name", names())
def test_texts_of_the_fixtures(name: str, tools: Sequence[RequestTool]) -> None:
    known = fixture(name)
    in_text = find(name).in_text
    for text in [text.plain for text in known.texts + known.ambiguous] + known.no_calls:
        once = whole(read(name, [text], tools), in_text=in_text)
        for pieces in splits(text):
            assert whole(read(name, pieces, tools), in_text=in_text) == once


@pytest.mark.parametrize("writer", WRITERS, ids=[writer.name for writer in WRITERS])
@settings(max_examples=50, deadline=None)
@given(
    calls=CALLS,
    before=PROSE,
    after=PROSE,
    escape=st.booleans(),
    cuts=st.lists(st.integers(0, 2000), max_size=10),
)
def test_calls_of_any_arguments(
    writer: Writer, calls: list[Call], before: str, after: str, escape: bool, cuts: list[int]
) -> None:
    text = writer.write([(name, json.dumps(arguments, ensure_ascii=escape)) for name, arguments in calls])
    if writer.name in ALONE:
        before = after = ""
    else:
        text = f"{before}\n{text}{after}"
    events = read(writer.sglang or writer.vllm, [text], OFFERED)
    sealed = [one for one in events if isinstance(one, CallSealed)]
    assert [(one.name, json.loads(one.canonical)) for one in sealed] == calls
    assert [one for one in events if isinstance(one, Malformed)] == []
    content = "".join(one.text for one in events if isinstance(one, ContentText))
    assert content.split() == f"{before}\n{after}".split()
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for pieces in ([text[start:end] for start, end in itertools.pairwise(places)], list(text)):
        assert whole(read(writer.sglang or writer.vllm, pieces, OFFERED)) == whole(events)


@pytest.mark.parametrize("name", names())
def test_bytes_of_a_stream(name: str) -> None:
    """Characters of several bytes are cut in half here, and so is everything else."""
    text = "é日😀 " + fixture(name).texts[0].plain
    stream = b"".join(
        chat_event({"content": text[at : at + CHUNK]}) for at in range(0, len(text), CHUNK)
    ) + chat_event({}, "stop")
    once = chat(name, [stream])
    assert any(isinstance(event, CallSealed) for event in once.events)
    for at in range(1, len(stream)):
        assert chat(name, [stream[:at], stream[at:]]) == once
    assert chat(name, [bytes([byte]) for byte in stream]) == once


def chat_event(delta: dict[str, str], reason: str | None = None) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"delta": delta, "finish_reason": reason}]}) + b"\n\n"


def chat(name: str, pieces: Sequence[bytes]) -> Whole:
    reader = stream_reader(Api.CHAT, TextReader(find(name), tools=TOOLS))
    events: list[GrammarEvent] = []
    for piece in pieces:
        events += reader.feed(piece)
    return whole([*events, *reader.end()], in_text=find(name).in_text)
