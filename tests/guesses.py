"""A predictor that says what a test tells it to, and a conversation with a core that asks it."""

from collections.abc import Iterable
from typing import Any

from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.predict.model import Call, Candidate, History, TurnPredictor
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import SPECS
from tests.talk import Talk


def guess(k: int, tool: str = "read_a", probability: float = 0.9) -> Candidate:
    return Candidate(tool, {"k": k}, probability, "because", probability)


class Scripted:
    """A predictor that says what it is told to, and writes down what it hears."""

    def __init__(self, *candidates: Candidate) -> None:
        self.now_expected = list(candidates)
        self.tools: frozenset[str] = frozenset()
        self.said: list[Any] = []
        self.after: dict[Any, list[Candidate]] = {}
        """What is expected once something was heard, by how that is written."""

    def learn(self, history: History, calls: Any) -> None: ...

    def predict(self, history: History, tools: Iterable[str], limit: int) -> list[Candidate]:
        return self.now_expected[:limit]

    def begin(self, history: History, tools: Iterable[str]) -> TurnPredictor:
        self.tools = frozenset(tools)
        self.said = []
        return self

    def heard(self, text: str) -> None:
        self._hear(text)

    def named(self, tool: str) -> None:
        self._hear(tool)

    def argued(self, argument: str, value: Any) -> None:
        self._hear((argument, value))

    def asked(self, call: Call) -> None:
        self._hear(call)

    def candidates(self, limit: int) -> list[Candidate]:
        return self.now_expected[:limit]

    def _hear(self, said: Any) -> None:
        self.said.append(said)
        self.now_expected = self.after.get(repr(said), self.now_expected)


def talk(
    predictor: Any, mode: Any = "on", allow: Iterable[str] = SPECS, **client_tools: tuple[str, ...]
) -> Talk:
    config = Config(
        speculation=SpeculationConfig(mode=mode, allow=tuple(allow), min_service_s=0.0),
        client_tools={name: ClientToolConfig(writes=writes) for name, writes in client_tools.items()},
    )
    return Talk(Core(ToolTable(SPECS), config, predictor))


def predictions(t: Talk) -> list[tuple[str, int, int, str]]:
    """Tool, k, level and outcome."""
    [session] = t.core.turns.sessions.values()
    return [(one.tool, one.arguments["k"], one.level, one.outcome) for one in session.predictions]
