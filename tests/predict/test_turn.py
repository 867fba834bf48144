import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.heard import BATCH, LONGEST
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import Call, Candidate, FinishedCall, History
from paste_proxy.predict.predictor import PatternPredictor
from paste_proxy.predict.signatures import finished_call
from paste_proxy.predict.turn import Turn

TOOLS = ["search", "open", "read"]


def call(tool: str, arguments: dict[str, Any], result: Any = "ok") -> FinishedCall:
    return finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))


def searched(number: int) -> FinishedCall:
    return call("search", {"query": f"q{number}"}, [{"name": f"R{number}{x}"} for x in "abc"])


def learnt(sessions: int = 24) -> PatternPredictor:
    """After a search any of three results is opened, or one is read: the turn's text says which."""
    predictor = PatternPredictor(Ledger())
    for number in range(sessions):
        history = History(calls=[], session=str(number))
        predictor.learn(history, [Call("search", {"query": f"q{number}"})])
        history.calls.append(searched(number))
        name = f"R{number}{'abc'[number % 3]}"
        asked = Call("read" if number % 4 == 3 else "open", {"name": name})
        predictor.begin(history, TOOLS).heard(f"I look at {name} now.\n")
        predictor.learn(history, [asked])
        history.calls.append(call(asked.tool, asked.arguments))
        predictor.learn(history, [])
    return predictor


def begun(predictor: PatternPredictor) -> tuple[Turn, History]:
    history = History(calls=[searched(99)], session="new")
    return predictor.begin(history, TOOLS), history


def first(turn: Turn) -> tuple[str, dict[str, Any]]:
    [candidate] = turn.candidates(1)
    return candidate.tool, candidate.arguments


def chance(turn: Turn, tool: str, name: str) -> float:
    found = [one for one in turn.candidates(9) if (one.tool, one.arguments) == (tool, {"name": name})]
    return found[0].estimate if found else 0.0


def test_a_value_that_the_text_names_is_likelier() -> None:
    turn, _ = begun(learnt())
    before = chance(turn, "open", "R99c")
    turn.heard("Now R99c is what ")
    assert first(turn) == ("open", {"name": "R99c"})
    assert chance(turn, "open", "R99c") > before
    assert "level 1" in turn.candidates(1)[0].why


def test_a_word_is_heard_once_it_is_whole_however_it_comes() -> None:
    predictor = learnt()
    text = "So R99b, or rather not R99 but R99b it is."
    whole, _ = begun(predictor)
    whole.heard(text + "\n")
    pieces, _ = begun(predictor)
    for piece in text:
        pieces.heard(piece)
    assert pieces.candidates(3) == whole.candidates(3)


def test_the_last_word_is_whole_when_a_call_begins() -> None:
    predictor = learnt()
    turn, history = begun(predictor)
    turn.heard("I open R99c")
    assert chance(turn, "open", "R99c") < 0.6
    turn.named("open")
    assert first(turn) == ("open", {"name": "R99c"})
    assert history.memory.heard.places(("str", "R99c")) == (2, 2)


def test_of_a_named_tool_only_its_calls_are_expected() -> None:
    turn, _ = begun(learnt())
    assert first(turn)[0] == "open"
    turn.named("read")
    assert {candidate.tool for candidate in turn.candidates(9)} == {"read"}
    assert "level 2" in turn.candidates(1)[0].why
    turn.argued("name", "R99b")
    assert turn.candidates(9) == []  # nothing of it is left to foresee


def test_of_a_call_with_some_arguments_the_others_are_expected() -> None:
    predictor = PatternPredictor(Ledger())
    for number in range(20):
        history = History(calls=[searched(number)], session=str(number))
        asked = {"mode": "xy"[number % 2], "name": f"R{number}{'ab'[number % 2]}"}
        predictor.learn(history, [Call("open", asked)])
    turn, _ = begun(predictor)
    turn.named("open")
    turn.argued("mode", "y")
    assert first(turn)[1]["mode"] == "y"
    assert {candidate.arguments["name"] for candidate in turn.candidates(2)} == {"R99a", "R99b"}
    assert "level 3" in turn.candidates(1)[0].why


def test_a_tool_that_the_text_names_is_likelier() -> None:
    silent, _ = begun(learnt())
    silent.heard("I will be looking at R99b, then, to ")
    named, _ = begun(learnt())
    named.heard("I will be reading R99b, then, to ")
    assert chance(named, "read", "R99b") > chance(silent, "read", "R99b")


def test_it_says_when_another_look_is_worth_it() -> None:
    turn, _ = begun(learnt())
    turn.candidates(3)
    assert not turn.heard("x " * BATCH)
    assert turn.heard(f"R99c {'x ' * BATCH}")
    turn.candidates(3)
    assert not turn.heard(f"R99c {'x ' * BATCH}")
    assert turn.heard(f"reading {'x ' * BATCH}")


def test_of_values_that_the_text_names_those_given_already_are_done() -> None:
    predictor = PatternPredictor(Ledger())
    for number in range(30):
        history = History(calls=[searched(number)], session=str(number))
        both = [f"R{number}{x}" for x in ("ca", "ab", "bc")[number % 3]]
        predictor.begin(history, TOOLS).heard(f"Both {both[0]} and {both[1]} matter.\n")
        predictor.learn(history, [Call("open", {"name": name}) for name in both])
    turn, _ = begun(predictor)
    turn.heard("Both R99b and R99a matter. ")
    assert first(turn) == ("open", {"name": "R99b"})
    turn.asked(Call("open", {"name": "R99b"}))
    assert first(turn) == ("open", {"name": "R99a"})


def test_what_no_call_of_the_tool_has_leaves_nothing_to_expect() -> None:
    turn, _ = begun(learnt())
    turn.named("read")
    turn.argued("other", 1)
    assert turn.candidates(3) == []
    turn.named("never seen")
    assert turn.candidates(3) == []


def test_after_a_call_the_next_one_of_the_turn_is_expected() -> None:
    predictor = PatternPredictor(Ledger())
    for number in range(20):
        history = History(calls=[searched(number)], session=str(number))
        predictor.learn(history, [Call("open", {"name": f"R{number}{x}"}) for x in "abc"])
    turn, history = begun(predictor)
    assert first(turn) == ("open", {"name": "R99a"})
    turn.asked(Call("open", {"name": "R99a"}))
    assert first(turn) == ("open", {"name": "R99b"})
    again = predictor.begin(history, TOOLS)
    assert first(again) == ("open", {"name": "R99a"})


def test_expecting_the_whole_turn_changes_nothing() -> None:
    predictor = learnt()
    turn, _ = begun(predictor)
    before = turn.candidates(3)
    turn.whole_turn(3)
    assert turn.candidates(3) == before


def test_only_tools_that_may_be_called_are_expected() -> None:
    predictor = learnt()
    history = History(calls=[searched(99)], session="new")
    assert {one.tool for one in predictor.begin(history, ["read"]).candidates(9)} == {"read"}
    assert predictor.begin(history, []).candidates(9) == []


def test_a_text_without_an_end_is_heard_in_parts_and_forgotten() -> None:
    turn, history = begun(learnt())
    started = time.process_time()
    for _ in range(2000):
        turn.heard("x" * 100)
    assert time.process_time() - started < 2.0
    assert len(turn._listening.heard.waiting) <= LONGEST + 100
    assert history.memory.heard._words == []


def test_reaching_is_what_the_extractors_could_give() -> None:
    turn, _ = begun(learnt())
    assert turn.reaches(Call("open", {"name": "R99b"}))
    assert not turn.reaches(Call("open", {"name": "nowhere"}))


EVENTS = st.one_of(
    st.tuples(st.just("heard"), st.sampled_from(["R99a ", "R99", "c and ", "\n", "nothing "])),
    st.tuples(st.just("named"), st.sampled_from(["open", "read", "odd"])),
    st.tuples(st.just("argued"), st.sampled_from(["R99a", "R99b", "odd", "x" * 5000])),
    st.tuples(st.just("asked"), st.sampled_from(["R99a", "R99b", "odd"])),
    st.tuples(st.just("look"), st.integers(1, 4)),
)
PREDICTOR = learnt()


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_whatever_is_told_candidates_are_sound_and_looking_changes_nothing(
    events: list[tuple[str, Any]],
) -> None:
    looked, _ = begun(PREDICTOR)
    found = told(looked, events, looks=True)
    blind, _ = begun(PREDICTOR)
    assert told(blind, events, looks=False) == found
    assert all(0 <= one.probability <= one.estimate <= 1 for one in found)
    assert [one.estimate for one in found] == sorted((one.estimate for one in found), reverse=True)
    assert len({repr((one.tool, one.arguments)) for one in found}) == len(found) <= 3


def told(turn: Turn, events: list[tuple[str, Any]], *, looks: bool) -> list[Candidate]:
    for what, value in events:
        if what == "heard":
            turn.heard(value)
        elif what == "named":
            turn.named(value)
        elif what == "argued":
            turn.argued("name", value)
        elif what == "asked":
            turn.asked(Call("open", {"name": value}))
        elif looks:
            turn.candidates(value)
    return turn.candidates(3)


@pytest.mark.parametrize("limit", [0, -1])
def test_nobody_asks_for_less_than_nothing(limit: int) -> None:
    turn, _ = begun(PREDICTOR)
    assert turn.candidates(max(limit, 0)) == []
    assert turn.whole_turn(0) == []
