"""Rewriting on the wire: what is left as it is keeps its bytes, and no failure loses any."""

import asyncio
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.rewrite import (
    CallsRewriter,
    EventsRewriter,
    Rewriter,
    RewritingSink,
    WholeReplySink,
    with_length,
)
from paste_proxy.proxy.rewrite_calls import CallWriter
from paste_proxy.proxy.rewrite_logprobs import LogprobStripper
from paste_proxy.proxy.rewrite_stream import EventRewriter, framed
from tests.grammar.toy_format import ToyReader

LINE_ENDS = ["\n", "\r\n", "\r"]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


def upper(payload: bytes) -> bytes | None:
    return framed(payload.upper()) if payload.startswith(b"x") else None


@given(
    st.lists(
        st.sampled_from(["data: xa", "data: b", ": ping", "event: e\ndata: xa", "data: x1\ndata: x2", ""])
    ),
    st.sampled_from(LINE_ENDS),
    st.lists(st.integers(0, 300)),
)
def test_any_split_gives_the_same_bytes(events: list[str], end: str, cuts: list[int]) -> None:
    data = "".join(event.replace("\n", end) + end + end for event in events).encode()
    rewriter = EventRewriter(upper)
    out = b"".join(map(rewriter.feed, cut(data, cuts))) + rewriter.release()
    whole = EventRewriter(upper)
    assert out == whole.feed(data) + whole.release()
    if not any(event == "data: xa" for event in events):
        assert out == data


def test_an_event_leaves_with_its_last_byte_and_only_a_part_is_held() -> None:
    rewriter = EventRewriter(upper)
    assert rewriter.feed(b"data: b\n\ndata: xa\n\ndata: c") == b"data: b\n\ndata: XA\n\n"
    assert rewriter.feed(b"\n") == b""
    assert rewriter.feed(b"\n") == b"data: c\n\n"


def test_a_large_event_is_searched_once_however_it_comes() -> None:
    """The bytes that are joined grow with the event, not with its square."""
    event = framed(b"x" * 4_000_000)
    rewriter = EventRewriter(lambda payload: framed(b"%d" % len(payload)))
    told = [rewriter.feed(event[at : at + 100]) for at in range(0, len(event), 100)]
    assert b"".join(told) == framed(b"4000000")


def test_an_endless_event_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paste_proxy.proxy.rewrite_stream.EVENT_LIMIT", 10)
    rewriter = EventRewriter(upper)
    assert rewriter.feed(b"data: xxxxxxxx") == b"data: xxxxxxxx"
    assert rewriter.feed(b"\n\ndata: xa\n\n") == b"\n\ndata: xa\n\n"


# -- log probabilities ----------------------------------------------------------------------------------------


def token(text: str, raw: list[int] | None = None) -> dict[str, Any]:
    return {
        "token": text,
        "bytes": list(text.encode()) if raw is None else raw,
        "logprob": -0.5,
        "top_logprobs": [],
    }


def chunk(delta: dict[str, Any], *tokens: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {
        "index": 0,
        "delta": {"reasoning_content": None} | delta,
        "logprobs": {"content": tokens} if tokens else None,
        "finish_reason": reason,
    }
    return json.dumps({"id": "r", "choices": [choice]}, ensure_ascii=False, separators=(",", ":")).encode()


def test_a_chunk_is_told_as_it_would_have_come() -> None:
    stripper = LogprobStripper()
    assert stripper(chunk({"content": '"logprobs":{'}, token("a"))) == framed(
        chunk({"content": '"logprobs":{'})
    )
    assert stripper(chunk({"reasoning_content": "a"}, token("b"))) == framed(chunk({"reasoning_content": "a"}))
    assert stripper(chunk({}, token("c"), reason="stop")) == framed(chunk({}, reason="stop"))
    assert stripper(chunk({}, token("d"))) == b""
    assert (stripper.take(), stripper.tokens) == ("abcd", 4)
    assert stripper.take() == ""


def test_chunks_without_log_probabilities_are_left_alone() -> None:
    stripper = LogprobStripper()
    for one in (chunk({"role": "assistant", "content": ""}), chunk({}), b"[DONE]", b'{"choices":[]}'):
        assert stripper(one) is None


def test_the_client_s_own_log_probabilities_stay() -> None:
    stripper = LogprobStripper(strip=False)
    assert stripper(chunk({}, token("a"))) is None
    assert stripper.take() == "a"


def test_characters_come_whole_and_special_tokens_as_they_are_spelled() -> None:
    stripper = LogprobStripper()
    for raw in "𠮷".encode():
        stripper(chunk({}, token("�", [raw])))
    assert stripper.take() == "𠮷"
    stripper(chunk({}, {"token": "<|call|>", "bytes": None, "logprob": 0.0}))
    assert stripper.take() == "<|call|>"


# -- sinks ----------------------------------------------------------------------------------------------------


class FakeSink:
    def __init__(self) -> None:
        self.data: list[bytes] = []

    def take(self, data: bytes) -> bool:
        assert data
        self.data.append(data)
        return False

    async def drain(self) -> None: ...


def sink_of(rewriter: Rewriter) -> tuple[RewritingSink, FakeSink, list[str]]:
    sink, failures = FakeSink(), list[str]()
    return RewritingSink(sink, rewriter, lambda where, error: failures.append(str(error))), sink, failures


def test_nothing_is_written_for_a_dropped_event() -> None:
    rewriting, sink, _ = sink_of(EventsRewriter(lambda payload: b""))
    assert rewriting.take(b"data: a\n\n")
    assert sink.data == []


def test_after_a_failure_the_bytes_pass_as_they_are() -> None:
    def fails(payload: bytes) -> bytes:
        if payload == b"2":
            raise ZeroDivisionError("boom")
        return framed(payload + b"!")

    rewriting, sink, failures = sink_of(EventsRewriter(fails))
    rewriting.take(b"data: 1\n\nda")
    rewriting.take(b"ta: 1\n\ndata: 2\n\ndata: 3\n\ndat")
    rewriting.take(b"a: 4\n\n")
    rewriting.end()
    assert b"".join(sink.data) == b"data: 1!\n\ndata: 1!\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n"
    assert failures == ["boom"]


class Breaks(ToyReader):
    def feed(self, text: str, at: int, out: list[Any]) -> None:
        if "boom" in text:
            raise ZeroDivisionError("boom")
        super().feed(text, at, out)


def test_text_held_by_the_reader_outlives_its_failure() -> None:
    rewriting, sink, failures = sink_of(CallsRewriter(lambda: CallWriter(Breaks())))
    for content in ("a <", "boom", " b<<f{}>>"):
        rewriting.take(framed(chunk({"content": content})))
    rewriting.end()
    events = b"".join(sink.data).split(b"\n\n")[:-1]
    assert "".join(json.loads(e[6:])["choices"][0]["delta"]["content"] for e in events) == "a <boom b<<f{}>>"
    assert failures == ["boom"]


def test_a_body_cut_short_gives_out_what_was_held() -> None:
    rewriting, sink, _ = sink_of(CallsRewriter(lambda: CallWriter(ToyReader())))
    rewriting.take(framed(chunk({"content": "a <"})) + b"data: {")
    rewriting.end()
    rewriting.end()
    assert sink.data[-1].endswith(b'"content":"<"},"logprobs":null,"finish_reason":null}]}\n\ndata: {')


HEAD = ReplyHead(
    status=200,
    reason=b"OK",
    fields=((b"Content-Length", b"3"), (b"X-A", b"b")),
    chunked=False,
    length=3,
    keep_alive=True,
)


class WholeReply:
    def __init__(self, limit: int = 100) -> None:
        self.heads: list[ReplyHead] = []
        self.sink = FakeSink()
        self.failures: list[str] = []
        self.whole = WholeReplySink(HEAD, self._begin, self._rewrite, self._report, limit)

    def _begin(self, head: ReplyHead) -> FakeSink:
        self.heads.append(head)
        return self.sink

    def _rewrite(self, body: bytes) -> bytes:
        return body * (6 // len(body))

    def _report(self, where: str, error: Exception) -> None:
        self.failures.append(str(error))


def test_a_whole_reply_has_its_new_length() -> None:
    reply = WholeReply()
    reply.whole.take(b"a")
    reply.whole.take(b"bc")
    assert reply.heads == []
    asyncio.run(reply.whole.end())
    assert reply.sink.data == [b"abcabc"]
    assert reply.heads[0].length == 6
    assert reply.heads[0].fields == ((b"X-A", b"b"), (b"content-length", b"6"))


def test_a_whole_reply_over_the_limit_passes_as_it_is() -> None:
    reply = WholeReply(limit=2)
    assert reply.whole.take(b"ab")
    assert not reply.whole.take(b"c")
    assert not reply.whole.take(b"d")
    asyncio.run(reply.whole.end())
    assert (reply.heads, reply.sink.data) == ([HEAD], [b"abc", b"d"])


def test_a_whole_reply_that_can_t_be_rewritten_passes_as_it_is() -> None:
    reply = WholeReply()
    asyncio.run(reply.whole.end())
    assert (reply.heads[0].length, reply.sink.data) == (0, [])
    assert reply.failures == ["integer division or modulo by zero"]


def test_a_stream_whose_length_was_told_is_chunked() -> None:
    head = with_length(HEAD, None)
    assert (head.chunked, head.length, head.fields) == (True, None, ((b"X-A", b"b"),))
