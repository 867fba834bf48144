"""The reply reader: whatever the cuts between reads, the same head and body; ambiguity is an error."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.proxy.http1 import (
    HEAD_LIMIT,
    LINE_LIMIT,
    TRAILER_LIMIT,
    BadReplyError,
    Body,
    ChunkedBody,
    OpenBody,
    SizedBody,
    body_of,
    read_head,
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({min(at, len(data)) for at in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(marks)]


CUTS = st.lists(st.integers(0, 400))


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6), cuts=CUTS, extras=st.booleans())
def test_a_chunked_body_reads_the_same_however_it_is_cut(
    chunks: list[bytes], cuts: list[int], *, extras: bool
) -> None:
    extension, trailer = (b" ;a=1", b"X-T: 1\r\nY: 2\r\n") if extras else (b"", b"")
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in chunks)
    wire += b"0\r\n" + trailer + b"\r\n"
    body = ChunkedBody()
    parts = cut(wire, cuts)
    read = b""
    for part in parts:
        assert not body.ended
        read += body.feed(part)
    assert (read, body.ended, body.surplus) == (b"".join(chunks), True, b"")


@given(wire=st.binary(max_size=60), cuts=CUTS)
def test_a_chunked_body_of_any_bytes_is_read_or_refused_alike(wire: bytes, cuts: list[int]) -> None:
    def outcome(parts: list[bytes]) -> tuple[bytes, bool] | str:
        body = ChunkedBody()
        try:
            return b"".join(body.feed(part) for part in parts if not body.ended), body.ended
        except BadReplyError:
            return "refused"

    whole, split = outcome([wire]), outcome(cut(wire, cuts))
    assert whole == split


@pytest.mark.parametrize(
    "wire",
    [
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"1_0\r\n",
        b"\r\n",
        b";x\r\n",
        b"5\r\nhelloXX",
        b"2\r\nhello\r\n",
        b"5\nhello\n\r\n",
        b"fffffffffffffffff\r\n",
        b"5" + b";" * LINE_LIMIT,
        b"0\r\n" + (b"a" * 1000 + b"\r\n") * (TRAILER_LIMIT // 1000 + 1),
    ],
)
def test_broken_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(BadReplyError):
        ChunkedBody().feed(wire)


def test_what_follows_a_body_is_kept_apart() -> None:
    cases: list[tuple[Body, bytes]] = [
        (ChunkedBody(), b"1\r\na\r\n0\r\n\r\nHTTP"),
        (SizedBody(1), b"aHTTP"),
    ]
    for body, wire in cases:
        assert (body.feed(wire), body.ended, body.surplus) == (b"a", True, b"HTTP")


@given(
    fields=st.lists(
        st.tuples(
            st.from_regex(rb"\AX-[!#$%&'*+.^_`|~0-9A-Za-z-]{0,8}\Z"),
            st.from_regex(rb"\A[!-~\x80-\xff]([ \t!-~\x80-\xff]{0,20}[!-~\x80-\xff])?\Z"),
        ),
        max_size=8,
    ),
    cuts=CUTS,
)
def test_a_head_keeps_names_values_order_and_duplicates(
    fields: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    lines = b"".join(name + b": \t" + value + b" \r\n" for name, value in fields)
    wire = b"HTTP/1.1 299 As It Is\r\n" + lines + b"\r\nbody"
    held = b""
    for part in cut(wire, cuts):
        held += part
        if read := read_head(held, "GET"):
            break
    assert read is not None
    head, rest = read
    assert (head.status, head.reason, head.fields) == (299, b"As It Is", tuple(fields))
    assert b"body".startswith(rest)


@pytest.mark.parametrize(
    "wire",
    [
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : space before colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT + b"\r\n\r\n",
    ],
)
def test_ambiguous_heads_are_refused(wire: bytes) -> None:
    with pytest.raises(BadReplyError):
        read_head(wire, "GET")


def test_an_endless_head_is_refused() -> None:
    with pytest.raises(BadReplyError):
        read_head(b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT, "GET")


def test_interim_replies_are_skipped() -> None:
    wire = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nb"
    read = read_head(wire, "GET")
    assert read is not None
    assert (read[0].status, read[1]) == (200, b"b")
    assert read_head(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", "GET") is None


@pytest.mark.parametrize(
    ("method", "lines", "kind"),
    [
        ("GET", b"200 OK\r\nContent-Length: 3", SizedBody),
        ("GET", b"200 OK\r\nContent-Length: 3, 3", SizedBody),
        ("GET", b"200 OK\r\nTransfer-Encoding: Chunked", ChunkedBody),
        ("GET", b"200 OK", OpenBody),
        ("GET", b"101 Switching Protocols", OpenBody),
    ],
)
def test_framing(method: str, lines: bytes, kind: type[Body]) -> None:
    read = read_head(b"HTTP/1.1 " + lines + b"\r\n\r\n", method)
    assert read is not None
    body = body_of(read[0])
    assert isinstance(body, kind)
    assert not body.ended


@pytest.mark.parametrize(
    ("method", "lines"),
    [
        ("HEAD", b"200 OK\r\nContent-Length: 3"),
        ("HEAD", b"200 OK\r\nTransfer-Encoding: chunked"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified\r\nContent-Length: 3"),
        ("GET", b"200 OK\r\nContent-Length: 0"),
    ],
)
def test_replies_without_a_body(method: str, lines: bytes) -> None:
    read = read_head(b"HTTP/1.1 " + lines + b"\r\n\r\n", method)
    assert read is not None
    assert body_of(read[0]).ended


@pytest.mark.parametrize(
    ("wire", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", True),
    ],
)
def test_keep_alive(wire: bytes, *, kept: bool) -> None:
    read = read_head(wire, "GET")
    assert read is not None
    assert read[0].keep_alive is kept
