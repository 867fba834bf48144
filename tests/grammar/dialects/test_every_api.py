"""What holds for every API: a reply gives the same events streamed, cut anywhere, or whole; nothing raises."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.dialects import Api, read_reply
from paste_proxy.grammar.events import (
    CallOpened,
    CallSealed,
    GrammarEvent,
    Malformed,
    ReasoningText,
    TurnEnded,
    Usage,
    UsageReported,
)
from tests.grammar.dialects.support import (
    API_OF,
    DONE,
    RECORDINGS,
    cut,
    event,
    faults,
    read,
    read_whole,
    recorded_events,
    recording,
    sealed,
    text,
)
from tests.grammar.dialects.written import WRITERS, Call, Said, Words, Written


def in_pieces(whole: str, places: Iterable[int]) -> list[str]:
    at = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [piece for start, end in itertools.pairwise(at) if (piece := whole[start:end])]


PLACES = st.lists(st.integers(0, 10_000), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(st.text(max_size=3), VALUES, min_size=1, max_size=3)
TEXTS = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=3)
WORDS = st.builds(Words, st.sampled_from(["reasoning", "content"]), TEXTS)


def calls(call_id: str) -> st.SearchStrategy[Call]:
    written = st.builds(
        lambda value, ascii_only, places: in_pieces(json.dumps(value, ensure_ascii=ascii_only), places),
        ARGUMENTS,
        st.booleans(),
        PLACES,
    )
    return st.builds(Call, st.just(call_id), st.sampled_from(["look", "now"]), written | st.just([]))


@st.composite
def replies(draw: st.DrawFn) -> Said:
    words = draw(st.lists(WORDS, max_size=3))
    made = [draw(calls(f"call_{number}")) for number in range(draw(st.integers(0, 3)))]
    items: list[Words | Call] = draw(st.permutations([*words, *made]))
    cached, fresh, reply = (draw(st.integers(0, 9)) for _ in range(3))
    return Said(items, draw(st.booleans()), (cached + fresh, reply, cached))


every_api = pytest.mark.parametrize(("api", "write"), WRITERS.values(), ids=WRITERS)


def placeless(events: Iterable[GrammarEvent]) -> list[GrammarEvent]:
    """Without the bytes at which something was wrong: they differ between a stream and a whole reply."""
    return [Malformed(one.why, 0) if isinstance(one, Malformed) else one for one in events]


@every_api
@given(said=replies(), places=PLACES)
def test_a_reply_says_the_same_streamed_and_whole(
    api: Api, write: Callable[[Said], Written], said: Said, places: list[int]
) -> None:
    stream, whole = write(said)
    events = read(api, *cut(stream, places))
    assert placeless(events) == placeless(read_whole(api, whole))
    check_told(api, said, events)


def check_told(api: Api, said: Said, events: list[GrammarEvent]) -> None:
    """Everything that was said was told, and nothing else."""
    assert text(events) == joined(said, "content")
    ends = [one for one in events if isinstance(one, TurnEnded)]
    assert len(ends) == 1
    if api in (Api.COMPLETIONS, Api.GENERATE):
        assert not any(isinstance(one, CallOpened | ReasoningText | Malformed) for one in events)
        return
    assert "".join(one.text for one in events if isinstance(one, ReasoningText)) == joined(said, "reasoning")
    assert events[-1] == UsageReported(Usage(*said.usage))
    made = [item for item in said.items if isinstance(item, Call)]
    assert [one.call_id for one in events if isinstance(one, CallOpened)] == [call.call_id for call in made]
    lost = [] if said.finished else [call for call in made if not call.pieces and may_be_cut(api, said, call)]
    assert sorted(sealed(events)) == sorted(
        (call.call_id, call.name, call.arguments or "{}") for call in made if call not in lost
    )
    assert faults(events) == [f"tool call {call.call_id}: arguments are incomplete" for call in lost]


def joined(said: Said, kind: str) -> str:
    return "".join(item.text for item in said.items if isinstance(item, Words) and item.kind == kind)


def may_be_cut(api: Api, said: Said, call: Call) -> bool:
    """Whether a call without arguments may have lost them: in the chat API nothing says that a call is over."""
    return api is Api.CHAT or said.items[-1] is call


@every_api
@given(said=replies())
def test_a_stream_one_byte_at_a_time(api: Api, write: Callable[[Said], Written], said: Said) -> None:
    stream = write(said).stream
    assert read(api, *(bytes([byte]) for byte in stream)) == read(api, stream)


STREAMS = sorted(path.name for path in RECORDINGS.glob("*.sse"))


@pytest.mark.parametrize("name", STREAMS)
@given(places=st.lists(st.integers(0, 100_000), max_size=12))
def test_a_recorded_stream_cut_anywhere(name: str, places: list[int]) -> None:
    api = API_OF[name.partition("_")[0]]
    assert read(api, *cut(recording(name), places)) == read(api, recording(name))


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "a", "{}", '{"a":', "}", "stop", "completed", "tool_use", "function_call", 1.5]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value inside."""
    for key, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*path, key)
        yield from places_in(inner, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def broken_streams(draw: st.DrawFn, recorded: list[Any]) -> list[bytes]:
    """Recorded events in any order, some with something else in one place, and things that are no events."""
    parts: list[bytes] = []
    for payload in draw(st.lists(st.sampled_from(recorded), max_size=6)):
        if draw(st.booleans()):
            path = draw(st.sampled_from(list(places_in(payload))))
            payload = replaced(payload, path, draw(JUNK))
        parts.append(event(payload))
        parts.append(
            draw(st.sampled_from([b"", b"", b"", b"data: {\n\n", b"data: \xff\n\n", b"\r", b": x\n", DONE]))
        )
    return [*parts, draw(st.binary(max_size=8))]


RECORDED = {
    api: [
        payload
        for name in STREAMS
        if API_OF[name.partition("_")[0]] is api
        for payload in recorded_events(name)
    ]
    for api in Api
}


@pytest.mark.parametrize("api", Api)
@given(data=st.data(), places=PLACES)
def test_whatever_comes_nothing_raises_and_no_cut_matters(
    api: Api, data: st.DataObject, places: list[int]
) -> None:
    stream = b"".join(data.draw(broken_streams(RECORDED[api])))
    events = read(api, stream)
    assert read(api, *cut(stream, places)) == events
    ordinals = [one.ordinal for one in events if isinstance(one, CallSealed)]
    assert len(ordinals) == len(set(ordinals))
    for one in events:
        if isinstance(one, CallSealed):
            assert isinstance(json.loads(one.arguments), dict)


@pytest.mark.parametrize("api", Api)
@given(data=st.data())
def test_whole_replies_of_any_kind_never_raise(api: Api, data: st.DataObject) -> None:
    payloads = st.sampled_from(RECORDED[api])
    changed = payloads.flatmap(
        lambda payload: st.sampled_from(list(places_in(payload))).flatmap(
            lambda path: JUNK.map(lambda new: replaced(payload, path, new))
        )
    )
    body = data.draw((changed | JUNK).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
    assert all(isinstance(one, GrammarEvent) for one in read_reply(api, body))
