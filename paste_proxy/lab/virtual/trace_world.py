"""Recorded sessions as a workload: tools answer what they answered when it was recorded."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from paste_proxy.broker.keys import canonical_text
from paste_proxy.errors import ConfigError
from paste_proxy.lab.virtual.recorded import RecordedScript
from paste_proxy.lab.virtual.replay import Replay, Times, counted, load_replays, session_of
from paste_proxy.lab.virtual.sources import RecordedWorkload, Source
from paste_proxy.lab.virtual.traces import Trace, read_traces
from paste_proxy.lab.virtual.world import ToolAnswer, offered
from paste_proxy.tools.ports import Output
from paste_proxy.tools.spec import ToolSpec

UNKNOWN = Output(b"Nothing was found.", is_text=True)
"""The answer to a call that the session never made: nobody ever gets it, since only the session's calls are
made. What it says must not depend on the sessions that are played."""


class TraceWorld:
    """Answers a session's call as it was answered: of equal calls, the first one that is still to come."""

    def __init__(self, specs: Mapping[str, ToolSpec], times: Times) -> None:
        self.specs = specs
        self._times = times
        self._scripts: dict[str, RecordedScript] = {}

    def enter(self, script: RecordedScript) -> None:
        self._scripts[script.task] = script

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


def load_traces(name: str, replay: Replay, paths: Iterable[Path], fold: int) -> RecordedWorkload:
    """Raises `ConfigError`."""
    traces = [trace for path in paths for trace in read_traces(path)]
    tools = _tools_of_groups(traces)
    specs = {tool: replay.spec(tool) for names in tools.values() for tool in names}
    offers = {group: offered(specs[tool] for tool in names) for group, names in tools.items()}
    times = Times(replay, load_replays().user_seconds)
    sources = [
        Source(trace.name, trace.task, offers[trace.group], partial(session_of, trace, times, specs))
        for trace in traces
    ]
    workload = RecordedWorkload(name, TraceWorld(specs, times), sources, fold)
    if not workload.tasks:
        seeds = ", ".join(map(str, sorted({source.fold for source in sources})))
        raise ConfigError(
            f"{name}: none of its {len(traces)} sessions is measured with this seed; try --seed {seeds}",
            param="seed",
        )
    return workload


def _tools_of_groups(traces: Iterable[Trace]) -> dict[str, list[str]]:
    """What any session of a group was offered or called, all of its sessions are offered, in a fixed order."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        found.setdefault(trace.group, set()).update(trace.tools)
    return {group: sorted(names) for group, names in found.items()}
