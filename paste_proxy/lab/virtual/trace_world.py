"""Recorded sessions as a workload: some are measured, others are learnt from, and tools answer as recorded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paste_proxy.broker.keys import canonical_text
from paste_proxy.grammar.requests import RequestTool
from paste_proxy.lab.virtual.derivable import Derivable
from paste_proxy.lab.virtual.recorded import RecordedCall, RecordedScript, Session
from paste_proxy.lab.virtual.replay import Replay, Times, counted, load_replays, session_of
from paste_proxy.lab.virtual.traces import Trace, read_traces, split
from paste_proxy.lab.virtual.world import ToolAnswer, offered
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec

UNKNOWN = Output(b"Nothing was found.", is_text=True)
"""The answer to a call that the session never made: nobody ever gets it, since only the session's calls are
made. What it says must not depend on the sessions that are played."""

REHEARSALS = 100
"""Of the 700 sessions that `assistant` has to learn from, the other 600 would add a tenth to the hits, and
eight seconds to every cell."""


class TraceWorld:
    """Answers a session's call as it was answered: of equal calls, the first one that is still to come."""

    def __init__(self, specs: Mapping[str, ToolSpec], times: Times) -> None:
        self.specs = specs
        self._times = times
        self._scripts: dict[str, RecordedScript] = {}

    def enter(self, script: RecordedScript) -> RecordedScript:
        """The task begins. One of the same name is forgotten."""
        self._scripts[script.task] = script
        return script

    def leave(self, task: str) -> None:
        del self._scripts[task]

    def answer(self, task: str, tool: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        spec, script = self.specs[tool], self._scripts.get(task)
        canonical = canonical_text(spec, arguments)
        found = script.session.call(tool, canonical, script.turn) if script is not None else None
        if found is not None:
            return ToolAnswer(Output(found.result.encode(), is_text=True), found.seconds)
        name = script.session.name if script is not None else task
        return ToolAnswer(UNKNOWN, self._times.call(name, spec, canonical))

    def tokens(self, tool: str, arguments: Mapping[str, Any], text: str) -> int:
        return counted(text)


class Traces:
    """`experiment.LabWorkload`."""

    def __init__(self, name: str, replay: Replay, traces: Sequence[Trace], fold: int) -> None:
        """The tasks of `fold` are measured, those of the others learnt from."""
        self.name = name
        self._measured, self._others = split(traces, fold)
        self._times = Times(replay, load_replays().user_seconds)
        self._sessions: dict[str, Session] = {}
        tools = _tools_of_groups(traces)
        specs = {tool: replay.spec(tool) for group in tools.values() for tool in group}
        self.world = TraceWorld(specs, self._times)
        self._offered = {group: offered(specs[tool] for tool in names) for group, names in tools.items()}
        self._derivable = Derivable(specs, self._learnt_calls())

    @property
    def tasks(self) -> int:
        return len(self._measured)

    @property
    def rehearsals(self) -> int:
        return min(REHEARSALS, len(self._others))

    def script(self, task: int) -> RecordedScript:
        return self._script(self._measured[task % len(self._measured)], f"{self.name}-{task}")

    def rehearsal(self, number: int) -> RecordedScript | None:
        if number >= len(self._others):
            return None
        return self._script(self._others[number], f"{self.name}-rehearsal-{number}")

    def _script(self, trace: Trace, task: str) -> RecordedScript:
        script = RecordedScript(
            self._session(trace),
            task,
            self._offered_to(trace),
            derivable=self._derivable.calls,
            ended=self.world.leave,
        )
        return self.world.enter(script)

    def _offered_to(self, trace: Trace) -> tuple[RequestTool, ...]:
        return self._offered[trace.group]

    def _session(self, trace: Trace) -> Session:
        """Each is read once: cells and loads play the same ones."""
        key = trace.where
        if key not in self._sessions:
            self._sessions[key] = session_of(trace.read(), self._times, self.world.specs, trace.group)
        return self._sessions[key]

    def _learnt_calls(self) -> Iterator[tuple[str, RecordedCall]]:
        for trace in self._others:
            for turn in self._session(trace).turns:
                for call in turn.calls:
                    yield trace.task, call


def _tools_of_groups(traces: Iterable[Trace]) -> dict[str, list[str]]:
    """What any session of a group was offered or called, all of its sessions are offered, in a fixed order."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        found.setdefault(trace.group, set()).update(trace.tools)
    return {group: sorted(names) for group, names in found.items()}


def load_traces(name: str, replay: Replay, paths: Iterable[Path], fold: int) -> Traces:
    """Raises `ConfigError`."""
    return Traces(name, replay, [trace for path in paths for trace in read_traces(path)], fold)
