"""Turns that are held, as transcripts: deadlines, who takes whose place, who leaves, and how it is counted."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paste_proxy.config import BackendConfig, Config, LimitsConfig
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    Attempt,
    BackendDown,
    BackendUp,
    FailTurn,
    Identity,
    ProxyStopping,
    TimePassed,
    TurnClosed,
    TurnRefused,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.apis import Api
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText, TurnEnded
from paste_proxy.grammar.requests import ChatRequest, parse_chat_request, parse_request
from paste_proxy.holds import longest_hold_s
from paste_proxy.tools.table import ToolTable
from tests.broker.world import OFFERED, SPECS
from tests.talk import NoPredictor

TWO_BACKENDS = Config(backends={name: BackendConfig(url="http://x", max_turns=1) for name in ("a", "b")})
FIRST, AGAIN, THIRD = Attempt(number=0), Attempt(number=1), Attempt(number=2)


def request(*said: str, **fields: Any) -> ChatRequest:
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(said or ("go",))]
    return parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED, **fields}).encode())


class Site:
    """A core with one slot for turns; what it decides of them is kept as text."""

    def __init__(self, *, queued: int = 100, max_hold_s: float = 300.0, slots: int = 1) -> None:
        config = Config(
            backend=BackendConfig(max_turns=slots),
            limits=LimitsConfig(queued_turns=queued),
            schedule=ScheduleConfig(max_hold_s=max_hold_s),
        )
        self.core = Core(ToolTable(SPECS), config, NoPredictor())
        self.now = 0.0

    def tell(self, event: Any, at: float | None = None) -> list[str]:
        self.now = self.now if at is None else at
        return [
            f"{one.turn} goes" if isinstance(one, AdmitTurn) else f"{one.turn} {one.error.code}"
            for one in self.core.handle(event, self.now)
            if isinstance(one, AdmitTurn | FailTurn)
        ]

    def ask(
        self,
        turn: str,
        body: ChatRequest | None = None,
        attempt: Attempt = FIRST,
        at: float | None = None,
        who: Identity | None = None,
    ) -> list[str]:
        return self.tell(TurnRequested(turn, who or Identity(), body or request(turn), attempt), at)

    def answer(self, turn: str, text: str = "well") -> list[str]:
        self.tell(TurnSent(turn))
        self.tell(TurnStreamed(turn, ContentText(text)))
        self.tell(TurnStreamed(turn, TurnEnded("stop")))
        return self.tell(TurnClosed(turn, complete=True))

    def leave(self, turn: str, at: float | None = None) -> list[str]:
        return self.tell(TurnClosed(turn, complete=False), at)

    def notes(self, turn: str) -> list[str]:
        session = self.core.turns.session_of_turn(turn)
        assert session is not None
        return [note.what for note in session.notes]

    def relation(self, turn: str) -> str:
        session = self.core.turns.session_of_turn(turn)
        assert session is not None
        turns = [note for note in session.notes if note.what == "turn"]
        return str(turns[-1].detail["relation"])

    @property
    def ledger(self) -> Any:
        return self.core.holds.ledger


# -- deadlines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("patience_s", "max_hold_s", "held_s"),
    [
        (0.0, 300.0, 150.0),
        (600.0, 300.0, 300.0),
        (600.0, 1800.0, 540.0),
        (1000.0, 1800.0, 900.0),
        (30.0, 300.0, 15.0),
        (1e9, 20.0, 20.0),
        (0.001, 9.0, 0.0005),
    ],
)
def test_a_turn_is_held_for_what_its_client_waits_less_what_the_reply_needs(
    patience_s: float, max_hold_s: float, held_s: float
) -> None:
    site = Site(max_hold_s=max_hold_s)
    assert site.ask("busy", at=5.0) == ["busy goes"]
    assert site.ask("held", attempt=Attempt(patience_s)) == []
    assert site.core.holds.held == 1
    assert site.core.next_deadline() == 5.0 + held_s
    assert site.tell(TimePassed(), 5.0 + held_s * 0.99) == []
    assert site.tell(TimePassed(), 5.0 + held_s) == ["held goes"]
    assert (site.ledger.overdue, site.core.holds.held) == (1, 0)
    assert site.notes("held") == ["turn", "held", "admitted"]


@pytest.mark.parametrize(("takes_s", "held_s"), [(0.0, 540.0), (20.0, 540.0), (100.0, 400.0), (900.0, 300.0)])
def test_what_takes_long_is_held_for_less(takes_s: float, held_s: float) -> None:
    assert longest_hold_s(600.0, takes_s) == held_s


def test_an_overdue_turn_takes_a_slot_that_there_is_not() -> None:
    site = Site()
    site.ask("busy")
    site.ask("overdue", attempt=Attempt(2.0))
    site.ask("next")
    assert site.tell(TimePassed(), 1.0) == ["overdue goes"]
    assert site.answer("busy") == []
    assert site.answer("overdue") == ["next goes"]


def test_what_was_admitted_in_time_is_not_overdue_later() -> None:
    site = Site()
    site.ask("busy")
    site.ask("held", attempt=Attempt(10.0))
    site.now = 4.0
    assert site.answer("busy") == ["held goes"]
    assert site.tell(TimePassed(), 100.0) == []
    assert site.ledger.overdue == 0
    session = site.core.turns.session_of_turn("held")
    assert session is not None
    assert session.notes[-1].detail == {"held_s": 4.0, "overdue": False}


def test_the_histogram_counts_every_turn_once() -> None:
    site = Site()
    site.ask("a")
    site.ask("b", attempt=Attempt(2.0))
    site.tell(TimePassed(), 1.0)
    assert site.ledger.admitted[0] == 1
    assert sum(site.ledger.admitted) == 2
    assert site.ledger.held_s == 1.0


def test_a_turn_that_another_backend_shall_take_keeps_its_deadline() -> None:
    site = Site()
    site.core = Core(ToolTable(SPECS), TWO_BACKENDS, NoPredictor())
    site.tell(BackendDown("a"))
    assert site.ask("one") == ["one goes"]
    site.tell(BackendUp("a"))
    site.tell(BackendDown("b"))
    assert site.ask("two", attempt=Attempt(20.0)) == ["two goes"]
    site.tell(BackendUp("b"))
    assert site.tell(TurnRefused("two"), 8.0) == []
    assert site.core.holds.held == 1
    assert site.tell(TimePassed(), 10.0) == ["two goes"]


def test_a_held_turn_whose_backend_is_gone_keeps_its_place_and_its_deadline_at_another() -> None:
    site = Site()
    site.core = Core(ToolTable(SPECS), TWO_BACKENDS, NoPredictor())
    site.tell(BackendDown("b"))
    site.ask("busy")
    site.ask("x", attempt=Attempt(40.0))
    site.ask("y", attempt=Attempt(20.0))
    site.tell(BackendUp("b"))
    assert site.tell(BackendDown("a"), 1.0) == ["x goes"]
    assert site.tell(TimePassed(), 10.0) == ["y goes"]
    assert site.core.holds.held == 0


# -- bounds -----------------------------------------------------------------------------------------------


def test_only_so_many_may_wait() -> None:
    site = Site(queued=1)
    site.ask("busy")
    assert site.ask("held") == []
    assert site.ask("too many") == ["too many turns_busy"]
    site.leave("too many")
    assert site.answer("busy") == ["held goes"]
    assert site.ask("held, too") == []
    assert (site.ledger.refused, site.ledger.withdrawn) == (1, 0)


def test_a_proxy_that_stops_holds_nothing() -> None:
    site = Site()
    site.ask("busy")
    site.ask("held")
    assert site.tell(ProxyStopping()) == ["held proxy_stopping"]
    assert site.ask("late") == ["late proxy_stopping"]
    assert site.answer("busy") == []
    assert site.ask("served") == ["served goes"]
    assert site.ledger.refused == 2


# -- clients that leave -----------------------------------------------------------------------------------


def test_a_client_that_leaves_is_gone_at_once_and_its_session_goes_on() -> None:
    site = Site()
    site.ask("one", request("hi"))
    site.answer("one")
    site.ask("busy")
    site.ask("two", request("hi", "well", "go on"))
    assert site.leave("two") == []
    assert (site.ledger.withdrawn, site.core.holds.held) == (1, 0)
    assert site.answer("busy") == []
    assert site.ask("three", request("hi", "well", "go on")) == ["three goes"]
    assert site.relation("three") == "retry"
    assert site.notes("three") == ["turn", "turn ended", "turn", "held", "withdrawn", "turn"]


def staged(site: Site) -> int:
    return site.core.broker.live


@pytest.mark.parametrize("sent", [False, True])
def test_what_goes_on_from_a_turn_that_was_never_sent_is_not_in_doubt(sent: bool) -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi", n=1))
    if sent:
        site.answer("busy")
        site.tell(TurnSent("one"))
    site.leave("one")
    doubted: list[str] = []
    site.core.broker.discard_session = lambda session, now: doubted.append(session)  # type: ignore[method-assign]
    messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": "and this"}]
    more = parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED}).encode())
    site.ask("two", more)
    assert site.relation("two") == "continued"
    assert bool(doubted) is sent


@pytest.mark.parametrize("fields", [{"n": 2}, {}])
def test_a_turn_that_was_never_sent_is_no_write_of_everything(fields: dict[str, Any]) -> None:
    site = Site()
    site.ask("busy")
    site.ask("held", request("hi", **fields))
    site.leave("held")
    assert site.core.broker.open_scopes == 0


# -- retries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FIRST, AGAIN),
        (AGAIN, THIRD),
        (Attempt(key="k"), Attempt(key="k")),
        (Attempt(key="k"), Attempt(0, 1, "k")),
    ],
)
@pytest.mark.parametrize("gone", [False, True])
def test_a_retry_takes_the_place_of_the_request_that_it_repeats(
    first: Attempt, second: Attempt, gone: bool
) -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"), first)
    site.ask("other")
    if gone:
        site.leave("one", 1.0)
    assert site.ask("two", request("hi"), second, at=2.0) == ([] if gone else ["one superseded"])
    assert site.leave("one") == []
    assert site.relation("two") == "retry"
    assert site.core.holds.held == 2
    assert site.answer("busy") == ["two goes"]
    assert site.answer("two") == ["other goes"]
    assert (site.ledger.superseded, site.ledger.withdrawn) == ((0, 1) if gone else (1, 0))
    assert len(site.core.turns.sessions) == 3


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Api.COMPLETIONS, {"prompt": "once upon a time"}),
        (Api.GENERATE, {"text": "once upon a time"}),
        (Api.MESSAGES, {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
        (Api.RESPONSES, {"input": "hi"}),
        (Api.RESPONSES, {"input": "hi", "previous_response_id": "never heard of"}),
        (Api.RESPONSES, {"input": "hi", "background": True}),
    ],
)
def test_a_retry_is_known_with_every_api(api: Api, body: dict[str, Any]) -> None:
    site = Site()
    site.ask("busy")
    asked = parse_request(api, json.dumps({"model": "m", **body}).encode())
    site.ask("one", asked)
    assert site.ask("two", asked, AGAIN) == ["one superseded"]
    site.leave("one")
    assert site.relation("two") == "retry"
    site.leave("two")
    site.ask("three", asked, THIRD)
    assert site.relation("three") == "retry"
    assert site.core.broker.open_scopes == 0


def test_the_deadline_counts_from_the_first_attempt() -> None:
    site = Site(max_hold_s=10.0)
    site.ask("busy")
    site.ask("one", request("hi"))
    site.leave("one", 5.0)
    site.ask("two", request("hi"), AGAIN, at=9.0)
    assert site.tell(TimePassed(), 10.0) == ["two goes"]


def test_a_place_is_kept_for_a_while_only() -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"))
    site.ask("other")
    site.leave("one", 1.0)
    site.ask("two", request("hi"), AGAIN, at=11.0)
    assert site.relation("two") == "retry"
    assert site.answer("busy") == ["other goes"]


@pytest.mark.parametrize(
    ("first", "second", "who"),
    [
        (FIRST, FIRST, ""),
        (AGAIN, AGAIN, ""),
        (THIRD, AGAIN, ""),
        (FIRST, THIRD, ""),
        (Attempt(key="k"), Attempt(0, 1, "l"), ""),
        (FIRST, Attempt(0, 1, "k"), ""),
        (FIRST, AGAIN, "another"),
    ],
)
def test_equal_bytes_alone_are_another_session(first: Attempt, second: Attempt, who: str) -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"), first)
    assert site.ask("two", request("hi"), second, who=Identity(session=who)) == []
    assert site.core.holds.held == 2
    assert site.relation("two") == "new"


def test_no_client_is_sent_away_where_two_may_be_meant() -> None:
    site = Site()
    site.ask("busy")
    site.ask("one", request("hi"))
    site.ask("two", request("hi"))
    assert site.ask("three", request("hi"), AGAIN) == []
    assert site.core.holds.held == 3


def test_no_client_is_sent_away_for_the_retry_of_a_turn_that_failed() -> None:
    site = Site()
    site.ask("one", request("hi"))
    site.tell(TurnSent("one"))
    site.ask("next")
    site.ask("two", request("hi"))
    assert site.leave("one") == ["next goes"]
    assert site.ask("one again", request("hi"), AGAIN) == []
    assert site.relation("one again") == "retry"
    assert site.core.holds.held == 2


def test_a_request_that_is_at_the_backend_is_not_superseded() -> None:
    site = Site(slots=2)
    site.ask("one", request("hi"))
    assert site.ask("two", request("hi"), AGAIN) == ["two goes"]
    assert site.relation("two") == "new"


def test_a_call_in_the_superseded_turn_s_history_is_counted_once() -> None:
    """Its session's writes are where they were."""
    site = Site()
    site.ask("one", request("hi"))
    site.tell(TurnSent("one"))
    site.tell(TurnStreamed("one", CallOpened(0, "c1", "run_shell")))
    site.tell(TurnStreamed("one", CallSealed(0, "c1", "run_shell", "{}")))
    site.tell(TurnStreamed("one", TurnEnded("tool_calls")))
    site.tell(TurnClosed("one", complete=True))
    assert site.core.broker.open_scopes == 1
    call = {"id": "c1", "type": "function", "function": {"name": "run_shell", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    then = parse_chat_request(json.dumps({"messages": messages, "tools": OFFERED}).encode())
    site.ask("busy")
    site.ask("two", then)
    assert site.relation("two") == "continued"
    assert site.ask("three", then, AGAIN) == ["two superseded"]
    assert site.relation("three") == "retry"
    assert site.core.broker.open_scopes == 0


# -- whatever happens -------------------------------------------------------------------------------------


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
