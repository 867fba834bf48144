"""Predictors that no real one can be."""

from paste_proxy.lab.virtual.predictors import AlwaysWrong, Oracle, Silent
from paste_proxy.predict.model import Call, History
from tests.lab.virtual.small import SmallScript, SmallWorld

HISTORY = History([], "s")


def test_one_says_nothing() -> None:
    assert Silent().predict(HISTORY, ["look"], 3) == []


def test_one_knows_what_its_task_will_ask_for_as_far_as_it_may_run() -> None:
    oracle = Oracle(lambda session: SmallScript("t", [["look:1", "write:2", "look:3"]]))
    found = [Call(one.tool, one.arguments) for one in oracle.predict(HISTORY, ["look"], 3)]
    assert found == [Call("look", {"k": 1}), Call("look", {"k": 3})]
    assert len(oracle.predict(HISTORY, ["look"], 1)) == 1
    assert Oracle(lambda session: None).predict(HISTORY, ["look"], 3) == []


def test_one_names_as_many_calls_as_it_may_that_nobody_makes() -> None:
    wrong = AlwaysWrong(SmallWorld().specs.values())
    first, second = (wrong.predict(HISTORY, ["look", "break"], 5) for _ in range(2))
    keys = [one.arguments["k"] for one in (*first, *second)]
    assert len(keys) == len(set(keys)) == 10
    assert max(keys) < 0
    assert {one.tool for one in first} == {"look", "break"}
    assert wrong.predict(HISTORY, [], 5) == []
