import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.ledger import TOTAL, Ledger
from paste_proxy.predict.model import Call, Candidate, FinishedCall, History, Predictor
from paste_proxy.predict.predictor import PARTS, PatternPredictor
from paste_proxy.predict.signatures import finished_call

TOOLS = ["search", "open", "read", "edit", "test", "status"]


def call(tool: str, arguments: dict[str, Any], result: Any = "ok") -> FinishedCall:
    return finished_call(tool, arguments, result if isinstance(result, str) else json.dumps(result))


def predictor_of(sessions: list[list[FinishedCall]]) -> Predictor:
    """A predictor that has seen these sessions, one call per turn."""
    predictor = PatternPredictor(Ledger())
    for number, calls in enumerate(sessions):
        history = History(calls=[], session=str(number))
        for made in calls:
            predictor.learn(history, [Call(made.tool, made.arguments)])
            history.calls.append(made)
        predictor.learn(history, [])
    return predictor


def predicted(predictor: Predictor, *calls: FinishedCall, limit: int = 3) -> list[tuple[str, dict[str, Any]]]:
    found = predictor.predict(History(calls=list(calls), session="new"), TOOLS, limit)
    return [(candidate.tool, candidate.arguments) for candidate in found]


def searched(number: int) -> FinishedCall:
    return call("search", {"query": f"q{number}"}, [{"name": f"r{number}{x}"} for x in "abc"])


def test_nothing_is_predicted_from_nothing() -> None:
    assert predicted(predictor_of([])) == []
    assert predicted(predictor_of([]), searched(1)) == []


def test_the_first_result_is_opened_then_the_next() -> None:
    sessions = [
        [searched(n), call("open", {"name": f"r{n}a"}), call("open", {"name": f"r{n}b"})] for n in range(20)
    ]
    predictor = predictor_of(sessions)
    assert predicted(predictor, searched(99))[0] == ("open", {"name": "r99a"})
    opened = call("open", {"name": "r99a"})
    assert predicted(predictor, searched(99), opened)[0] == ("open", {"name": "r99b"})


@pytest.mark.parametrize("part", PARTS)
def test_any_part_can_be_left_out(part: str) -> None:
    predictor = PatternPredictor(Ledger(), frozenset({part}))
    for number in range(20):
        history = History(calls=[], session=str(number))
        for made in (searched(number), call("open", {"name": f"r{number}a"})):
            predictor.learn(history, [Call(made.tool, made.arguments)])
            history.calls.append(made)
    assert ("open", {"name": "r99a"}) in predicted(predictor, searched(99))


def test_arguments_from_several_places() -> None:
    sessions = [
        [
            call("search", {"query": f"q{n}", "lang": "en"}, {"best": {"id": n}}),
            call("open", {"id": n, "lang": "en"}),
        ]
        for n in range(100, 120)
    ]
    new = call("search", {"query": "x", "lang": "fr"}, {"best": {"id": 7}})
    assert predicted(predictor_of(sessions), new)[0] == ("open", {"id": 7, "lang": "fr"})


def test_a_number_is_proposed_as_the_kind_that_it_always_was() -> None:
    sessions = [[call("search", {"query": f"q{n}", "limit": 5 + n % 2}), searched(n)] for n in range(20)]
    predictor = predictor_of(
        [*sessions, *([call("open", {"id": n}), call("open", {"id": n})] for n in range(9))]
    )
    for first in (call("search", {"query": "x", "limit": 5}), call("open", {"id": 7})):
        found = predictor.predict(History(calls=[first]), TOOLS, 16)
        values = [value for one in found for name, value in one.arguments.items() if name in ("limit", "id")]
        assert values
        assert all(type(value) is int for value in values)


def test_optional_arguments_stay_absent() -> None:
    sessions = [[searched(n), call("open", {"name": f"r{n}a"})] for n in range(10)]
    sessions += [[searched(n), call("open", {"name": f"r{n}a", "query": f"q{n}"})] for n in range(10, 14)]
    assert predicted(predictor_of(sessions), searched(99))[:2] == [
        ("open", {"name": "r99a"}),
        ("open", {"name": "r99a", "query": "q99"}),
    ]


def test_a_path_in_an_error_is_read() -> None:
    def failed(n: int) -> FinishedCall:
        return call("test", {}, f"Error: assertion failed in src/mod{n}.py:12")

    sessions = [[failed(n), call("read", {"path": f"src/mod{n}.py"})] for n in range(10)]
    assert predicted(predictor_of(sessions), failed(99))[0] == ("read", {"path": "src/mod99.py"})


def test_outcomes_tell_contexts_apart() -> None:
    sessions = [
        session
        for n in range(10)
        for session in (
            [call("test", {}, f"Error: src/m{n}.py"), call("read", {"path": f"src/m{n}.py"})],
            [call("test", {}, f"passed src/m{n}.py"), call("status", {})],
        )
    ]
    predictor = predictor_of(sessions)
    assert predicted(predictor, call("test", {}, "passed src/m99.py"), limit=1) == [("status", {})]
    assert predicted(predictor, call("test", {}, "Error: src/m99.py"), limit=1) == [
        ("read", {"path": "src/m99.py"})
    ]


def test_a_call_of_earlier_arguments_may_be_repeated() -> None:
    def tested(n: int) -> FinishedCall:
        return call("test", {"target": f"t{n}"}, "failed")

    def edited(n: int) -> FinishedCall:
        return call("edit", {"text": f"unforeseeable {n}"}, "done")

    predictor = predictor_of([[tested(n), edited(n), tested(n)] for n in range(10)])
    assert predicted(predictor, tested(99), edited(99)) == [("test", {"target": "t99"})]


def test_a_page_is_not_opened_twice() -> None:
    sessions = [[searched(n), call("open", {"name": f"r{n}a"})] for n in range(20)]
    made = [searched(99), *(call("open", {"name": f"r99{x}"}) for x in "abc"), searched(99)]
    found = predictor_of(sessions).predict(History(calls=made), TOOLS, 3)
    assert all(candidate.probability < 0.1 for candidate in found)


def test_all_calls_of_a_parallel_turn_are_predicted() -> None:
    predictor = PatternPredictor(Ledger())
    for number in range(20):
        history = History(calls=[searched(number)], session=str(number))
        predictor.learn(history, [Call("open", {"name": f"r{number}{x}"}) for x in "abc"])
    found = predictor.predict(History(calls=[searched(99)]), TOOLS, 3)
    assert {candidate.arguments["name"] for candidate in found} == {"r99a", "r99b", "r99c"}
    assert min(candidate.probability for candidate in found) > 0.3


def test_a_word_that_becomes_common_within_a_turn_harms_nothing() -> None:
    """The call before makes it common, so that the next one is of another symbol than it was looked at as."""
    predictor = PatternPredictor(Ledger())
    for number in range(5):
        turn = [Call("write", {"note": "make one image", "path": f"{number}{x}.png"}) for x in "abb"]
        predictor.learn(History(calls=[], session=str(number)), turn)


def test_patterns_of_one_call_add_up() -> None:
    """Half the sessions bind by the address in text, half by the field; here both give the same call."""
    sessions = []
    for n in range(40):
        where = {"link": f"https://a.b/{n}"} if n % 2 else f"see https://a.b/{n}"
        sessions.append([call("search", {"query": f"q{n}"}, where), call("open", {"url": f"https://a.b/{n}"})])
    both = call("search", {"query": "x"}, {"link": "https://a.b/new"})
    candidate = predictor_of(sessions).predict(History(calls=[both]), TOOLS, 3)[0]
    assert candidate.arguments == {"url": "https://a.b/new"}
    assert candidate.estimate > 0.6


def test_probability_is_cautious_and_explained() -> None:
    sessions = [[searched(n), call("open", {"name": f"r{n}a"})] for n in range(3)]
    candidate = predictor_of(sessions).predict(History(calls=[searched(9)]), TOOLS, 3)[0]
    assert 0 < candidate.probability < candidate.estimate < 0.9
    assert candidate.why.startswith("open(name: $[*].name in search's result) after search (ok)")


def test_only_allowed_tools_and_within_the_limit() -> None:
    predictor = predictor_of([[searched(n), call("open", {"name": f"r{n}{'abc'[n % 3]}"})] for n in range(30)])
    history = History(calls=[searched(99)])
    assert predictor.predict(history, ["search"], 3) == []
    assert predictor.predict(history, TOOLS, 0) == []
    assert len(predictor.predict(history, TOOLS, 2)) == 2


NAMES = st.sampled_from(["a", "id", "name", "", "x y", "\ud800", "results"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats()
    | st.sampled_from(["a", "b", "a/b", "http://a.b"])
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(NAMES, v, max_size=4), max_leaves=12
)
CALLS = st.builds(
    FinishedCall,
    tool=st.sampled_from(["search", "open", "", "odd tool"]),
    arguments=st.dictionaries(NAMES, VALUES, max_size=3),
    outcome=st.sampled_from(["ok", "error"]),
    text=st.text(max_size=20),
    value=VALUES,
    addresses=st.lists(st.sampled_from(["http://a.b", "http://c"])).map(tuple),
    paths=st.lists(st.sampled_from(["a/b", "c.py"])).map(tuple),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CALLS, max_size=12), st.integers(-1, 5))
def test_any_history_is_taken_and_gives_sound_candidates(calls: list[FinishedCall], limit: int) -> None:
    first, second = (_after(calls, limit) for _ in range(2))
    assert repr(first) == repr(second)
    assert len(first) <= max(limit, 0)
    assert all(0 <= c.probability <= c.estimate <= 1 for c in first)
    assert [c.estimate for c in first] == sorted((c.estimate for c in first), reverse=True)
    assert len({repr((c.tool, sorted(c.arguments.items()))) for c in first}) == len(first)


def _after(calls: list[FinishedCall], limit: int) -> list[Candidate]:
    predictor = PatternPredictor(Ledger())
    for end, made in enumerate(calls):
        predictor.learn(History(calls=calls[:end]), [Call(made.tool, made.arguments)] * (end % 3))
    return predictor.predict(History(calls=calls), ["search", "open", ""], limit)


def test_huge_histories_and_arguments_are_taken() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    wide = {f"k{n}": n for n in range(50_000)}
    odd = FinishedCall(tool="search", arguments=wide, outcome="ok", text="", value=[wide] * 50)
    calls = [odd, msgspec.structs.replace(odd, arguments={"deep": deep}, value=deep)] * 500
    predictor = PatternPredictor(Ledger())
    predictor.learn(
        History(calls=calls), [Call("search", wide), Call("open", {"deep": deep}), Call("open", {"id": 7})]
    )
    assert isinstance(predictor.predict(History(calls=calls), TOOLS, 3), list)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CALLS, min_size=1, max_size=6), min_size=1, max_size=4), st.data())
def test_what_is_learnt_does_not_depend_on_what_was_asked(
    sessions: list[list[FinishedCall]], data: st.DataObject
) -> None:
    """What was expected in the turn is learnt from as it was, or found anew if nobody asked: the same table."""
    asked, silent = PatternPredictor(Ledger()), PatternPredictor(Ledger())
    tools = sorted({one.tool for calls in sessions for one in calls})
    for number, calls in enumerate(sessions):
        histories = [History([], session=str(number)) for _ in range(2)]
        while calls:
            turn = data.draw(st.integers(1, min(3, len(calls))))
            wanted = [Call(one.tool, one.arguments) for one in calls[:turn]]
            begun = asked.begin(histories[0], tools)
            begun.candidates(3)
            for one in wanted:
                begun.named(one.tool)
                begun.candidates(3)
                begun.asked(one)
                begun.candidates(3)
            asked.learn(histories[0], wanted)
            silent.learn(histories[1], wanted)
            for history in histories:
                history.calls.extend(calls[:turn])
            calls = calls[turn:]
    assert dict(asked.ledger.groups()) == dict(silent.ledger.groups())


def test_a_turn_of_many_calls_is_learnt_from_in_bounds() -> None:
    """Of each argument that it comes; not where its value is from, once enough values were ranked."""
    places = {f"a{letter}": f"X{number}" for number, letter in enumerate("abcdefghijkl")}
    listed = finished_call("list", {}, json.dumps([{"id": f"X{n}"} for n in range(60)]))
    predictor = PatternPredictor(Ledger())
    for session in "ab":
        calls = [Call(f"tool_{letter}", places) for letter in "abcdefghijkl"]
        predictor.learn(History(calls=[listed], session=session), calls)
    learnt, told = (
        sum(group[TOTAL] for key, group in predictor.ledger.groups() if key[0] == section)
        for section in ("proposed", "arguments")
    )
    assert told == 2 * 12
    assert 12 * 12 < learnt < 2 * 12 * 12
