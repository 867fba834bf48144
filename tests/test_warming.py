"""Prefixes are read ahead where the engine has forgotten them and has little else to do, and for nobody's turn
that is delayed by it: transcripts of the core, and whatever order things happen in."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.config import BudgetConfig, BudgetsConfig, Config, SpeculationConfig
from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    AdmitTurn,
    BackendDown,
    BackendUp,
    CancelWarm,
    Decision,
    Identity,
    SpeculationSwitched,
    TimePassed,
    TurnBegan,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
    WarmEnded,
    WarmPrefix,
)
from paste_proxy.grammar.events import CallSealed, ContentText, TurnEnded, Usage, UsageReported
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.schedule.backends import BackendCapacity, PriorityBand
from paste_proxy.tools.table import ToolTable
from tests.talk import NoPredictor

KV = 10_000
ROOM = BackendCapacity(kv_tokens=KV, running=8, priority=PriorityBand(soonest=4, latest=-4))
PROMPT = 4000
"""Tokens of each session's prompts: the memory has room for two sessions."""


class Site:
    """Sessions by name, each with a history of its own; a second passes with every event."""

    def __init__(self, *, warm_up: str = "on", mode: str = "on", **speculation: Any) -> None:
        config = Config(
            schedule=ScheduleConfig(warm_up=warm_up),  # type: ignore[arg-type]
            speculation=SpeculationConfig(mode=mode, **speculation),  # type: ignore[arg-type]
        )
        self.core = Core(ToolTable({}), config, NoPredictor())
        self.now = 0.0
        self.histories: dict[str, list[dict[str, Any]]] = {}
        self.decided: list[Decision] = []
        self.turns = 0
        self.tell(BackendUp("", ROOM))

    def tell(self, event: Any, after: float = 1.0) -> list[Decision]:
        self.now += after
        decisions = self.core.handle(event, self.now)
        self.decided += decisions
        return decisions

    def ask(self, name: str) -> tuple[str, list[Decision]]:
        self.turns += 1
        turn = f"{name}/{self.turns}"
        history = self.histories.setdefault(name, [{"role": "user", "content": f"{name} " * 2000}])
        tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
        body = json.dumps({"messages": history, "tools": tools, "stream": True}).encode()
        return turn, self.tell(TurnRequested(turn, Identity(session=name), parse_chat_request(body)))

    def reply(
        self, name: str, turn: str, *, cached: int = 1, calls: bool = True, after: float = 1.0
    ) -> list[Decision]:
        """`cached`: one token, so that the backend is known to tell of them."""
        self.tell(TurnSent(turn), 0.0)
        self.tell(TurnBegan(turn), after)
        self.tell(TurnStreamed(turn, ContentText("hm")), 0.0)
        call_id = f"c{len(self.histories[name])}"
        history: dict[str, Any] = {"role": "assistant", "content": "hm"}
        if calls:
            self.tell(TurnStreamed(turn, CallSealed(0, call_id, "look", "{}")), 0.0)
            function = {"name": "look", "arguments": "{}"}
            history["tool_calls"] = [{"id": call_id, "type": "function", "function": function}]
        self.tell(TurnStreamed(turn, TurnEnded("tool_calls" if calls else "stop")), 0.0)
        self.tell(TurnStreamed(turn, UsageReported(Usage(PROMPT, 20, cached))), 0.0)
        self.histories[name].append(history)
        if calls:
            self.histories[name].append({"role": "tool", "tool_call_id": call_id, "content": "found"})
        return self.tell(TurnClosed(turn, complete=True), after)

    def turn(self, name: str, **reply: Any) -> list[Decision]:
        turn, asked = self.ask(name)
        return asked + self.reply(name, turn, **reply)

    def one_is_forgotten(self) -> list[Decision]:
        """`a` runs a tool, while two others come and go."""
        self.turn("a")
        return self.turn("b", calls=False) + self.turn("c", calls=False)

    @property
    def warmed(self) -> list[WarmPrefix]:
        return [one for one in self.decided if isinstance(one, WarmPrefix)]

    @property
    def cancelled(self) -> list[str]:
        return [one.warm_up for one in self.decided if isinstance(one, CancelWarm)]


def test_what_others_drove_out_is_read_again_before_its_session_comes() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    assert warm.turn == "a/1"
    assert warm.text == "hm"
    assert [(call.call_id, call.name, call.arguments) for call in warm.calls] == [("c1", "look", "{}")]
    assert warm.priority == -4
    site.tell(WarmEnded(warm.warm_up, ok=True, usage=Usage(4030, 1, 30)))
    site.turn("a", cached=4010)
    ledger = site.core.warming.ledger
    assert (ledger.started, ledger.used, ledger.unused, ledger.read_tokens) == (1, 1, 0, 4000)
    assert len(site.warmed) == 1
    assert site.cancelled == []


@pytest.mark.parametrize(
    "settings",
    [{"warm_up": "off"}, {"mode": "off"}, {"mode": "shadow"}],
)
def test_it_must_be_asked_for(settings: dict[str, str]) -> None:
    site = Site(**settings)
    site.one_is_forgotten()
    assert site.warmed == []


def test_what_is_still_there_is_not_read_again() -> None:
    site = Site()
    site.turn("a")
    site.turn("b", calls=False)
    assert site.warmed == []


def test_who_asks_for_no_call_may_never_come_back() -> None:
    site = Site()
    site.turn("a", calls=False)
    site.turn("b", calls=False)
    site.turn("c", calls=False)
    assert site.warmed == []


def test_its_own_turn_and_any_other_calls_it_off() -> None:
    for comes, goes in (("a", [AdmitTurn]), ("d", [AdmitTurn])):
        site = Site()
        site.one_is_forgotten()
        [warm] = site.warmed
        _, decisions = site.ask(comes)
        assert [type(one) for one in decisions] == [CancelWarm, *goes]
        assert site.cancelled == [warm.warm_up]
        site.tell(WarmEnded(warm.warm_up, ok=False))  # of which nobody wants to hear any more
        assert site.core.warming.ledger.failed == 0


def test_it_waits_until_half_of_the_engine_is_idle() -> None:
    site = Site()
    site.turn("a")
    busy = [site.ask(name)[0] for name in ("b", "c", "d", "e")]
    for name, turn in zip("bcde", busy, strict=True):
        site.reply(name, turn, calls=False)
    assert len(site.warmed) == 1
    closed = [one for one in site.decided if isinstance(one, WarmPrefix)]
    assert closed[0].turn == "a/1"


def test_leases_of_others_are_not_driven_out() -> None:
    site = Site()
    site.tell(BackendUp("", BackendCapacity(kv_tokens=16_000, running=8)))
    site.turn("a")
    others = [(name, site.ask(name)[0]) for name in "bcd"]
    site.tell(TimePassed(), 10.0)  # a's lease is over
    for _, turn in others:
        site.tell(TurnSent(turn), 0.0)
    for name, turn in others:
        site.reply(name, turn, after=0.1)
    [forgotten] = site.core.turns.table.by_name("default", "a")
    prefix = site.core.pacing.prefix(forgotten, "")
    assert prefix is not None
    assert prefix.gone
    assert site.warmed == []
    site.tell(TimePassed(), 20.0)  # and so are theirs
    site.turn("e", calls=False)
    assert "a/1" in [warm.turn for warm in site.warmed]


def test_what_was_read_for_nothing_is_counted() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    site.tell(WarmEnded(warm.warm_up, ok=True, usage=Usage(4030, 1, 30)))
    site.turn("a", cached=30)
    ledger = site.core.warming.ledger
    assert (ledger.used, ledger.unused, ledger.unused_tokens) == (0, 1, 4000)


def test_a_session_that_never_comes_was_warmed_for_nothing() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    site.tell(WarmEnded(warm.warm_up, ok=True, usage=Usage(4030, 1, 30)))
    site.tell(TimePassed(), 10_000.0)
    assert site.core.warming.ledger.unused == 1


def test_a_failure_is_not_tried_again() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    site.tell(WarmEnded(warm.warm_up, ok=False))
    site.turn("d", calls=False)
    assert site.core.warming.ledger.failed == 1
    assert len(site.warmed) == 1


def test_what_hangs_is_called_off() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    site.tell(TimePassed(), 61.0)
    assert site.cancelled == [warm.warm_up]


def test_the_operators_switch_covers_it() -> None:
    site = Site()
    site.one_is_forgotten()
    [warm] = site.warmed
    assert site.tell(SpeculationSwitched(on=False)) == [CancelWarm(warm.warm_up)]
    site.turn("d", calls=False)
    assert len(site.warmed) == 1
    other = Site()
    other.tell(SpeculationSwitched(on=False))
    other.one_is_forgotten()
    assert other.warmed == []


def test_budgets_count_it() -> None:
    budgets = BudgetsConfig(tenant=BudgetConfig(per_minute=1))
    site = Site(budgets=budgets)
    site.one_is_forgotten()
    site.tell(WarmEnded(site.warmed[0].warm_up, ok=True, usage=Usage(4030, 1, 30)))
    site.turn("a", cached=4010)
    site.turn("b", calls=False)
    site.turn("c", calls=False)
    assert len(site.warmed) == 1


def test_nothing_goes_to_a_backend_that_is_down() -> None:
    site = Site()
    site.tell(BackendDown(""))
    site.one_is_forgotten()
    assert site.warmed == []


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(("ask", "reply", "stop", "warm", "fail", "wait"))),
    max_size=80,
)


@given(STEPS)
@settings(max_examples=100, deadline=None)
def test_no_turn_ever_meets_one(steps: list[tuple[str, str]]) -> None:
    """Whenever a turn goes or waits, what was being read ahead has been called off before it."""
    site = Site()
    open_turns: dict[str, str] = {}
    seen = 0
    under_way: list[str] = []
    for name, what in steps:
        match what:
            case "ask" if name not in open_turns:
                open_turns[name] = site.ask(name)[0]
            case "reply" | "stop" if name in open_turns:
                site.reply(name, open_turns.pop(name), calls=what == "reply")
            case "warm" | "fail" if under_way:
                ended = under_way.pop()
                usage = Usage(4030, 1, 30) if what == "warm" else None
                site.tell(WarmEnded(ended, ok=what == "warm", usage=usage))
            case "wait":
                site.tell(TimePassed(), 20.0)
        for decision in site.decided[seen:]:
            match decision:
                case WarmPrefix(warm_up):
                    under_way.append(warm_up)
                case CancelWarm(warm_up):
                    under_way.remove(warm_up)
                case AdmitTurn():
                    assert under_way == []
        seen = len(site.decided)
        assert len(under_way) <= 1
        assert not (under_way and site.core.pacing.waits(""))
    ledger = site.core.warming.ledger
    assert ledger.started >= ledger.cancelled + ledger.failed + ledger.used + ledger.unused
