"""Next to next, as transcripts: what runs behind a staged result, what becomes of it, and who hears of it."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from paste_proxy.config import Config, NetworkConfig, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import Identity, RunBegan, RunEnded, StartRun
from paste_proxy.grammar.events import CallOpened, CallSealed, ContentText
from paste_proxy.predict.model import Candidate, FinishedCall
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.tools.ports import Output
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.guesses import Scripted, guess
from tests.predict.test_forks import chained as order_desk
from tests.predict.test_forks import held, steps
from tests.talk import Talk

SLOW_S = 90.0
"""Longer than any turn here: what the next turn alone would not hide."""


class Foresighted(Scripted):
    """Says what it is told to of what follows, by the `k` of the calls before."""

    def __init__(self, *candidates: Candidate, after: dict[tuple[int, ...], list[Candidate]]) -> None:
        super().__init__(*candidates)
        self.behind = after
        self.shown: list[list[str]] = []

    def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
        self.shown.append([one.text for one in results])
        return self.behind.get(tuple(one.arguments["k"] for one in results), [])[:limit]


def config(**settings: Any) -> Config:
    return Config(
        speculation=SpeculationConfig(
            **{"allow": tuple(SPECS), "min_service_s": 0.0, "sample": 0.0, **settings}
        ),
    )


class Chained(Talk):
    """Tools are slow, and their runs end when the test says so."""

    def __init__(self, predictor: Any, specs: Any = SPECS, takes: float = SLOW_S, **settings: Any) -> None:
        super().__init__(Core(ToolTable(specs), config(**settings), predictor))
        for name in specs:
            for _ in range(20):
                self.core.broker.values.served(name, takes)
        self.runs: dict[str, str] = {}

    def tell(self, event: Any) -> list[Any]:
        decisions = super().tell(event)
        self.begin(decisions)
        return decisions

    def begin(self, decisions: list[Any]) -> None:
        for one in decisions:
            if isinstance(one, StartRun):
                self.runs[_name(one)] = one.run.run

    def ends_run(self, name: str, text: str = "result") -> list[str]:
        """The runs that start with it."""
        decisions = self.core.handle(RunEnded(self.runs[name], Output(text.encode(), is_text=True)), self.now)
        self.begin(decisions)
        started = [one for one in decisions if isinstance(one, StartRun)]
        for one in started:
            self.core.handle(RunBegan(one.run.run), self.now)
        return [_name(one) for one in started]

    def keeps_run(self, name: str) -> None:
        """It ends at a client, which keeps what it gave to itself."""
        self.begin(self.core.handle(RunEnded(self.runs[name], Output(b"", kept=5)), self.now))

    def outcomes(self) -> dict[int, str]:
        [session] = self.core.turns.sessions.values()
        return {one.arguments["k"]: one.outcome for one in session.predictions}


def _name(start: StartRun) -> str:
    arguments = start.run.arguments
    return f"{start.run.tool} {arguments['k'] if 'k' in arguments else json.dumps(arguments)}"


def chained(**settings: Any) -> tuple[Chained, Foresighted]:
    predictor = Foresighted(guess(1), after={(1,): [guess(2)], (1, 2): [guess(3)], (1, 2, 3): [guess(4)]})
    t = Chained(predictor, **settings)
    t.ask()
    return t, predictor


def test_a_result_that_its_client_keeps_to_itself_binds_nothing() -> None:
    t, predictor = chained()
    t.keeps_run("read_a 1")
    t.hears(ContentText("a word more " * 60))
    assert t.outcomes() == {1: "ready"}
    assert predictor.shown == []


# -- starting -----------------------------------------------------------------------------------------------


def test_a_staged_result_binds_the_next_call_to_a_bounded_depth() -> None:
    t, predictor = chained()
    assert t.ends_run("read_a 1", "one") == ["read_a 2"]
    assert t.ends_run("read_a 2", "two") == ["read_a 3"]
    assert t.ends_run("read_a 3", "three") == []
    assert predictor.shown == [["one"], ["one", "two"]]
    [session] = t.core.turns.sessions.values()
    first, second, third = session.predictions
    assert second.why == 'after read_a({"k":1}): because'
    assert third.why == 'after read_a({"k":2}): because'
    assert (round(second.estimate, 9), second.probability) == (0.81, 0.81)
    assert third.estimate == pytest.approx(0.729)
    assert first.start_by < second.start_by


@pytest.mark.parametrize(("depth", "started"), [(0, []), (1, ["read_a 2"])])
def test_how_far_is_the_operator_s_choice(depth: int, started: list[str]) -> None:
    t, predictor = chained(chain_depth=depth)
    assert t.ends_run("read_a 1") == started
    assert len(predictor.shown) == depth
    if started:
        assert t.ends_run("read_a 2") == []


def test_a_predictor_that_does_not_look_ahead_has_no_chains() -> None:
    t = Chained(Scripted(guess(1)))
    t.ask()
    assert t.ends_run("read_a 1") == []
    assert t.core.turns.expectations.failures == 0


def test_a_predictor_s_bug_costs_the_predictions_of_its_turn_and_nothing_else() -> None:
    class Broken(Foresighted):
        def following(self, results: Sequence[FinishedCall], limit: int) -> list[Candidate]:
            raise ZeroDivisionError

    t = Chained(Broken(guess(1), after={}))
    t.ask()
    assert t.ends_run("read_a 1") == []
    assert t.core.turns.expectations.failures == 1
    t.seals("read_a")
    assert t.calls("read_a", "c1") == []
    assert t.outcomes() == {1: "reused"}


def test_what_was_staged_in_an_earlier_turn_and_is_expected_now_leads_on_too() -> None:
    predictor = Foresighted(guess(1), after={(1,): [guess(2)]})
    t = Chained(predictor)
    t.ask()
    t.seals("read_b", arguments='{"k": 9}')
    t.ends()
    t.ends_run("read_a 1")
    t.answers()
    predictor.now_expected = [guess(1)]
    t.ask()
    assert t.outcomes()[2] == "running"


# -- what holds of all that runs ahead holds here -----------------------------------------------------------


def test_nothing_is_chained_that_may_not_run_ahead() -> None:
    predictor = Foresighted(guess(1), after={(1,): [guess(2, "read_b"), guess(3, "write_a"), guess(4, "edit")]})
    t = Chained(predictor, allow=("read_a",))
    t.ask()
    assert t.ends_run("read_a 1") == []


def test_nothing_is_chained_while_a_write_is_open_that_it_would_read() -> None:
    t, _ = chained()
    t.hears(CallOpened(0, "c1", "write_b"))
    predictor = t.core.turns.expectations._turns[t.turn].predictor
    assert isinstance(predictor, Foresighted)
    predictor.behind[1,] = [guess(2, "read_b"), guess(2, "read_a")]
    assert t.ends_run("read_a 1") == ["read_a 2"]


def test_each_result_leads_to_as_many_as_the_operator_allows_and_only_to_likely_ones() -> None:
    many = [guess(k) for k in range(2, 9)]
    t = Chained(Foresighted(guess(1), after={(1,): many}), candidates=2, slots=64)
    t.ask()
    t.ends_run("read_a 1")
    assert set(t.outcomes()) == {1, 2, 3}
    t = Chained(Foresighted(guess(1), after={(1,): [guess(2, probability=0.5)]}), min_probability=0.5)
    t.ask()
    assert t.ends_run("read_a 1") == []


@pytest.mark.parametrize("paid", ["read_a", "read_b"])
def test_what_costs_money_neither_leads_on_nor_is_led_to(paid: str) -> None:
    specs = {**SPECS, paid: msgspec.structs.replace(SPECS[paid], price=0.01)}
    t = Chained(Foresighted(guess(1), after={(1,): [guess(2, "read_b")]}), specs)
    t.ask()
    assert t.ends_run("read_a 1") == []


def test_a_page_that_nobody_asked_for_writes_no_call_that_leaves_the_house() -> None:
    """Whole values of it may go, as those of any result; what is made of them may not."""
    specs = {**SPECS, "read_b": msgspec.structs.replace(SPECS["read_b"], network=True)}
    predictor = Foresighted(guess(1), after={(1,): [guess(1718, "read_b"), guess(17, "read_b")]})
    t = Chained(predictor, specs, network={"read_b": NetworkConfig()})
    t.ask()
    t.ends_run("read_a 1", json.dumps({"found": [17, 18]}))
    assert sorted(t.outcomes()) == [1, 17]
    assert [one["tool"] for one in t.notes("kept back")] == ["read_b"]


def test_a_call_that_was_refused_a_start_in_this_turn_is_not_chained() -> None:
    t, predictor = chained()
    predictor.behind[1,] = [guess(1)]
    assert t.ends_run("read_a 1") == []


def test_nothing_is_chained_where_the_next_turn_would_hide_it_as_well() -> None:
    predictor = Foresighted(guess(1), after={(1,): [guess(2)]})
    for takes, started in ((0.2, []), (SLOW_S, ["read_a 2"])):
        t = Chained(predictor, takes=takes)
        t.ask()
        assert t.ends_run("read_a 1") == started


def test_nothing_is_chained_behind_what_the_turn_has_asked_for() -> None:
    t, predictor = chained()
    t.seals("read_a")
    assert t.ends_run("read_a 1") == []
    assert predictor.shown == []


# -- ending -------------------------------------------------------------------------------------------------


def test_it_is_used_in_the_turn_after() -> None:
    t, predictor = chained()
    t.ends_run("read_a 1")
    t.seals("read_a")
    t.ends()
    assert t.calls("read_a", "c1") == []
    assert t.outcomes() == {1: "reused", 2: "running"}
    t.ends_run("read_a 2")
    t.answers()
    predictor.now_expected = []
    t.ask()
    t.seals("read_a", "c2", '{"k": 2}')
    t.ends()
    assert t.calls("read_a", "c2", b'{"k": 2}') == []
    assert t.outcomes() == {1: "reused", 2: "reused"}
    assert t.core.broker.ledger.chained == {"started": 1, "claimed": 1}


def test_a_turn_that_asks_for_something_else_ends_it() -> None:
    t, _ = chained()
    t.ends_run("read_a 1")
    t.ends_run("read_a 2")
    t.seals("read_a", arguments='{"k": 7}')
    t.ends()
    assert t.outcomes() == {1: "ready", 2: "discarded", 3: "discarded"}


def test_a_write_ends_it_with_what_it_is_chained_to() -> None:
    t, predictor = chained()
    predictor.behind[1,] = [guess(2, "read_b")]
    t.ends_run("read_a 1")
    t.hears(CallSealed(0, "c1", "write_a", '{"k": 1}'))
    assert t.outcomes() == {1: "voided", 2: "discarded"}


def test_it_may_wait_for_a_slot_beyond_the_end_of_the_turn() -> None:
    t, predictor = chained(slots=3)
    predictor.now_expected = [guess(6), guess(7)]
    other = Talk(t.core, Identity(session="other"))
    other.ask()
    predictor.now_expected = [guess(1)]
    t.ends_run("read_a 1")
    [mine, *_] = t.core.turns.sessions.values()
    assert [one.outcome for one in mine.predictions] == ["ready", "queued"]
    t.seals("read_a")
    t.ends()
    assert [one.outcome for one in mine.predictions] == ["ready", "queued"]


# -- isolation ----------------------------------------------------------------------------------------------


def looked_up(depth: int) -> tuple[PatternPredictor, Chained]:
    """A customer's record is staged, which names the order; the model asks for neither."""
    predictor, [find, customer, _] = order_desk(), steps(77)
    specs = {
        name: msgspec.structs.replace(SPECS["read_a"], name=name, parameters={"type": "object"})
        for name in ("find", "customer", "order")
    }
    t = Chained(predictor, specs, allow=tuple(specs), chain_depth=depth)
    functions = [{"name": name, "parameters": {"type": "object"}} for name in specs]
    tools = [{"type": "function", "function": one} for one in functions]
    t.messages = talked("find", find)
    t.ask(tools=tools)
    t.ends_run(f"customer {json.dumps(customer.arguments)}", customer.text)
    t.hears(ContentText("Hm."))
    t.ends()
    t.messages += [{"role": "assistant", "content": "Hm."}, {"role": "user", "content": "Go on."}]
    t.ask(tools=tools)
    return predictor, t


def talked(tool: str, call: FinishedCall) -> list[dict[str, Any]]:
    function = {"name": tool, "arguments": json.dumps(call.arguments)}
    asked = {"id": "f1", "type": "function", "function": function}
    return [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [asked]},
        {"role": "tool", "tool_call_id": "f1", "content": call.text},
    ]


def test_a_result_that_nobody_asked_for_leaves_no_trace() -> None:
    (unchained, without), (predictor, chained) = looked_up(0), looked_up(2)
    assert 'order {"order": "#W00077"}' in chained.runs
    assert 'order {"order": "#W00077"}' not in without.runs
    assert repr(list(predictor.ledger.groups())) == repr(list(unchained.ledger.groups()))
    [session] = chained.core.turns.sessions.values()
    told = repr([session.history.history.calls, session.history.history.said, list(session.notes)])
    assert "W00077" not in told
    assert ("str", "#W00077") not in session.history.history.memory.values
    [other] = without.core.turns.sessions.values()
    kept = [held(one.history.history.memory) for one in (session, other)]
    for one in kept:
        del one["looks"]
    assert kept[0] == kept[1]
