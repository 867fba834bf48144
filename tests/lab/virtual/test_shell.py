"""The lab's shell against the production one: the same story, told to two cores, gives the same events.

The production `Runtime` runs on an event loop whose clock jumps to what is due, with the same agents, engines
and tools. What the two cores hear, in which order and when, must be equal; so the lab shows what would be.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from paste_proxy.core import Core
from paste_proxy.errors import PasteError, ToolError
from paste_proxy.events import AnswerCall, CallRequested, Decision, Event, FailCall, Identity, RunEnded
from paste_proxy.grammar.requests import ChatRequest
from paste_proxy.lab.engine.presets import load_engine
from paste_proxy.lab.virtual.agent import Agent, TaskTrack
from paste_proxy.lab.virtual.experiment import LabWorkload, rehearsed
from paste_proxy.lab.virtual.fleet import Fleet
from paste_proxy.lab.virtual.predictors import AlwaysWrong
from paste_proxy.lab.virtual.research import Research
from paste_proxy.lab.virtual.shell import BY_SDK, RunSpan
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.virtual.warmer import Warmer
from paste_proxy.lab.virtual.world import Script, World
from paste_proxy.predict.model import Predictor
from paste_proxy.runtime import Runtime, ToolCall
from paste_proxy.tools.ports import Output, Run
from tests.lab.virtual.small import SmallScript, SmallWorkload

ENGINE = load_engine("research")
BEGIN_S = (0.0, 1.3, 2.9, 4.1)
"""When the tasks begin."""
NEVER_S = 10_000.0
"""By then they are over, or never are."""


class JumpingLoop(asyncio.SelectorEventLoop):
    """Nothing to do now: it is later."""

    jumped = 0.0

    def time(self) -> float:
        return self.jumped

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.jumped = max(self.jumped, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class LoopTime:
    """`VirtualTime`, and the runtime's clock, on such a loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    @property
    def now(self) -> Any:
        return _Now(self._loop.time())

    def at(self, moment: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_at(moment, action)

    def after(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        return self._loop.call_later(seconds, action)


class _Now(float):
    """A clock has `now()`, and virtual time `now`."""

    def __call__(self) -> float:
        return float(self)


class WorldExecutor:
    """`tools.ports.Executor`, as long as the world says."""

    def __init__(self, world: World, core: Core) -> None:
        self._world = world
        self._core = core

    async def run(self, run: Run, begun: Callable[[], None]) -> Output:
        session = self._core.turns.sessions[run.context.session]
        answer = self._world.answer(session.name, run.tool, run.arguments)
        begun()
        await asyncio.sleep(answer.seconds)
        if answer.error:
            raise ToolError(answer.error, param=run.tool)
        return answer.output

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> bytes | None:
        return None

    def promote(self, run: str) -> None: ...

    async def warm_up(self) -> None: ...

    async def close(self) -> None: ...


class ProductionShell:
    """What an agent of the lab asks of its shell, done by a `Runtime`."""

    def __init__(self, runtime: Runtime, warmer: Warmer) -> None:
        self.core = runtime.core
        self.warmer = warmer
        self._runtime = runtime
        self._turns: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def admit(self, turn: str, identity: Identity, request: ChatRequest, admitted: Callable[[], None]) -> None:
        async def admit() -> None:
            handle = await self._runtime.admit(identity, request, BY_SDK)
            self._turns[turn] = handle.turn
            admitted()

        self._spawn(admit())

    def call(self, event: CallRequested, answered: Callable[[AnswerCall | FailCall], None]) -> None:
        async def call() -> None:
            try:
                answer = await self._runtime.call(
                    ToolCall(event.identity, event.tool, event.arguments, event.tool_call_id)
                )
            except PasteError as error:
                answered(FailCall(event.call, "executed", error))
            else:
                answered(AnswerCall(event.call, *msgspec.structs.astuple(answer)))

        self._spawn(call())

    def take_spans(self, task: str) -> Sequence[RunSpan]:
        return ()

    def tell(self, event: Any) -> bool:
        return self._runtime.tell(msgspec.structs.replace(event, turn=self._turns[event.turn]))

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))


class ProductionSite:
    def __init__(self, world: World, core: Core, loop: asyncio.AbstractEventLoop) -> None:
        time: Any = LoopTime(loop)
        self.time = time
        self.world = world
        self.fleet = Fleet(ENGINE, 1, time)
        self.runtime = Runtime(core, WorldExecutor(world, core), time)
        self.shell: Any = ProductionShell(self.runtime, Warmer(self.fleet, time, self.runtime.tell))


Heard = list[tuple[float, str, Any]]


def listen(core: Core) -> Heard:
    """Everything that the core is told, and what it decides."""
    heard: Heard = []
    handle = core.handle

    def handled(event: Event, now: float) -> list[Decision]:
        decisions = handle(event, now)
        heard.append((round(now, 6), type(event).__name__, _told(event)))
        heard.extend((round(now, 6), type(one).__name__, _told(one)) for one in decisions)
        return decisions

    core.handle = handled  # type: ignore[method-assign]
    return heard


def _told(event: Event | Decision) -> Any:
    """Without what the shells name as they like, and what an error says."""
    if isinstance(event, RunEnded):
        return (event.run, event.output, event.error is not None)
    fields = msgspec.structs.asdict(event)
    return {name: value for name, value in fields.items() if name not in ("turn", "call", "error", "request")}


def in_the_lab(workload: LabWorkload, predictor: Predictor | None) -> tuple[Heard, list[TaskTrack]]:
    site = VirtualSite(workload.world, ENGINE, predictor)
    heard, tracks = listen(site.shell.core), list[TaskTrack]()
    for number, begin in enumerate(BEGIN_S):
        site.time.at(begin, begun(workload.script(number), site, tracks))
    site.time.run(lambda: len(tracks) == len(BEGIN_S))
    return heard, tracks


def in_production(workload: LabWorkload, predictor: Predictor | None) -> tuple[Heard, list[TaskTrack]]:
    core = VirtualSite(workload.world, ENGINE, predictor).shell.core
    heard, tracks = listen(core), list[TaskTrack]()

    async def play() -> None:
        site = ProductionSite(workload.world, core, asyncio.get_running_loop())
        for number, begin in enumerate(BEGIN_S):
            site.time.at(begin, begun(workload.script(number), site, tracks))
        while len(tracks) < len(BEGIN_S) and site.time.now < NEVER_S:  # noqa: ASYNC110 - the loop jumps
            await asyncio.sleep(1.0)
        await site.runtime.close()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(play())
    return heard, tracks


def begun(script: Script, site: Any, tracks: list[TaskTrack]) -> Callable[[], None]:
    return lambda: Agent(script, site, tracks.append).begin()


PREDICTORS: Mapping[str, Callable[[LabWorkload], Predictor | None]] = {
    "nothing": lambda workload: None,
    "patterns": lambda workload: rehearsed(workload, 30),
    "always wrong": lambda workload: AlwaysWrong(workload.world.specs.values()),
}


@pytest.mark.parametrize("name", PREDICTORS)
def test_the_core_hears_in_the_lab_what_it_hears_in_production(name: str) -> None:
    compare(Research(), PREDICTORS[name])


@pytest.mark.parametrize("name", PREDICTORS)
def test_so_it_does_where_calls_come_side_by_side_fail_write_and_find_no_slot(name: str) -> None:
    compare(Mishaps(), PREDICTORS[name])


class Mishaps(SmallWorkload):
    def __init__(self) -> None:
        super().__init__(slots=2)
        self.world.uneven = 0.01  # what ends at the same moment has no order on an event loop

    def script(self, task: int) -> SmallScript:
        turns = (
            ["look:1", "look:2", "look:3"],
            ["break:1", "look:1"],
            ["write:1", "look:4"],
            ["look:4", "look:4"],
        )
        return SmallScript(f"mishap-{task}", turns, pause_s=0.1)


def compare(workload: LabWorkload, predictor: Callable[[LabWorkload], Predictor | None]) -> None:
    lab, lab_tracks = in_the_lab(workload, predictor(workload))
    production, production_tracks = in_production(workload, predictor(workload))
    end = min(lab[-1][0], production[-1][0])
    assert [one for one in lab if one[0] < end] == [one for one in production if one[0] < end]
    assert [track.transcript for track in lab_tracks] == [track.transcript for track in production_tracks]
    assert len(lab) > 100
