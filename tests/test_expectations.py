"""Turns and what is expected of them, as transcripts: what runs ahead, at which level."""

import json

import msgspec
import pytest

from paste_proxy.config import Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.expecting import LOOK_AFTER
from paste_proxy.grammar.events import ArgumentSealed, CallOpened, ContentText, Foreseen, ReasoningText
from paste_proxy.predict.model import Call, Candidate, Fixed
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.guesses import Scripted, guess, predictions, talk
from tests.talk import Talk

PIECE = "x" * 512


# -- levels -------------------------------------------------------------------------------------------------


def test_what_is_heard_brings_new_candidates_of_their_level() -> None:
    predictor = Scripted(guess(1))
    predictor.after = {
        repr(PIECE): [guess(2)],
        "'read_b'": [guess(3, "read_b")],
        "('x', 4)": [guess(4, "read_b")],
    }
    t = talk(predictor)
    t.ask()
    t.hears(ContentText(PIECE), CallOpened(0, "c1", "read_b"), ArgumentSealed(0, ("x",), 4))
    assert [(tool, k, level) for tool, k, level, _ in predictions(t)] == [
        ("read_a", 1, 0),
        ("read_a", 2, 1),
        ("read_b", 3, 2),
        ("read_b", 4, 3),
    ]
    t.seals("read_b", arguments='{"k": 4}')
    t.calls("read_b", "c1", b'{"k": 4}')
    assert predictions(t)[-1][3] in ("joined", "promoted")


def test_a_call_that_is_all_written_is_no_guess_any_more() -> None:
    predictor = Scripted()
    predictor.after = {"('k', 4)": [guess(4, "read_b")]}
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(CallOpened(0, "c1", "read_b"), ArgumentSealed(0, ("k",), 4))
    assert predictions(t) == []


def test_reasoning_is_heard_as_text_is() -> None:
    predictor = Scripted()
    predictor.after = {repr(PIECE): [guess(2)]}
    t = talk(predictor)
    t.ask()
    assert t.hears(ReasoningText(PIECE)) == ["read_a speculative"]


def test_little_text_is_heard_but_not_looked_at() -> None:
    predictor = Scripted()
    predictor.after = {repr("x" * 128): [guess(1)]}
    t = talk(predictor)
    t.ask()
    for _ in range(3):
        assert t.hears(ContentText("x" * 128)) == []
    assert t.hears(ContentText("x" * 128)) == ["read_a speculative"]
    assert predictor.said == ["x" * 128] * 4


def test_a_long_text_is_looked_at_ever_more_rarely() -> None:
    class Counting(Scripted):
        looks = 0

        def candidates(self, limit: int) -> list[Candidate]:
            self.looks += 1
            return []

    predictor = Counting()
    t = talk(predictor)
    t.ask()
    for _ in range(200):
        t.hears(ContentText(PIECE))
    assert 8 < predictor.looks < 14
    assert len(predictor.said) == 200


def test_what_is_foreseen_is_heard_once() -> None:
    predictor = Scripted()
    t = talk(predictor)
    t.ask()
    for event in (CallOpened(0, "", "read_b"), ArgumentSealed(0, ("k",), 4)):
        t.hears(Foreseen(event), event)
    t.hears(ArgumentSealed(0, ("k", "deeper"), 4))
    assert predictor.said == ["read_b", ("k", 4)]


def test_a_complete_call_has_the_next_one_of_its_turn_expected() -> None:
    predictor = Scripted()
    predictor.after = {repr(Call("read_a", {"k": 1})): [guess(1), guess(2)]}
    t = talk(predictor)
    t.ask()
    t.seals("read_a")
    assert [(k, level) for _, k, level, _ in predictions(t)] == [(2, 0)]


def test_a_run_that_failed_is_not_tried_again_in_its_turn() -> None:
    t = talk(Scripted(guess(1)))
    t.ask()
    [session] = t.core.turns.sessions
    t.core.broker.discard_session(session, t.now)
    assert t.hears(ContentText(PIECE), CallOpened(0, "c1", "read_a")) == []
    assert predictions(t) == [("read_a", 1, 0, "discarded")]


def test_each_level_has_as_many_candidates_as_the_operator_allows() -> None:
    predictor = Scripted(*(guess(k) for k in range(9)))
    predictor.after = {repr(PIECE): [guess(k) for k in range(10, 19)]}
    t = talk(predictor)
    t.ask()
    t.hears(ContentText(PIECE), ContentText(PIECE))
    assert [k for _, k, _, _ in predictions(t)] == [0, 1, 2, 10, 11, 12]


# -- worth --------------------------------------------------------------------------------------------------


def test_candidates_are_taken_by_their_worth_and_only_if_they_have_any() -> None:
    guesses = (guess(1, probability=0.3), guess(2, probability=0.9), guess(3, probability=0.03))
    t = talk(Scripted(*guesses), "shadow")
    t.ask()
    [session] = t.core.turns.sessions.values()
    assert [one.arguments["k"] for one in session.predictions] == [2, 1, 3]
    values = [one.value_s for one in session.predictions]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


def test_nothing_of_a_fast_tool_runs_ahead_however_sure() -> None:
    t = talk(Scripted(guess(1), guess(2)))
    for _ in range(20):
        t.core.broker.values.served("read_a", 0.001)
    t.ask()
    assert predictions(t) == []


def test_nothing_runs_ahead_where_authoritative_work_has_all_slots_of_a_tool() -> None:
    t = talk(Scripted(guess(1)))
    for k in range(10, 10 + SPECS["read_a"].concurrency):
        t.calls("read_a", arguments=b'{"k": %d}' % k)
    t.calls("read_a", arguments=b'{"k": 9}')
    assert t.core.broker.pressure("read_a") == 1.0
    t.core.broker.values.served("read_a", 100.0)
    t.ask()
    assert predictions(t) == []


def test_of_a_tool_with_a_price_one_candidate_runs_per_turn_and_only_a_likely_one() -> None:
    paid = msgspec.structs.replace(SPECS["read_a"], price=0.01)
    config = Config(speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0))

    def of_two(probability: float) -> list[int]:
        predictor = Scripted(guess(1, probability=probability), guess(2, probability=probability))
        t = Talk(Core(ToolTable({**SPECS, "read_a": paid}), config, predictor))
        t.ask()
        return [k for _, k, _, _ in predictions(t)]

    assert of_two(0.9) == [1]
    assert of_two(0.3) == []


def test_a_predictor_that_says_what_is_news_is_asked_soon_after() -> None:
    class Listening(Scripted):
        def heard(self, text: str) -> bool:  # type: ignore[override]
            super().heard(text)
            return "news" in text

    predictor = Listening()
    predictor.after = {repr("news"): [guess(2)]}
    t = talk(predictor)
    t.ask()
    assert t.hears(ReasoningText(PIECE), ReasoningText("news")) == ["read_a speculative"]
    predictor.after = {repr("more news"): [guess(3, "read_b")]}
    assert t.hears(ReasoningText("more news")) == []
    assert t.hears(ReasoningText("x" * LOOK_AFTER)) == ["read_b speculative"]


def test_a_name_brings_no_look_where_all_that_may_come_is_on_its_way() -> None:
    class Counting(Scripted):
        looks = 0

        def candidates(self, limit: int) -> list[Candidate]:
            self.looks += 1
            return super().candidates(limit)

    predictor = Counting(*(guess(k) for k in range(3)))
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(CallOpened(0, "c1", "read_a"))
    assert predictor.looks == 1
    t.hears(CallOpened(1, "c2", "read_b"))
    assert predictor.looks == 2


@pytest.mark.parametrize("says", [True, None])
def test_a_name_has_what_the_last_words_said_looked_at(says: bool | None) -> None:
    """In fewer characters than bring a look of their own."""

    class Listening(Scripted):
        def heard(self, text: str) -> bool | None:  # type: ignore[override]
            super().heard(text)
            return says

    predictor = Listening(*(guess(k) for k in range(3)))
    predictor.after = {repr("k is 4"): [guess(4)]}
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(ContentText("k is 4"))
    assert len(predictions(t)) == 3
    t.hears(CallOpened(0, "c1", "read_a"))
    assert predictions(t)[3:] == [("read_a", 4, 2, "held")]


def test_a_name_has_words_looked_at_that_are_news_with_it_alone() -> None:
    """The last word waits for its rest."""

    class Listening(Scripted):
        def heard(self, text: str) -> bool:  # type: ignore[override]
            return False

        def named(self, tool: str) -> bool:  # type: ignore[override]
            super().named(tool)
            return True

    predictor = Listening(*(guess(k) for k in range(3)))
    predictor.after = {repr("read_a"): [guess(4)]}
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(ContentText("k is 4"), CallOpened(0, "c1", "read_a"))
    assert predictions(t)[3:] == [("read_a", 4, 2, "held")]


def test_a_name_has_text_looked_at_for_which_its_level_had_no_candidates_left() -> None:
    predictor = Scripted()
    more = "y" * 1024
    predictor.after = {repr(PIECE): [guess(k) for k in range(3)], repr(more): [guess(4)]}
    t = talk(predictor, "shadow")
    t.ask()
    t.hears(ContentText(PIECE), ContentText(more))
    assert len(predictions(t)) == 3
    t.hears(CallOpened(0, "c1", "read_a"))
    assert predictions(t)[3:] == [("read_a", 4, 2, "held")]


def test_leads_are_learnt_where_calls_are_sealed() -> None:
    t = talk(Scripted(guess(1, "read_b")))
    t.ask()
    t.now += 20
    t.seals("read_b", arguments='{"k": 7}')
    values = t.core.broker.values
    assert [lead for _, lead in values._lead_there] == [("read_b", False)]
    t.ends()
    t.answers()
    t.ask()
    t.hears(CallOpened(0, "c2", "read_b"))
    t.seals("read_b", "c2", arguments='{"k": 8}')
    assert [lead for _, lead in values._lead_there] == [("read_b", False), ("read_b", True)]


def test_a_predictor_that_fails_in_a_turn_costs_its_predictions_alone() -> None:
    class Broken(Scripted):
        def heard(self, text: str) -> None:
            raise ZeroDivisionError

    t = talk(Broken())
    t.ask()
    assert t.hears(ContentText(PIECE), ContentText(PIECE)) == []
    assert t.core.turns.expectations.failures == 1
    assert t.seals("read_a") == ["read_a decided"]


def test_nothing_is_kept_of_turns_that_are_over() -> None:
    t = talk(Scripted(guess(1)), "shadow")
    t.ask()
    t.ends()
    t.ask()
    for session in list(t.core.turns.sessions):
        t.core.turns.forget(session, t.now)
    t.ends(complete=False)
    expectations = t.core.turns.expectations
    assert not expectations._turns
    assert not expectations.shadow._sessions


def test_what_hears_nothing_expects_the_same_whatever_it_is_told() -> None:
    fixed = Fixed([guess(1), guess(2)])
    fixed.heard("x")
    fixed.named("x")
    fixed.argued("x", 1)
    fixed.asked(Call("x", {}))
    assert fixed.candidates(1) == [guess(1)]
    assert fixed.candidates(-1) == []


def test_predictions_of_a_session_are_bounded() -> None:
    t = talk(Scripted(), "shadow")
    t.ask()
    [session] = t.core.turns.sessions.values()
    for k in range(1000):
        session.predictions.append(session.new_prediction(0.0, guess(k), 0, 0.0))
    assert len(session.predictions) == 64
    long = Candidate("read_a", {"k": "x" * 10_000}, 0.9, "y" * 10_000)
    assert len(json.dumps(session.new_prediction(0.0, long, 0, 0.0).arguments)) < 1000
