"""Clients that do anything: every held turn is told once, in time, and nothing is left."""

from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.events import (
    Attempt,
    TimePassed,
    TurnSent,
)
from tests.holding import AGAIN, FIRST, Site, request

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "again", "keyed", "leave", "answer", "fail", "wait"]),
        st.integers(0, 5),
        st.floats(0.0, 40.0),
    ),
    max_size=60,
)
ATTEMPTS = {"ask": FIRST, "again": AGAIN, "keyed": Attempt(key="k")}


class Crowd:
    """Clients that do anything; every turn must go, or be refused, once and in time."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.asked: dict[str, float] = {}
        self.told: dict[str, str] = {}
        self.over: set[str] = set()

    def hear(self, decisions: list[str]) -> None:
        for one in decisions:
            turn, what = one.split()
            assert turn not in self.told
            self.told[turn] = what
            if what == "goes":
                assert self.site.now <= self.asked[turn] + 30.0
            else:
                self.leave(turn)

    def leave(self, turn: str) -> None:
        self.over.add(turn)
        self.hear(self.site.leave(turn))

    def wait(self, seconds: float) -> None:
        until = self.site.now + seconds
        while (deadline := self.site.core.deadlines.next()) is not None and deadline <= until:
            self.hear(self.site.tell(TimePassed(), deadline))
        self.site.now = until

    def ask(self, what: str, which: int) -> None:
        turn = f"t{len(self.asked)}"
        self.asked[turn] = self.site.now
        self.hear(self.site.ask(turn, request(f"body {which % 2}"), ATTEMPTS[what]))

    def go_on(self, what: str, which: int) -> None:
        turns = [turn for turn in self.asked if turn not in self.over]
        if not turns:
            return
        turn = turns[which % len(turns)]
        if self.told.get(turn) != "goes" or what == "leave":
            self.leave(turn)
        elif what == "fail":
            self.site.tell(TurnSent(turn))
            self.leave(turn)
        else:
            self.over.add(turn)
            self.hear(self.site.answer(turn))

    @property
    def held(self) -> int:
        return sum(turn not in self.over and turn not in self.told for turn in self.asked)


@given(STEPS, st.integers(1, 3), st.integers(1, 4))
def test_whatever_happens_every_turn_is_told_once_and_nothing_is_left(
    steps: list[tuple[str, int, float]], slots: int, queued: int
) -> None:
    site = Site(slots=slots, queued=queued, max_hold_s=30.0)
    crowd = Crowd(site)
    for what, which, seconds in steps:
        if what == "wait":
            crowd.wait(seconds)
        elif what in ATTEMPTS:
            crowd.ask(what, which)
        else:
            crowd.go_on(what, which)
        assert site.core.holds.held == crowd.held <= queued
    for turn in crowd.asked:
        if turn not in crowd.over:
            crowd.leave(turn)
    crowd.wait(100.0)
    assert site.core.holds.held == 0
    assert len(site.core.deadlines) == len(site.core.holds.succession) == 0
    assert sum(site.ledger.admitted) == list(crowd.told.values()).count("goes")


def test_thousands_of_equal_requests_are_held_and_leave_in_no_time_to_speak_of() -> None:
    """What looks at all of them for each takes a minute here."""
    site = Site(queued=5000)
    site.ask("busy")
    body = request("the same")
    for number in range(5000):
        site.ask(f"t{number}", body, Attempt(600.0, 7))
    assert site.core.holds.held == len(site.core.holds.succession) == 5000
    for number in range(5000):
        site.leave(f"t{number}")
    assert site.core.holds.held == 0
    assert site.ask("again", body, Attempt(600.0, 8)) == []
    assert site.answer("busy") == ["again goes"]
