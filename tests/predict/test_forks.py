"""What is read into a fork is nowhere else; and a fork goes on as the memory itself would."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from paste_proxy.predict.forks import forked
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.memory import Memory
from paste_proxy.predict.model import Call, History, Said
from paste_proxy.predict.predictor import PatternPredictor
from tests.predict.test_memory import ARGUMENTS, CALLS, RESULTS, call, memory_of, snapshot

DONE = st.lists(st.tuples(CALLS, RESULTS), max_size=5)
TEXTS = st.sampled_from(["Open A1 please", "", "b.py and 13", "B7 B7"])


def everything(memory: Memory) -> tuple[dict[str, Any], str]:
    """What is taken in of the turn, too."""
    return held(memory), repr(vars(memory.heard))


def held(memory: Memory) -> dict[str, Any]:
    return {name: kept for name, kept in snapshot(memory).items() if name not in ("heard", "_supposed")}


@settings(max_examples=200, deadline=None)
@given(
    done=DONE,
    said=TEXTS,
    asked=st.lists(CALLS, max_size=2),
    supposed=st.lists(CALLS, max_size=3),
    ahead=st.lists(st.tuples(CALLS, RESULTS), min_size=1, max_size=3),
)
def test_what_is_read_into_a_fork_changes_nothing(
    done: list[Any], said: str, asked: list[Any], supposed: list[Any], ahead: list[Any]
) -> None:
    memory = memory_of(
        *(call(tool, given, result) for (tool, given), result in done), Said("user", said, len(done))
    )
    for tool, arguments in asked:
        memory.ask(tool, arguments)
    for tool, arguments in supposed:
        memory.suppose(tool, arguments)
    before = everything(memory)
    fork = forked(memory)
    for (tool, arguments), result in ahead:
        fork.ask(tool, arguments)
        fork.suppose(tool, {"id": 99})
        fork.settle()
        fork.answered(call(tool, arguments, result))
        fork.said(Said("user", "and C99", 0))
    assert everything(memory) == before


@settings(max_examples=200, deadline=None)
@given(done=DONE, supposed=st.lists(CALLS, max_size=3), arguments=ARGUMENTS, result=RESULTS)
def test_a_fork_goes_on_as_the_memory_would(
    done: list[Any], supposed: list[Any], arguments: dict[str, Any], result: Any
) -> None:
    memory = memory_of(*(call(tool, given, found) for (tool, given), found in done))
    for tool, others in supposed:
        memory.suppose(tool, others)
    fork = forked(memory)
    memory.settle()
    for one in (memory, fork):
        one.answered(call("open", arguments, result))
    assert held(fork) == held(memory)


def test_a_full_memory_is_forked_as_any_other() -> None:
    texts = [" ".join(f"A{n:05}" for n in range(k, k + 150)) for k in range(0, 6000, 150)]
    memory = memory_of(*(call("look", {}, text) for text in texts))
    before = everything(memory)
    forked(memory).answered(call("look", {}, texts[0]))
    assert everything(memory) == before


# -- the predictor ------------------------------------------------------------------------------------------


def chained(sessions: int = 30) -> PatternPredictor:
    """A customer is found, then the order that the answer names is read."""
    predictor = PatternPredictor(Ledger())
    for number in range(sessions):
        history = History(calls=[], session=str(number))
        for one in steps(number):
            predictor.learn(history, [Call(one.tool, one.arguments)])
            history.calls.append(one)
        predictor.learn(history, [])
    return predictor


def steps(number: int) -> list[Any]:
    customer, order = f"cust_{number:03}", f"#W{number:05}"
    return [
        call("find", {"name": f"name{number}"}, {"customer": customer}),
        call("customer", {"id": customer}, {"order": order, "city": "Oslo"}),
        call("order", {"order": order}, {"state": "sent"}),
    ]


def test_a_staged_result_says_what_follows_as_the_result_itself_would() -> None:
    predictor, tools = chained(), ["find", "customer", "order"]
    find, customer, order = steps(77)
    history = History(calls=[find], session="s")
    turn = predictor.begin(history, tools)
    turn.candidates(3)
    memory, learnt = everything(history.memory), repr(list(predictor.ledger.groups()))
    [first, *_] = turn.following([customer], 3)
    assert (first.tool, first.arguments) == ("order", order.arguments)
    turn.following([customer, order], 3)
    assert everything(history.memory) == memory
    assert repr(list(predictor.ledger.groups())) == learnt
    assert "#W00077" not in json.dumps([one.arguments for one in turn.candidates(9)])
    other = History(calls=[find, customer], session="t")
    seen = predictor.begin(other, tools).candidates(3)
    assert [(one.tool, one.arguments, one.estimate) for one in turn.following([customer], 3)] == [
        (one.tool, one.arguments, one.estimate) for one in seen
    ]


def test_calls_that_the_turn_has_made_already_are_taken_for_asked() -> None:
    predictor, tools = chained(), ["find", "customer", "order"]
    find, customer, order = steps(77)
    turn = predictor.begin(History(calls=[find], session="s"), tools)
    turn.asked(Call("customer", customer.arguments))
    before = [(one.tool, one.arguments) for one in turn.candidates(3)]
    assert [one.tool for one in turn.following([customer], 1)] == ["order"]
    assert [(one.tool, one.arguments) for one in turn.candidates(3)] == before
    assert order.arguments == {"order": "#W00077"}
