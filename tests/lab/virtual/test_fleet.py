"""Engines in virtual time."""

import msgspec

from paste_proxy.lab.engine.requests import Began, Reached
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.time import VirtualTime
from tests.lab.engine.bench import PLAIN, request

ONE_AT_A_TIME = msgspec.structs.replace(PLAIN, max_running_requests=1)


class Heard:
    """What was told, and when."""

    def __init__(self, count: int = 1) -> None:
        self.time = VirtualTime()
        self.fleet = Fleet(ONE_AT_A_TIME, count, self.time)
        self.events: list[tuple[float, str, int]] = []

    def submit(self, session: str, rid: str, *marks: int) -> None:
        self.fleet.submit(session, request(rid, 100, *marks), self.told)

    def told(self, event: Began | Reached) -> None:
        assert event.at == self.time.now
        self.events.append((round(self.time.now, 6), event.rid, getattr(event, "mark", -1)))

    def run(self) -> "Heard":
        self.time.run(lambda: False)
        return self


def test_whoever_asked_hears_of_every_mark_when_it_is_reached() -> None:
    heard = Heard()
    heard.submit("s", "a", 1, 11)
    heard.submit("s", "b", 1)
    assert heard.run().events == [
        (0.0, "a", -1),
        (0.1, "a", 0),
        (0.2, "a", 1),
        (0.2, "b", -1),
        (0.3, "b", 0),
    ]


def test_a_session_keeps_to_its_engine_and_sessions_spread() -> None:
    heard = Heard(count=4)
    for number in range(40):
        heard.submit(f"s{number % 20}", f"r{number}", 1)
    heard.run()
    assert [engine.ended for engine in heard.fleet.engines] != [40, 0, 0, 0]
    assert all(engine.ended and engine.ended % 2 == 0 for engine in heard.fleet.engines)


def test_an_aborted_request_is_not_heard_of_and_others_go_on() -> None:
    heard = Heard()
    heard.submit("s", "a", 1, 11)
    heard.submit("s", "b", 1)
    heard.time.at(0.15, lambda: heard.fleet.abort("a"))
    heard.time.at(0.16, lambda: heard.fleet.abort("a"))
    assert heard.run().events == [(0.0, "a", -1), (0.1, "a", 0), (0.15, "b", -1), (0.25, "b", 0)]


def test_a_reply_may_bring_the_next_request_at_once() -> None:
    heard = Heard()

    def again(event: Began | Reached) -> None:
        heard.told(event)
        if isinstance(event, Reached) and event.rid == "a":
            heard.submit("s", "b", 1)

    heard.fleet.submit("s", request("a", 100, 1), again)
    assert [rid for _, rid, _ in heard.run().events] == ["a", "a", "b", "b"]


def test_a_session_that_is_over_makes_room_before_one_that_was_asked_for_earlier() -> None:
    """Each has 100 tokens of prompt and one of a reply in a memory of 210."""
    spec = msgspec.structs.replace(ONE_AT_A_TIME, kv_tokens=210, session_tags=True, reserve_tokens=0)
    time = VirtualTime()
    fleet = Fleet(spec, 1, time)
    for name in ("old", "new"):
        fleet.submit(name, msgspec.structs.replace(request(name, 100, 1), session=name), lambda _: None)
    time.run(lambda: False)
    cache = fleet.engines[0].cache
    fleet.close_session("new")
    cache.make_room(50)
    assert [cache.cached(request(name, 100, 1).prompt) for name in ("old", "new")] == [100, 0]
