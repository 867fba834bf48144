"""What is counted as foreseen."""

from pathlib import Path
from typing import Any

from paste_proxy.lab.prediction.judge import Hit, Judgement, judge
from paste_proxy.predict.model import Call, Candidate, History
from tests.lab.prediction.small import Teller, Told, candidate, result, says, session, user

MESSAGES = [
    user("Go."),
    says("", ("get_a", {"x": 1}), ("get_b", {"x": 2})),
    result(0, "a"),
    result(1, "b"),
    says("Done."),
]


def judged(folder: Path, teller: Teller) -> Judgement:
    judgement = Judgement()
    judge(teller, session(folder, *MESSAGES), frozenset({"get_a"}), judgement)
    return judgement


def test_a_call_sees_its_earlier_siblings_and_not_their_results(tmp_path: Path) -> None:
    def expect(told: list[Any]) -> list[Candidate]:
        if Call("get_a", {"x": 1}) in told:
            return [candidate("get_b", 0.7, x=2)]
        return [candidate("other", 0.3), candidate("get_a", 0.2, x=1)]

    teller = Teller(expect)
    found = judged(tmp_path, teller).decisions
    assert [before for before, _ in teller.begun] == [[], [], ["get_a", "get_b"]]
    ranks = [decision.hit.rank if decision.hit else "no call" for decision in found]
    assert ranks == [1, 0, "no call", "no call"]
    assert [decision.estimate for decision in found] == [0.3, 0.7, 0.7, 0.3]
    assert [decision.right for decision in found] == [False, True, False, False]
    assert all(decision.hit.reads for decision in found if decision.hit)


def test_nothing_is_learnt_and_level_0_hears_nothing(tmp_path: Path) -> None:
    heard: list[list[Any]] = []

    def expect(told: list[Any]) -> list[Candidate]:
        heard.append(list(told))
        return []

    teller = Teller(expect)
    judgement = judged(tmp_path, teller)
    assert teller.lessons == []
    assert heard[:3] == [[], [Call("get_a", {"x": 1})], [Call("get_a", {"x": 1}), Call("get_b", {"x": 2})]]
    assert len(judgement.micros) == 2
    assert all(micros > 0 for micros in judgement.micros)


def test_tools_are_those_learnt_and_those_that_the_session_lists(tmp_path: Path) -> None:
    teller = Teller()
    judged(tmp_path, teller)
    assert {tools for _, tools in teller.begun} == {frozenset({"get_a"})}


def test_only_exact_arguments_count(tmp_path: Path) -> None:
    for wrong in (
        candidate("get_a", x="1"),
        candidate("get_a", x=1.0),
        candidate("get_a"),
        candidate("get_b", x=1),
    ):
        teller = Teller(lambda told, wrong=wrong: [wrong])  # type: ignore[misc]
        assert judged(tmp_path, teller).decisions[0].hit == Hit(
            None, reads=True, reached=None, left=None, ahead=None
        )


class Reacher(Told):
    def reaches(self, call: Call) -> bool:
        return call.tool == "get_a"


class ReachingTeller(Teller):
    def begin(self, history: History, tools: Any) -> Reacher:
        return Reacher(lambda told: [])


def test_who_can_say_what_it_reaches_is_asked(tmp_path: Path) -> None:
    def reached(teller: Teller) -> list[bool | None]:
        return [one.hit.reached for one in judged(tmp_path, teller).decisions if one.hit]

    assert reached(Teller()) == [None, None]
    assert reached(ReachingTeller()) == [True, False]


def test_where_there_is_no_estimate_the_cautious_one_counts(tmp_path: Path) -> None:
    teller = Teller(lambda told: [Candidate("get_a", {"x": 1}, 0.25, "bound alone")])
    first = judged(tmp_path, teller).decisions[0]
    assert (first.estimate, first.hit) == (0.25, Hit(rank=0, reads=True, reached=None, left=1.0, ahead=1.0))
