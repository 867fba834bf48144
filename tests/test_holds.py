"""Turns that are held, as transcripts: deadlines, who leaves, and how it is counted."""

import json
from typing import Any

import pytest

from paste_proxy.config import BackendConfig, Config
from paste_proxy.core import Core
from paste_proxy.events import (
    Attempt,
    BackendDown,
    BackendUp,
    ProxyStopping,
    TimePassed,
    TurnRefused,
    TurnSent,
)
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.holds import longest_hold_s
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import OFFERED, SPECS
from tests.holding import Site, request
from tests.talk import NoPredictor

TWO_BACKENDS = Config(backends={name: BackendConfig(url="http://x", max_turns=1) for name in ("a", "b")})


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
