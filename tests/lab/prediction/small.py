"""Small sessions, and predictors whose every answer a test can foresee."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from paste_proxy.lab.prediction.sessions import Session, read_sessions
from paste_proxy.predict.model import Call, Candidate, History, TurnPredictor
from tests.lab.virtual.service import recorded, written

Message = dict[str, Any]


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def says(text: str, *calls: tuple[str, dict[str, Any]], reasoning: str | None = None) -> Message:
    """Ids as programs give them: counted anew in each turn."""
    told = [{"id": f"c{place}", "name": name, "arguments": made} for place, (name, made) in enumerate(calls)]
    return {"role": "assistant", "content": text, "reasoning": reasoning, "tool_calls": told}


def result(place: int, text: str) -> Message:
    return {"role": "tool", "tool_call_id": f"c{place}", "content": text}


def sessions(folder: Path, *messages: Sequence[Message], ignored: Iterable[str] = ()) -> list[Session]:
    made = [recorded(f"s{number}", several) for number, several in enumerate(messages)]
    return read_sessions(written(folder, made), frozenset(ignored))


def session(folder: Path, *messages: Message, ignored: Iterable[str] = ()) -> Session:
    return sessions(folder, messages, ignored=ignored)[0]


def candidate(tool: str, estimate: float = 0.5, **arguments: Any) -> Candidate:
    return Candidate(tool, arguments, estimate / 2, "made up", estimate)


class Told:
    """What a turn predictor was told, in order; `expect` says what it answers to that."""

    def __init__(self, expect: Callable[[list[Any]], list[Candidate]]) -> None:
        self.told: list[Any] = []
        self._expect = expect

    def heard(self, text: str) -> None:
        self.told.append(text)

    def named(self, tool: str) -> None:
        self.told.append(("named", tool))

    def argued(self, argument: str, value: Any) -> None:
        self.told.append((argument, value))

    def asked(self, call: Call) -> None:
        self.told.append(call)

    def candidates(self, limit: int) -> list[Candidate]:
        return self._expect(self.told)[:limit]


class Teller:
    """A predictor that writes down what it learns, and answers as `Told` does."""

    def __init__(self, expect: Callable[[list[Any]], list[Candidate]] = lambda told: []) -> None:
        self.lessons: list[tuple[str, list[str], list[Call]]] = []
        """Of each turn the session, the calls before it, and its own."""
        self.begun: list[tuple[list[str], frozenset[str]]] = []
        """Of each turn that was begun the calls before it, and the tools."""
        self._expect = expect

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        self.lessons.append((history.session, [call.tool for call in history.calls], list(calls)))

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self.begin(history, tools).candidates(limit)

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        self.begun.append(([call.tool for call in history.calls], frozenset(tools)))
        return Told(self._expect)


class LikeTheLast:
    """Expects what it learnt last, whatever comes: of tools that it may name."""

    def __init__(self) -> None:
        self.last: list[Call] = []

    def learn(self, history: History, calls: Sequence[Call]) -> None:
        self.last = list(calls) or self.last

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self.begin(history, tools).candidates(limit)

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        known = frozenset(tools)
        return Told(lambda told: [candidate(c.tool, **c.arguments) for c in self.last if c.tool in known])
