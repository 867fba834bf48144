"""One client's conversation with the core, as a transcript: what is asked, streamed, called and answered."""

import json
from typing import Any

from paste_proxy.config import ClientToolConfig, Config, SpeculationConfig
from paste_proxy.core import Core
from paste_proxy.events import (
    CallRequested,
    Decision,
    Identity,
    RunBegan,
    StartRun,
    TurnClosed,
    TurnRequested,
    TurnSent,
    TurnStreamed,
)
from paste_proxy.grammar.events import CallSealed, GrammarEvent, TurnEnded
from paste_proxy.grammar.requests import parse_chat_request
from paste_proxy.predict.model import Candidate, Fixed, History, TurnPredictor
from paste_proxy.tools.table import ToolTable
from tests.broker.cast import OFFERED, SPECS

NOBODY = Identity()


class NoPredictor:
    def learn(self, history: History, calls: Any) -> None:
        pass

    def predict(self, history: History, tools: Any, limit: int) -> list[Candidate]:
        return []

    def begin(self, history: History, tools: Any) -> TurnPredictor:
        return Fixed([])


class Talk:
    """One client's conversation; time passes a second at a time."""

    def __init__(self, core: Core, identity: Identity = NOBODY) -> None:
        self.core = core
        self.identity = identity
        self.messages: list[dict[str, Any]] = [{"role": "user", "content": "go"}]
        self.now = 0.0
        self.turn = ""

    def tell(self, event: Any) -> list[Decision]:
        self.now += 1
        decisions = self.core.handle(event, self.now)
        for decision in decisions:
            if isinstance(decision, StartRun):
                self.core.handle(RunBegan(decision.run.run), self.now)
        return decisions

    def ask(self, **fields: Any) -> None:
        body = {"messages": self.messages, "tools": OFFERED, **fields}
        self.turn = f"turn at {self.now} of {id(self)}"
        self.tell(TurnRequested(self.turn, self.identity, parse_chat_request(json.dumps(body).encode())))
        self.tell(TurnSent(self.turn))

    def hears(self, *events: GrammarEvent) -> list[str]:
        """The runs that start with what the stream says."""
        return [run for event in events for run in started(self.tell(TurnStreamed(self.turn, event)))]

    def seals(self, tool: str, call_id: str = "c1", arguments: str = '{"k": 1}') -> list[str]:
        """The runs that start with it."""
        runs = self.hears(CallSealed(0, call_id, tool, arguments))
        function = {"name": tool, "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        self.messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        return runs

    def ends(self, *, complete: bool = True) -> None:
        if complete:
            self.tell(TurnStreamed(self.turn, TurnEnded("tool_calls")))
        self.tell(TurnClosed(self.turn, complete))

    def answers(self, call_id: str = "c1") -> None:
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": "done"})

    def notes(self, what: str) -> list[dict[str, Any]]:
        """The details of what the timeline says of this kind."""
        [session] = self.core.turns.sessions.values()
        return [note.detail for note in session.notes if note.what == what]

    def calls(self, tool: str, call_id: str = "", arguments: bytes = b'{"k": 1}') -> list[str]:
        return started(self.tell(CallRequested(f"call at {self.now}", self.identity, tool, arguments, call_id)))


def runs(decisions: list[Decision]) -> list[str]:
    """The ids of those that start."""
    return [decision.run.run for decision in decisions if isinstance(decision, StartRun)]


def started(decisions: list[Decision]) -> list[str]:
    return [f"{d.run.tool} {d.run.run_class.name.lower()}" for d in decisions if isinstance(d, StartRun)]


def talk(others: ClientToolConfig | None = None, **client_tools: tuple[str, ...]) -> Talk:
    """`client_tools`: what each writes. `others`: of those not listed."""
    config = Config(
        speculation=SpeculationConfig(allow=tuple(SPECS), min_service_s=0.0),
        client_tools={
            **{name: ClientToolConfig(writes=writes) for name, writes in client_tools.items()},
            **({"*": others} if others is not None else {}),
        },
    )
    return Talk(Core(ToolTable(SPECS), config, NoPredictor()))
