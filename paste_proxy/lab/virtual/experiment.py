"""Cells of one workload under rising load, paired by task: the rows that `paste-proxy lab run` prints.

Each cell of a row runs the same tasks, with the same draws, in the same order of arrival; A' runs them in
another order, so that its distance from A is what order alone does. Everything follows from the seed.
"""

import itertools
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, Protocol, get_args

import msgspec

from paste_proxy.lab.engine.spec import EngineSpec, PolicyName
from paste_proxy.lab.learning import tell
from paste_proxy.lab.virtual.agent import Agent, Door, TaskTrack
from paste_proxy.lab.virtual.chat import Chat
from paste_proxy.lab.virtual.driver import Arrivals, Driver, Ended, Gate
from paste_proxy.lab.virtual.limited import ToolLimits
from paste_proxy.lab.virtual.predictors import AlwaysWrong, Oracle
from paste_proxy.lab.virtual.site import VirtualSite
from paste_proxy.lab.virtual.tenants import ONE, Split, Tenant
from paste_proxy.lab.virtual.thunder import Pausing
from paste_proxy.lab.virtual.tuning import gates_below, tuned
from paste_proxy.lab.virtual.world import Answered, SaidCall, Script, World
from paste_proxy.predict.ledger import Ledger
from paste_proxy.predict.model import Predictor
from paste_proxy.predict.predictor import PatternPredictor

CellName = Literal["A", "A'", "B", "E", "F", "O", "O∞", "X", "XF", "E*", "T", "lpm", "hrrn", "spf"]
CELLS: tuple[CellName, ...] = get_args(CellName)
ORDERS: Mapping[CellName, PolicyName] = {"lpm": "lpm", "hrrn": "hrrn", "spf": "shortest-prefill-first"}
"""The cells in which the engine orders by itself."""

SessionTags = Literal["off", "told", "learnt"]

SCHEDULED: tuple[CellName, ...] = ("E", "F", "XF")
"""Those with our scheduling."""

FILLERS = 10_000_000
"""Tasks from here on keep the load up before, beside and behind those that are measured."""
ALONE = 8
"""Tasks from which it is known how long one takes alone."""
WARM_UP = 1
"""Fillers per place of a closed loop before the first task that is measured: one task each fills memory."""
BEHIND = 4
"""Fillers behind the measured tasks of a closed loop: for each task and place so many. Other cells need two at
most; where an order lets a task starve (`shortest-prefill-first`) as long as others come, they must end."""


class LabWorkload(Protocol):
    """Tasks, and the tools that they call."""

    @property
    def name(self) -> str: ...
    @property
    def tasks(self) -> int | None:
        """How many there are to measure; None: as many as one likes."""

    @property
    def world(self) -> World: ...
    def script(self, task: int) -> Script:
        """Task `task`, from its beginning. Fillers repeat tasks where there are not enough."""

    def rehearsal(self, number: int) -> Script | None:
        """A task to learn from, none of those that are measured; None: there are no more."""

    @property
    def rehearsals(self) -> int:
        """How many of them the predictor has seen before, unless the plan says otherwise."""


class Plan(msgspec.Struct, frozen=True):
    """What is run."""

    engine: EngineSpec
    tasks: int
    seed: int = 0
    arrivals: Arrivals = "closed"
    engines: int = 1
    policy: str = "joint"
    """Of the joint queue, in E, F and XF."""
    warm_up: bool = False
    """There, prefixes are read ahead (`schedule.warm_up`)."""
    session_tags: SessionTags = "off"
    """There, the engine knows sessions by name, and hears of their end by `schedule.close_sessions`."""
    chat_per_s: float = 0.0
    """Plain chat requests beside the tasks."""
    tools_per_s: float = 0.0
    tool_failures: float = 0.0
    """Limits of the services behind the tools, see `ToolLimits`."""
    rehearsals: int | None = None
    """Tasks that the predictor has seen before; None: as many as the workload has it."""
    kv: float = 1.0
    """Times the engine's memory."""
    tenants: tuple[Tenant, ...] = ONE
    """Who the load is of."""

    @property
    def spec(self) -> EngineSpec:
        """The engine with that much memory."""
        return msgspec.structs.replace(self.engine, kv_tokens=max(1, round(self.engine.kv_tokens * self.kv)))


class Service(msgspec.Struct, frozen=True):
    """What a tenant got."""

    share: float
    """Its part of the load."""
    tasks: tuple[int, ...]
    """Those of it that are measured."""
    ended: int
    model_s: float
    """In which engines worked for its tasks."""


class Run(msgspec.Struct):
    """One cell at one load, as it went."""

    cell: CellName
    policy: str
    load: int
    kv: float
    tracks: dict[int, TaskTrack]
    span_s: float
    """From the first measured task's arrival to the last one's."""
    ended: int
    """Tasks of any kind that ended in that time."""
    alone_s: float
    """What a task takes that has everything for itself."""
    services: dict[str, Service]
    """What each tenant got in that time."""
    hits: dict[str, int]
    started: dict[str, int]
    unused: dict[str, int]
    wasted_worker_s: float
    virtual_s: float
    prompt_tokens: int
    prefilled_tokens: int
    chat_ttft_s: list[float]
    """Times to the first token of plain chat requests beside the tasks."""
    warm_ups: dict[str, int] = {}
    """See `warming.WarmLedger`."""
    expected_over: int = 0
    came_back: int = 0
    """Sessions, see `endings.Endings`."""

    @property
    def mean_s(self) -> float:
        return sum(track.seconds for track in self.tracks.values()) / len(self.tracks)


def run_cell(workload: LabWorkload, plan: Plan, cell: CellName, load: int) -> Run:
    if cell == "E*":
        return _tuned(workload, plan, load)
    if cell in ORDERS:
        return Cell(workload, plan, cell, load, engine_policy=ORDERS[cell]).run()
    return Cell(workload, plan, cell, load, policy=_policy(plan, cell)).run()


def _policy(plan: Plan, cell: CellName) -> str:
    return plan.policy if cell in SCHEDULED else "fcfs"


def _settings(plan: Plan, cell: CellName, policy: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"schedule": {"policy": policy}}
    if plan.session_tags != "off":
        settings["schedule"]["close_sessions"] = plan.session_tags
    if plan.warm_up and cell in SCHEDULED:
        settings["schedule"]["warm_up"] = "on"
        settings["speculation"] = {"mode": "on"}  # in E, too: there is nothing else that may run ahead
    if cell == "O":  # it knows: it is believed whatever it says
        settings["speculation"] = {"candidates": 16, "min_probability": 0.0}
    return settings


def _tuned(workload: LabWorkload, plan: Plan, load: int) -> Run:
    alone_s = alone(workload, plan)

    def attempt(gate: int, policy: PolicyName, limit_s: float) -> Run | None:
        cell = Cell(workload, plan, "E*", load, gate=gate, engine_policy=policy, alone_s=alone_s)
        return cell.run_below(limit_s)

    return tuned(gates_below(load), attempt)


class Cell:
    """One cell at one load. `run` does it all; `start` alone leaves it to others for how long."""

    def __init__(
        self,
        workload: LabWorkload,
        plan: Plan,
        cell: CellName,
        load: int,
        *,
        policy: str = "fcfs",
        gate: int = 0,
        engine_policy: PolicyName | None = None,
        predictor: Predictor | None = None,
        alone_s: float | None = None,
    ) -> None:
        """`predictor`: another than the cell's own. `alone_s`: what `alone` says, where it is known."""
        self._workload = workload
        self._plan = plan
        self._cell = cell
        self._load = load
        self._alone_s = alone(workload, plan) if alone_s is None else alone_s
        self._scripts: dict[str, Script] = {}
        engine = msgspec.structs.replace(
            plan.spec, session_tags=plan.session_tags != "off" and cell in SCHEDULED
        )
        ours = policy
        if engine_policy is not None:
            engine = msgspec.structs.replace(engine, policy=engine_policy)
            policy = f"semaphore:{gate}/{engine_policy}" if gate else engine_policy
        self._policy = "thunder" if cell == "T" else policy
        self.site = VirtualSite(
            workload.world,
            engine,
            predictor or self._predictor(),
            engines=plan.engines,
            hides_tools=cell == "O∞",
            limits=ToolLimits(plan.tools_per_s, plan.tool_failures, plan.seed),
            settings=_settings(plan, cell, ours),
        )
        self._chat = Chat(self.site, plan.chat_per_s, plan.seed)
        self._doors = [Pausing(engine.kv_tokens, self.site.time) for _ in self.site.fleet.engines]
        self._split = Split(plan.tenants)
        self._driver = Driver(self.site, self._new_agent, Gate(gate), range(plan.tasks))

    def run(self) -> Run:
        self.start()
        self.site.time.run(lambda: self._driver.done)
        self._drop_leftovers()
        return self._report()

    def run_below(self, mean_s: float) -> Run | None:
        """None as soon as its mean is known to be above `mean_s`."""
        most_s = mean_s * self._plan.tasks
        self.start()
        self.site.time.run(lambda: self._driver.done or self._driver.spent_s > most_s)
        return None if self._driver.spent_s > most_s else self._report()

    def start(self) -> None:
        alone_s = self._alone_s
        rng = random.Random(f"{self._plan.seed}/arrivals")
        self._chat.start()
        match self._plan.arrivals:
            case "closed":
                self._driver.closed(self._orders(), alone_s, rng)
            case "poisson":
                # Beyond what the engines can do the queue would grow for ever: behind the measured tasks come
                # as many as before them, and then no more.
                order = itertools.islice(self._order(self._load), self._plan.tasks + 2 * self._load)
                self._driver.poisson(self._load / alone_s, order, rng)
            case "cohort":
                self._driver.cohorts(self._load, self._order(0))

    def _orders(self) -> list[Iterator[int]]:
        """Of each place of a closed loop; those of a tenant share one."""
        whose = [self._split.of(place) for place in range(self._load)]
        there = dict.fromkeys(whose)
        left_over = frozenset(self._split.names) - there.keys()
        orders = {
            name: self._order(whose.count(name) * WARM_UP, {name} | (left_over if name == whose[0] else set()))
            for name in there
        }
        return [orders[name] for name in whose]

    def _order(self, warm_up: int, tenants: Collection[str] = ()) -> Iterator[int]:
        """The tasks as they come, of some tenants or of all. In A' they come in another order."""

        def is_theirs(task: int) -> bool:
            return not tenants or self._split.of(task) in tenants

        tasks = list(range(self._plan.tasks))
        if self._cell == "A'":
            random.Random(f"{self._plan.seed}/order").shuffle(tasks)
        most = warm_up + BEHIND * (self._plan.tasks + self._load)
        fillers = itertools.islice(filter(is_theirs, itertools.count(FILLERS)), most)
        return itertools.chain(itertools.islice(fillers, warm_up), filter(is_theirs, tasks), fillers)

    def _new_agent(self, task: int, over: Callable[[TaskTrack], None]) -> Agent:
        script = self._workload.script(task)
        self._scripts[script.task] = script
        return Agent(script, self.site, over, door=self._door_of(script.task), tenant=self._split.of(task))

    def _door_of(self, task: str) -> Door | None:
        """Each engine's own: a session keeps to one."""
        return self._doors[self.site.fleet.place(task)] if self._cell == "T" else None

    def _script_of(self, session: str) -> Script | None:
        state = self.site.shell.core.turns.sessions.get(session)
        return self._scripts.get(state.name) if state is not None else None

    def _predictor(self) -> Predictor | None:
        match self._cell:
            case "B" | "F":
                planned = self._plan.rehearsals
                return rehearsed(self._workload, self._workload.rehearsals if planned is None else planned)
            case "O":
                return Oracle(self._script_of)
            case "X" | "XF":
                return AlwaysWrong(self._workload.world.specs.values())
        return None

    def _drop_leftovers(self) -> None:
        """What was run ahead for tasks that are over, and still lies there: nobody will ask for it any more."""
        core = self.site.shell.core
        for session in core.turns.sessions.values():
            script = self._scripts.get(session.name)
            if script is not None and script.over:
                core.broker.discard_session(session.id, self.site.time.now)

    def _report(self) -> Run:
        ledger = self.site.shell.core.broker.ledger
        tracks = self._driver.tracks
        begin = min(track.start for track in tracks.values())
        end = max(track.end for track in tracks.values())
        ended = [one for one in self._driver.ended if begin < one.at <= end]
        return Run(
            cell=self._cell,
            policy=self._policy,
            load=self._load,
            kv=self._plan.kv,
            tracks=dict(sorted(tracks.items())),
            span_s=end - begin,
            ended=len(ended),
            alone_s=self._alone_s,
            services={name: self._service(name, ended) for name in self._split.names},
            hits=dict(ledger.hits),
            started=dict(ledger.started),
            unused=dict(ledger.unused),
            wasted_worker_s=ledger.wasted_worker_s,
            warm_ups=asdict(self.site.shell.core.warming.ledger),
            expected_over=self.site.shell.core.pacing.endings.expected_over,
            came_back=self.site.shell.core.pacing.endings.came_back,
            virtual_s=self.site.time.now,
            prompt_tokens=sum(engine.prompted for engine in self.site.fleet.engines),
            prefilled_tokens=sum(engine.prefilled for engine in self.site.fleet.engines),
            chat_ttft_s=self._chat.ttft_s(begin, end),
        )

    def _service(self, name: str, ended: Sequence[Ended]) -> Service:
        theirs = [one for one in ended if self._split.of(one.task) == name]
        tasks = tuple(task for task in range(self._plan.tasks) if self._split.of(task) == name)
        return Service(self._split.share(name), tasks, len(theirs), sum(one.model_s for one in theirs))


def alone(workload: LabWorkload, plan: Plan) -> float:
    """The mean seconds of a few tasks that have everything for themselves."""
    site = VirtualSite(workload.world, plan.spec, None)
    driver = Driver(
        site,
        lambda task, over: Agent(workload.script(task), site, over),
        Gate(1),
        range(min(ALONE, plan.tasks)),
    )
    driver.cohorts(1, itertools.count())
    site.time.run(lambda: driver.done)
    return site.time.now / len(driver.tracks)


def rehearsed(workload: LabWorkload, tasks: int) -> PatternPredictor:
    """The production predictor, having seen some tasks from beginning to end."""
    predictor = PatternPredictor(Ledger())
    for number in range(tasks):
        script = workload.rehearsal(number)
        if script is None:
            break
        tell(_played(script, workload.world), f"rehearsal {number}", predictor)
    return predictor


def _played(script: Script, world: World) -> Iterator[dict[str, Any]]:
    """The messages of a whole task, as a chat client has them."""
    for said in script.opening:
        yield {"role": said.role, "content": said.text}
    while not script.over:
        saying = script.next_turn()
        calls = [
            {"id": call.call_id, "function": {"name": call.tool, "arguments": call.arguments}}
            for call in saying.calls
        ]
        yield {"role": "assistant", "content": saying.content, "tool_calls": calls}
        answers = [_answer(script, world, call) for call in saying.calls]
        for answer in answers:
            yield {"role": "tool", "tool_call_id": answer.call.call_id, "content": answer.text}
        script.answered(answers)
        for said in script.interlude():
            yield {"role": said.role, "content": said.text}


def _answer(script: Script, world: World, call: SaidCall) -> Answered:
    """Nothing counts tokens here."""
    found = world.answer(script.task, call.tool, msgspec.json.decode(call.arguments))
    return Answered(call, found.error or found.output.body.decode(), 0)
