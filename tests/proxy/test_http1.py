"""The reply reader: whatever the cuts between reads, the same head and body; ambiguity is an error."""

import gc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.proxy.http1 import (
    FRAMING_LIMIT,
    HEAD_LIMIT,
    INTERIM_LIMIT,
    BadReplyError,
    Body,
    ReplyHead,
    read_head,
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({min(at, len(data)) for at in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(marks)]


CUTS = st.lists(st.integers(0, 400))


def read(wire: bytes, method: str = "GET") -> tuple[ReplyHead, Body, bytes]:
    got = read_head(wire, method)
    assert got is not None
    return got


def body_of(fields: bytes, method: str = "GET") -> Body:
    return read(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n", method)[1]


def chunked_body() -> Body:
    return body_of(b"Transfer-Encoding: chunked")


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=6), cuts=CUTS, extras=st.booleans())
def test_a_chunked_body_reads_the_same_however_it_is_cut(
    chunks: list[bytes], cuts: list[int], *, extras: bool
) -> None:
    extension, trailer = (b" ;a=1", b"X-T: 1\r\nY: 2\r\n") if extras else (b"", b"")
    wire = b"".join(b"%X%b\r\n%b\r\n" % (len(part), extension, part) for part in chunks)
    wire += b"0\r\n" + trailer + b"\r\n"
    body = chunked_body()
    got = b""
    for part in cut(wire, cuts):
        assert not body.ended
        got += body.feed(part)
    assert (got, body.ended, body.surplus) == (b"".join(chunks), True, False)


@given(wire=st.binary(max_size=60), cuts=CUTS)
def test_a_chunked_body_of_any_bytes_is_read_or_refused_alike(wire: bytes, cuts: list[int]) -> None:
    def outcome(parts: list[bytes]) -> tuple[bytes, bool] | str:
        body = chunked_body()
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
        b"5;" + b"a" * FRAMING_LIMIT,
        b"0\r\n" + b"A: b\r\n" * (FRAMING_LIMIT // 6 + 1),
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_broken_chunks_are_refused(wire: bytes) -> None:
    with pytest.raises(BadReplyError):
        chunked_body().feed(wire)


def test_an_endless_trailer_is_refused_however_slowly_it_comes() -> None:
    body = chunked_body()
    body.feed(b"1\r\na\r\n0\r\nA: ")
    for _ in range(FRAMING_LIMIT // 1000):
        body.feed(b"b" * 1000)
    with pytest.raises(BadReplyError):
        body.feed(b"b" * 1000)


@pytest.mark.parametrize("surplus", [b"X", b"HTTP", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nxyz"])
@pytest.mark.parametrize("fields", [b"Content-Length: 1", b"Content-Length: 1\r\nConnection: close"])
def test_what_follows_a_body_is_kept_apart(fields: bytes, surplus: bytes) -> None:
    cases = [
        (chunked_body(), b"1\r\na\r\n0\r\n\r\n"),
        (body_of(fields), b"a"),
    ]
    for body, wire in cases:
        assert (body.feed(wire + surplus), body.ended, body.surplus) == (b"a", True, True)


@pytest.mark.parametrize(
    ("method", "fields"), [("HEAD", b"Content-Length: 3"), ("HEAD", b"A: b"), ("GET", b"Content-Length: 0")]
)
def test_what_comes_where_no_body_is_due_is_kept_apart(method: str, fields: bytes) -> None:
    body = body_of(fields, method)
    assert (body.feed(b"abc"), body.ended, body.surplus) == (b"", True, True)


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
        if got := read_head(held, "GET"):
            break
    assert got is not None
    head, _, rest = got
    assert (head.status, head.reason, head.fields) == (299, b"As It Is", tuple(fields))
    assert b"body".startswith(rest)


@pytest.mark.parametrize(
    "wire",
    [
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        b"HTTP/1.1 200 OK\n\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : space before colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nB: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT + b"\r\n\r\n",
    ],
)
def test_ambiguous_heads_are_refused(wire: bytes) -> None:
    with pytest.raises(BadReplyError):
        read_head(wire, "GET")


def test_an_endless_head_is_refused() -> None:
    with pytest.raises(BadReplyError):
        read_head(b"HTTP/1.1 200 OK\r\nA: " + b"b" * HEAD_LIMIT, "GET")


BEGINNINGS = st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 101 S\r\nContent-Length: "])


@given(beginning=BEGINNINGS, junk=st.binary(max_size=40))
def test_any_bytes_are_a_head_or_refused(beginning: bytes, junk: bytes) -> None:
    """Nothing else is raised, and no head is taken from what has none."""
    try:
        got = read_head(beginning + junk + b"\r\n\r\n", "GET")
    except BadReplyError:
        return
    assert got is None or 200 <= got[0].status <= 999 or got[0].status == 101


def test_interim_replies_are_skipped() -> None:
    wire = b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    head, _, rest = read(wire + b"HTTP/1.1 200 OK\r\n\r\nb")
    assert (head.status, head.fields, rest) == (200, (), b"b")
    assert read_head(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", "GET") is None


def test_interim_replies_are_bounded_in_number_and_size() -> None:
    interim, final = b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"
    assert read(interim * INTERIM_LIMIT + final)[0].status == 200
    for wire in (interim * (INTERIM_LIMIT + 1), interim * (INTERIM_LIMIT + 1) + final):
        with pytest.raises(BadReplyError, match="interim"):
            read_head(wire, "GET")
    large = b"HTTP/1.1 103 Early Hints\r\nA: " + b"b" * (HEAD_LIMIT // 2) + b"\r\n\r\n"
    assert read(large + final)[0].status == 200
    for wire in (large * 2, large + large[:-4], large * 2 + final):
        with pytest.raises(BadReplyError, match="head of more than"):
            read_head(wire, "GET")


@pytest.mark.parametrize(
    ("lines", "chunked", "length"),
    [
        (b"200 OK\r\nContent-Length: 3", False, 3),
        (b"200 OK\r\nTransfer-Encoding: Chunked", True, None),
        (b"200 OK", False, None),
        (b"101 Switching Protocols", False, None),
        (b"101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nContent-Length: 3", False, None),
    ],
)
def test_framing(lines: bytes, *, chunked: bool, length: int | None) -> None:
    head, body, _ = read(b"HTTP/1.1 " + lines + b"\r\n\r\n")
    assert (head.chunked, head.length, body.ended) == (chunked, length, False)


@pytest.mark.parametrize("lines", [b"200 OK", b"101 S", b"101 S\r\nUpgrade: x\r\nConnection: Upgrade"])
def test_what_ends_with_the_connection_is_passed_on_as_it_is(lines: bytes) -> None:
    _, body, rest = read(b"HTTP/1.1 " + lines + b"\r\n\r\n\r\nHTTP/1.1 \0")
    assert (body.feed(rest), body.feed(b"3\r\n")) == (b"\r\nHTTP/1.1 \0", b"3\r\n")
    assert not body.ended


@pytest.mark.parametrize(
    ("method", "lines"),
    [
        ("HEAD", b"200 OK"),
        ("HEAD", b"200 OK\r\nContent-Length: 3"),
        ("HEAD", b"200 OK\r\nTransfer-Encoding: chunked"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified\r\nContent-Length: 3"),
        ("GET", b"200 OK\r\nContent-Length: 0"),
    ],
)
def test_replies_without_a_body(method: str, lines: bytes) -> None:
    _, body, _ = read(b"HTTP/1.1 " + lines + b"\r\n\r\n", method)
    assert (body.ended, body.surplus) == (True, False)


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
    assert read(wire)[0].keep_alive is kept


def test_a_reply_leaves_no_reference_cycle() -> None:
    """It would take the cycle collector to free it, and all streams share its pauses."""
    gc.collect()
    gc.disable()
    try:
        body = chunked_body()
        body.feed(b"1\r\na\r\n0\r\n\r\n")
        del body
        assert gc.collect() == 0
    finally:
        gc.enable()
