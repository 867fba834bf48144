"""What the tap tells of a reply, and when."""

from paste_proxy.proxy.counters import RelayCounters
from paste_proxy.proxy.http1 import ReplyHead
from paste_proxy.proxy.tap import Failures, Tap
from tests.proxy.support import FakeTurn

HEAD = ReplyHead(
    status=200,
    reason=b"OK",
    fields=((b"Content-Type", b"text/event-stream"),),
    chunked=True,
    length=None,
    keep_alive=True,
)


async def test_a_stream_has_begun_with_its_first_bytes_though_they_say_nothing() -> None:
    """An engine that holds a call back until it is whole has read the prompt long before."""
    turn, counters = FakeTurn(), RelayCounters()
    tap = Tap(turn, counters, Failures(counters), limit=1000)
    tap.opened(HEAD)
    assert turn.log == []
    tap.feed(b'data: {"choices": [{"index": 0, "delta": {"role": "assistant"}}]}\n\n')
    tap.feed(b": nothing\n\n")
    assert (turn.log, turn.events) == (["feed"], [])


async def test_each_backend_that_a_turn_is_sent_to_is_told_of() -> None:
    turn, counters = FakeTurn(), RelayCounters()
    tap = Tap(turn, counters, Failures(counters), limit=1000)
    tap.sent()
    tap.sent()
    assert turn.log == ["sent", "sent"]
