"""A client's state machine with a host that a test plays, and a proxy of which it plays the frames."""

import json
from typing import Any

import msgspec

from paste_proxy.client.calls import Ahead, Call, Verdict
from paste_proxy.client.machine import Machine
from paste_proxy.client.protocol import VERSION
from paste_proxy.tools.spec import Effect, ToolSpec

SCHEMA = {
    "type": "object",
    "properties": {"k": {"type": "integer"}, "why": {"type": "string"}},
    "required": ["k"],
}
READ = ToolSpec(
    "read",
    "Read.",
    SCHEMA,
    effect=Effect.READ,
    writes=frozenset(),
    max_age=10.0,
    concurrency=2,
    inert=frozenset({"why"}),
)
WRITE = ToolSpec("write", "Write.", SCHEMA)
BOOK = ToolSpec("book", "Book.", SCHEMA, effect=Effect.DRY_RUN)
FUNCTION = object()


class Desk:
    def __init__(self) -> None:
        self.machine = Machine(self, "test")
        self.machine.offer([READ, WRITE])
        self.started: list[Ahead] = []
        self.stopped: list[str] = []
        self.sessions: list[str] = []
        self.cannot = ""

    def start(self, run: Ahead) -> str:
        if not self.cannot:
            self.started.append(run)
        return self.cannot

    def stop(self, run: Ahead) -> None:
        self.stopped.append(run.id)

    def answered(self, call: Call, session: str) -> None:
        self.sessions.append(session)

    def connect(self, **refused: str) -> list[dict[str, Any]]:
        self.machine.opened()
        said = self.said()
        self.hears("welcome", version=VERSION, refused=refused)
        return said

    def hears(self, kind: str, now: float = 0.0, **fields: Any) -> list[dict[str, Any]]:
        """What is said in answer."""
        self.machine.received(msgspec.json.encode({"say": kind, **fields}), now)
        return self.said()

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.machine.unsent()]

    def runs(self, run: str = "r1", k: Any = 1, now: float = 0.0, session: str = "s") -> Ahead:
        """Leased and begun."""
        self.hears("run", now, run=run, tool="read", arguments={"k": k}, session=session)
        self.machine.began(self.started[-1], FUNCTION, now)
        self.said()
        return self.started[-1]

    def ready(self, run: str = "r1", k: Any = 1, now: float = 0.0) -> Ahead:
        made = self.runs(run, k, now)
        self.machine.ended(made, f"result of {k}", None, now=now, size=3)
        self.said()
        return made

    def calls(self, k: Any = 1, tool: str = "read", identity: object = FUNCTION, **values: Any) -> "Heard":
        heard = Heard()
        heard.call = Call(
            tool, json.dumps({"k": k, **values}), {"k": k, **values}, identity, heard.verdicts.append
        )
        self.machine.claim(heard.call)
        return heard


class Heard:
    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self.call: Call


def connected(**refused: str) -> Desk:
    desk = Desk()
    desk.connect(**refused)
    return desk
