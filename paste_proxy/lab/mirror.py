"""The tasks of a real run once more in virtual time: the same sizes, as the real engine counted its tokens."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from paste_proxy.config_schedule import ScheduleConfig
from paste_proxy.lab.engine.spec import EngineSpec
from paste_proxy.lab.records import TaskRecord, TokenCount
from paste_proxy.lab.sizes import SUBJECT, Sizes
from paste_proxy.lab.virtual.agent import Agent, TaskTrack
from paste_proxy.lab.virtual.driver import Driver, Gate
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.workload import Workload
from paste_proxy.predict.model import Predictor

POLICY = ScheduleConfig().policy
"""As proxies have it by default."""


class CountedSizes(Sizes):
    """Tokens as a real engine counted them, turn by turn."""

    def __init__(self, workload: Workload, token_scale: float, counts: Sequence[TokenCount]) -> None:
        super().__init__(workload, token_scale)
        self._output = {(count.task, count.step): count.output for count in counts}
        self._prompt = {(count.task, count.step): count.prompt for count in counts}
        self._result = max(1, round(statistics.fmean(self._grown())))
        self._shared = max((count.cached for count in counts if not count.step), default=0)

    def system(self) -> int:
        """What first prompts had in memory before, as far as the engine said so: they begin alike."""
        return self._shared or super().system()

    def turn(self, task: int, step: int, *, final: bool) -> int:
        return self._output.get((task, step)) or super().turn(task, step, final=final)

    def user(self, task: int) -> int:
        """What the first prompt has beside the system prompt."""
        first = self._prompt.get((task, 0))
        return super().user(task) if first is None else max(1, first - self.system())

    def result(self, tool: str, arguments: Mapping[str, Any]) -> int:
        """Their mean: which result a prompt grew by is not told, and prefill is quick."""
        return self._result

    def _grown(self) -> list[int]:
        """By how much prompts grew from turn to turn, beside the reply."""
        return [
            now - self._prompt[task, step - 1] - self._output[task, step - 1]
            for (task, step), now in self._prompt.items()
            if (task, step - 1) in self._prompt
        ]


class Mirror:
    """Runs tasks in virtual time."""

    def __init__(self, workload: Workload, engine: EngineSpec, counts: Sequence[TokenCount]) -> None:
        live = workload.live
        self._engine = engine
        self._scale = live.time_scale
        sizes = CountedSizes(workload, live.token_scale, counts)
        self.research = Research(token_scale=live.token_scale, time_scale=live.time_scale, sizes=sizes)

    def overheads(self, alone: Sequence[TaskRecord]) -> tuple[float, float]:
        """What a turn and a call take in the real run beside what the lab says of them, per turn and call."""
        tracks = self.tracks([record.task for record in alone], at_once=1)
        turns = [turn.end - turn.start for record in alone for turn in record.turns]
        modelled = [turn.end - turn.asked for track in tracks for turn in track.turns]
        calls = [
            call.seconds
            - self.research.sizes.seconds(call.tool, {SUBJECT[call.tool]: call.subject}) * self._scale
            for record in alone
            for call in record.calls
        ]
        return (
            max(0.0, statistics.fmean(turns) - statistics.fmean(modelled)),
            max(0.0, statistics.fmean(calls)) if calls else 0.0,
        )

    def take_over(self, turn_s: float, call_s: float) -> None:
        """From now on every turn and every call takes so much longer."""
        overhead = self._engine.request_overhead_s + turn_s
        self._engine = msgspec.structs.replace(self._engine, request_overhead_s=overhead)
        self.research.pause_s = call_s

    def tracks(
        self, tasks: Sequence[int], at_once: int, predictor: Predictor | None = None, policy: str = POLICY
    ) -> list[TaskTrack]:
        """In the order of `tasks`. Without a predictor nothing runs ahead."""
        settings = {"schedule": {"policy": policy}}
        site = VirtualSite(self.research.world, self._engine, predictor, settings=settings)

        def new_agent(task: int, over: Callable[[TaskTrack], None]) -> Agent:
            return Agent(self.research.script(task), site, over)

        driver = Driver(site, new_agent, Gate(at_once), tasks)
        driver.cohorts(len(tasks), iter(tasks))
        site.time.run(lambda: driver.done)
        return [_without_waiting(driver.tracks[task]) for task in tasks]


def _without_waiting(track: TaskTrack) -> TaskTrack:
    """A task counts from its first request: the agents' queue is none of its own time."""
    track.start = track.turns[0].asked
    return track
