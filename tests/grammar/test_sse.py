import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.grammar.sse import Event, SseDecoder

LINES = st.sampled_from(
    [
        *(
            b"data: {}",
            b"data:x",
            b"data",
            b"data:  two",
            b"data: \xc3\xa9",
            b"data: [DONE]",
            b"\xef\xbb\xbfdata: bom",
        ),
        *(b": ping", b"event: a", b"id: 7", b"retry: 1", b"", b"dat", b"datax: 1"),
    ]
)
STREAMS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])), max_size=12).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def naive(stream: bytes) -> list[bytes]:
    """The standard's algorithm, word by word, over the whole stream."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events, data = [], b""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append(data[:-1])
            data = b""
        elif line.split(b":", 1)[0] == b"data":
            value = line.partition(b":")[2]
            data += value.removeprefix(b" ") + b"\n"
    return events


def cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(stream) + 1) for place in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(at)]


def decode(pieces: list[bytes]) -> list[Event]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert decoder.at == sum(len(piece) for piece in pieces)
    return events


def payloads(events: list[Event]) -> list[bytes]:
    return [payload for _, payload in events]


@given(STREAMS, st.lists(st.integers(0, 500), max_size=8))
def test_any_split_reads_like_the_standard(stream: bytes, cuts: list[int]) -> None:
    events = decode([stream])
    assert payloads(events) == naive(stream)
    assert decode(cut(stream, cuts)) == events
    assert decode([bytes([byte]) for byte in stream]) == events
    for start, payload in events:
        assert stream[start:].removeprefix(b"\xef\xbb\xbf").startswith(b"data")
        assert payload.split(b"\n")[0] in stream[start:]


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_junk_never_raises(pieces: list[bytes]) -> None:
    assert payloads(decode(pieces)) == naive(b"".join(pieces))


def test_a_whole_event_takes_the_short_way_and_a_comment_does_not_disturb() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b'data: {"a":1}\n\n') == [(0, b'{"a":1}')]
    assert decoder.feed(b": keep-alive\n\n") == []
    assert decoder.feed(b"data: 2\r\n\r") == [(29, b"2")]
    assert decoder.feed(b"\ndata: 3\n\n") == [(40, b"3")]
    assert decoder.feed(b"event: a\ndata: 4\n\n") == [(58, b"4")]


@given(st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])).map(b"".join), min_size=1, max_size=3))
def test_what_is_fed_event_by_event_reads_like_the_standard(lines: list[bytes]) -> None:
    event = b"".join(lines) + b"\n"
    assert payloads(decode([event] * 3)) == naive(event * 3)


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 100, b"x" * 101, b"data:\n" * 101, b"data: y\n" * 60])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_over_the_limit_is_refused(piece: bytes, size: int) -> None:
    decoder = SseDecoder(limit=100)
    piece = b"data: a\n\n" + piece + b"\n\ndata: b\n\n"
    pieces = [piece[start : start + size] for start in range(0, len(piece), size)]
    assert payloads([event for one in pieces for event in decoder.feed(one)]) == [b"a"]
    assert decoder.fault == "an event longer than 100 bytes"
    assert decoder.feed(b"data: c\n\n") == []


@given(
    st.lists(st.sampled_from([b"data: ", b"data:", b": ", b"xxxx", b"y", b"\n", b"\n\n", b"\r\n"])).map(
        b"".join
    ),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_the_limit_is_the_same_for_every_cut(stream: bytes, cuts: list[int]) -> None:
    def limited(pieces: list[bytes]) -> tuple[list[Event], str]:
        decoder = SseDecoder(limit=12)
        return [event for piece in pieces for event in decoder.feed(piece)], decoder.fault

    assert limited(cut(stream, cuts)) == limited([stream])
    assert limited([bytes([byte]) for byte in stream]) == limited([stream])


def test_a_carriage_return_ends_a_line_in_a_whole_event_too() -> None:
    assert SseDecoder().feed(b"data: a\rdata: b\n\n") == [(0, b"a\nb")]
    assert SseDecoder().feed(b"data: a\r\n\n") == [(0, b"a")]


def test_comments_do_not_count_towards_the_limit() -> None:
    decoder = SseDecoder(limit=100)
    for _ in range(100):
        assert decoder.feed(b": ping\n") == []
    assert decoder.feed(b"data: x\n\n") == [(700, b"x")]
