"""A small world, and agents that say what they are told to: for stories that one can work out by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.virtual.world import Answered, Said, SaidCall, Saying, ToolAnswer, offered
from paste_proxy.predict.model import Call
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import Effect, ToolSpec

ENGINE = EngineSpec(
    source="made up",
    prefill_tokens_per_s=1000.0,
    decode_tokens_per_s_one_request=10.0,
    decode_slowdown_per_running_request=0.0,
    kv_tokens=1_000_000,
    max_running_requests=100,
)
"""A token takes a tenth of a second, a hundred tokens of a prompt too."""
LOOK_S, WRITE_S = 3.0, 1.0


def spec(name: str, effect: Effect, slots: int) -> ToolSpec:
    schema = {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}
    writes = frozenset() if effect is Effect.READ else frozenset({"global"})
    return ToolSpec(name, name, schema, effect, frozenset({"global"}), writes, concurrency=slots)


class SmallWorld:
    """`look` reads, `write` writes, `break` reads and fails."""

    uneven = 0.0
    """Seconds that a run takes longer for each number that its key is higher."""

    def __init__(self, slots: int = 8) -> None:
        kinds = {"look": Effect.READ, "break": Effect.READ, "write": Effect.NEVER}
        self.specs = {name: spec(name, effect, slots) for name, effect in kinds.items()}
        self.asked: list[tuple[str, str, int]] = []
        """Task, tool and key of every run."""

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        key = arguments["k"]
        self.asked.append((task, tool, key))
        output = Output(f"{tool} {key}".encode(), is_text=True)
        seconds = (WRITE_S if tool == "write" else LOOK_S) + self.uneven * key
        return ToolAnswer(output, seconds, "no such thing" * (tool == "break"))

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        return 100


class SmallScript:
    """`world.Script`: each turn says a text of 10 tokens, and makes calls of 10 tokens each, given as
    "tool:key"; the last turn only says something."""

    def __init__(self, task: str, turns: Sequence[Sequence[str]], pause_s: float = 0.0) -> None:
        self.task = task
        self.opening = (Said("system", "Be small.", 80), Said("user", task, 20))
        self.offered = offered(SmallWorld().specs.values())
        self.answers: list[list[str]] = []
        """What came back, by turn."""
        self._turns = turns
        self._pause_s = pause_s

    @property
    def over(self) -> bool:
        return len(self.answers) > len(self._turns)

    def next_turn(self) -> Saying:
        turn = len(self.answers)
        text = ((f"Turn {turn} of {self.task}. ", 10),)
        return Saying(text) if turn == len(self._turns) else Saying(text, tuple(self._calls(turn)))

    def _calls(self, turn: int) -> list[SaidCall]:
        calls = [call.split(":") for call in self._turns[turn]]
        return [
            SaidCall(f"{self.task}-{turn}.{place}", tool, f'{{"k":{key}}}', 10)
            for place, (tool, key) in enumerate(calls)
        ]

    def answered(self, answers: Sequence[Answered]) -> None:
        self.answers.append([answer.text for answer in answers])

    def interlude(self) -> Sequence[Said]:
        return ()

    def derivable(self) -> Sequence[Call]:
        if len(self.answers) >= len(self._turns):
            return ()
        return [Call(call.tool, {"k": int(call.arguments[5:-1])}) for call in self._calls(len(self.answers))]

    def pause(self) -> float:
        return self._pause_s


class SmallWorkload:
    """`experiment.LabWorkload`: every task looks at something of its own, and then at two things at once."""

    name = "small"
    tasks = None
    rehearsals = 0

    def __init__(self, slots: int = 8) -> None:
        self.world = SmallWorld(slots)

    def script(self, task: int) -> SmallScript:
        return SmallScript(f"small-{task}", [[f"look:{2 * task}"], [f"look:{2 * task + 1}", "look:-1"]])

    def rehearsal(self, number: int) -> None:
        return None
