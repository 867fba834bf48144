"""Learning before the clock starts: the predictor is told what the core would tell it."""

from collections.abc import Iterable, Sequence
from typing import Any

from paste_proxy.lab.learning import learn
from paste_proxy.lab.policy import Policy
from paste_proxy.lab.sizes import SEARCH
from paste_proxy.predict.model import Call, Candidate, Fixed, History, TurnPredictor
from tests.lab.conftest import made_up, play


async def answer(tool: str, arguments: dict[str, Any]) -> str:
    return made_up(tool, arguments)


class Notebook:
    """A predictor that writes down what it is told."""

    def __init__(self) -> None:
        self.lessons: list[tuple[str, list[str], list[Call]]] = []

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        self.lessons.append((history.session, [call.tool for call in history.calls], list(calls)))

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return []

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        return Fixed([])


async def test_every_turn_is_a_lesson_with_the_history_before_it(policy: Policy) -> None:
    notebook = Notebook()
    await learn(policy, [5], answer, notebook)
    turns, _ = play(policy, 5)
    asked = [turn.call.tool for turn in turns if turn.call]
    assert [[call.tool for call in calls] for _, _, calls in notebook.lessons] == [[tool] for tool in asked] + [
        []
    ]
    assert [before for _, before, _ in notebook.lessons] == [asked[:count] for count in range(len(turns))]


async def test_tasks_are_sessions_of_their_own(policy: Policy) -> None:
    notebook = Notebook()
    await learn(policy, [5, 6], answer, notebook)
    assert len({session for session, _, _ in notebook.lessons}) == 2
    first = [calls[0].tool for _, before, calls in notebook.lessons if not before]
    assert first == [SEARCH, SEARCH]
