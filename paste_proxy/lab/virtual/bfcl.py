"""BFCL's multi-turn tasks as a workload: a model that makes exactly the right calls, and tools that really run.

What runs ahead reads the objects of its own dialogue in the state that they have just then. That a transcript
is the same with and without running ahead is therefore written down nowhere: it has to come out.
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from paste_proxy.broker.keys import canonical_text
from paste_proxy.errors import ToolError
from paste_proxy.lab.virtual.bfcl_dialogues import (
    Dialogue,
    GroundCall,
    Instances,
    load_classes,
    load_dialogues,
    methods_of,
)
from paste_proxy.lab.virtual.recorded import RecordedCall, RecordedScript, RecordedTurn, Session
from paste_proxy.lab.virtual.replay import Times, counted, load_replays
from paste_proxy.lab.virtual.sources import RecordedWorkload, Source
from paste_proxy.lab.virtual.world import Said, ToolAnswer, offered
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec

DONE = "That is done."
"""What the model says when a user's wish is fulfilled: the ground truth has calls alone."""
CALL_SHARE = 0.5
"""Of a turn's tokens, those of its call; agents of this kind say little beside it."""


class BfclWorld:
    """Every task has its own objects."""

    def __init__(self, specs: Mapping[str, ToolSpec], times: Times, dialogues: Mapping[str, Dialogue]) -> None:
        self.specs = specs
        self._times = times
        self._dialogues = dialogues
        self._tasks: dict[str, tuple[str, Instances]] = {}

    def enter(self, script: RecordedScript) -> None:
        name = script.session.name
        self._tasks[script.task] = name, Instances(self._dialogues[name])

    def leave(self, task: str) -> None:
        del self._tasks[task]

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """What a run does is done at its start."""
        spec = self.specs[tool]
        if task not in self._tasks:
            return ToolAnswer(Output(b""), 0.0, f"{task} is over")
        name, instances = self._tasks[task]
        seconds = self._times.call(name, spec, canonical_text(spec, arguments))
        try:
            return ToolAnswer(Output(instances.run(tool, arguments).encode(), is_text=True), seconds)
        except ToolError as error:
            return ToolAnswer(Output(b""), seconds, error.message)

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        return counted(text)


def load_bfcl(fold: int) -> RecordedWorkload:
    """Raises `ConfigError` where the package is not installed."""
    dialogues = {dialogue.name: dialogue for dialogue in load_dialogues()}
    replays = load_replays()
    replay, times = replays.of["bfcl"], Times(replays.of["bfcl"], replays.user_seconds)
    specs = {
        tool: replay.spec(tool, reads=tool in reads)
        for name, reads in load_classes().reads.items()
        for tool in methods_of(name)
    }
    sources = [
        Source(
            dialogue.name,
            dialogue.name,
            offered(specs[tool] for name in sorted(dialogue.classes) for tool in methods_of(name)),
            partial(_session, dialogue, times, specs),
        )
        for dialogue in dialogues.values()
    ]
    return RecordedWorkload("bfcl", BfclWorld(specs, times, dialogues), sources, fold)


def _session(dialogue: Dialogue, times: Times, specs: Mapping[str, ToolSpec]) -> Session:
    """One call a turn, since most need what the one before gave."""
    system = f"The tools of {', '.join(sorted(dialogue.classes))}"
    opening = [Said("system", system, times.system_tokens()), _asked(dialogue.questions[0])]
    return Session(dialogue.name, opening, list(_turns(dialogue, times, specs)))


def _turns(dialogue: Dialogue, times: Times, specs: Mapping[str, ToolSpec]) -> Iterator[RecordedTurn]:
    instances = Instances(dialogue)
    number = 0
    for place, calls in enumerate(dialogue.calls):
        for call in calls:
            made = _made(dialogue.name, call, instances, times, specs[call.tool])
            written = times.turn(dialogue.name, number, None, 0, 0)
            of_call = round(written * CALL_SHARE)
            yield RecordedTurn("", "", (made,), (0, written - of_call, of_call), written, (), 0.0)
            number += 1
        following = dialogue.questions[place + 1 : place + 2]
        written = times.turn(dialogue.name, number, None, 0, 0)
        pause = times.user(dialogue.name, number, None) if following else 0.0
        yield RecordedTurn("", DONE, (), (0, written), written, tuple(map(_asked, following)), pause)
        number += 1


def _made(session: str, call: GroundCall, instances: Instances, times: Times, spec: ToolSpec) -> RecordedCall:
    try:
        result = instances.run(call.tool, call.arguments)
    except ToolError as error:
        result = error.message
    canonical = canonical_text(spec, call.arguments)
    return RecordedCall(
        tool=call.tool,
        arguments=call.arguments,
        text=json.dumps(call.arguments, ensure_ascii=False),
        canonical=canonical,
        result=result,
        seconds=times.call(session, spec, canonical),
    )


def _asked(text: str) -> Said:
    return Said("user", text, counted(text))
