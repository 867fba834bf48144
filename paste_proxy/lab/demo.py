"""The demo: the research workload with running ahead off (cell A) and on (cell B), at once, over real HTTP.

Each cell has a proxy and (scripted) an engine of its own, so neither shares a batch or a queue with the other;
the agents of both are one process. What is shared is the machine, and its load is printed.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
import orjson

from paste_proxy.errors import LabError
from paste_proxy.lab import remote
from paste_proxy.lab.learning import learn
from paste_proxy.lab.machine import busy_share, cpu_times
from paste_proxy.lab.policy import Policy
from paste_proxy.lab.processes import Child, child, module
from paste_proxy.lab.records import AgentPlan, Cell, OwnTools, ServiceSpan, TaskRecord
from paste_proxy.lab.sglang_server import (
    INSTALL_COMMAND,
    VENV_VARIABLE,
    SglangServer,
    find_install,
    venv_folder,
)
from paste_proxy.lab.sizes import ADDRESS, OPEN, READ, SEARCH, SUBJECT, Sizes
from paste_proxy.lab.summary import Ahead, Outcome, summarize
from paste_proxy.lab.workload import Workload, load_workload
from paste_proxy.predict.tables import Tables
from paste_proxy.predict.tenants import TenantPredictor
from paste_proxy.store.patterns import PatternStore
from paste_proxy.tasks import TaskSet

FIRST_LEARNT = 1000
"""Tasks from this number on are learnt from; those below are measured."""
REQUEST_TIMEOUT_S = 120.0
"""The longest turn or call takes less than ten seconds at the demo's scale; a real engine may compile first."""


class DemoSettings(msgspec.Struct, frozen=True):
    tasks: int
    time_scale: float
    token_scale: float = 1.0
    engine: Literal["scripted", "sglang"] = "scripted"
    attach: Literal["gateway", "wrap"] = "gateway"
    """Where the tools are: behind the proxy, or wrapped in the agents' process."""
    at_once: int = 8
    """Tasks at once per cell: two cores are then less than half busy, and the whole takes less than 120 s."""
    learn_tasks: int = 96
    """Some 1,200 turns: enough to tell the ranks apart that are opened once in thirty turns."""
    serve: tuple[str, ...] = module("paste_proxy", "serve")
    """The command of the proxies; a test puts faults into it."""
    timeout_s: float = REQUEST_TIMEOUT_S
    """Of the agents' requests."""
    changes: Mapping[str, Any] = {}
    """Keys of the proxies' configuration that are others than a cell has by its name."""


class DemoResult(msgspec.Struct, frozen=True):
    settings: DemoSettings
    outcome: Outcome
    records: tuple[TaskRecord, ...]
    services: tuple[ServiceSpan, ...]
    """The runs that cell B's remote service saw."""
    drawn: tuple[float, ...]
    """Of every call of cell A, in the order of `records`: how long its run was meant to take, scaled."""
    busy: float | None
    """Share of the machine's cores that was in use, by whomever, while the tasks ran."""
    complaints: tuple[str, ...] = ()
    """What the proxies logged of things that went wrong."""


def _silent(_line: str) -> None:
    """Tells nobody."""


async def run_demo(settings: DemoSettings, told: Callable[[str], None] = _silent) -> DemoResult:
    """Learn, start everything on loopback, run all tasks, stop everything. Raises `LabError`.

    `told` is called with a line as each stage begins, and at each quarter of the tasks.
    """
    workload = load_workload()
    with tempfile.TemporaryDirectory(prefix="paste-demo-") as folder:
        try:
            return await Demo(settings, workload, Path(folder), told).run()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LabError(f"a proxy of the demo does not answer: {str(error) or 'timed out'}") from error


class Demo:
    """The parts of a demo, in one folder; `run` puts them together."""

    def __init__(
        self,
        settings: DemoSettings,
        workload: Workload,
        folder: Path,
        told: Callable[[str], None] = _silent,
    ) -> None:
        self._told = told
        self._settings = settings
        self._workload = workload
        self._folder = folder
        self.sizes = Sizes(workload, settings.token_scale)
        self.policy = Policy(workload, self.sizes)
        self._proxies: list[Child] = []

    async def run(self) -> DemoResult:
        async with AsyncExitStack() as stack:
            cells = await self._start(stack)
            self._told("warming up the tools of both cells")
            if self._settings.attach == "gateway":  # else the agents do, in whose process they are
                await asyncio.gather(*(self.warm_up(cell.url) for cell in cells))
            before, stats = cpu_times(), await _stats(cells[1].url)
            self._told(f"running {self._settings.tasks} tasks in cell A (off) and in cell B (on), side by side")
            records = await self.run_agents(cells, self._longest_first())
            busy = busy_share(before, cpu_times())
            complaints = [line for proxy in self._proxies for line in proxy.complaints()]
            await _check_core(cells[1].url, complaints)
            ahead = _ahead(stats, await _stats(cells[1].url), _wasted(records, self._services("B")))
        return DemoResult(
            settings=self._settings,
            outcome=summarize(records, ahead),
            records=tuple(records),
            services=tuple(self._services("B")),
            drawn=tuple(self._drawn(records)),
            busy=busy,
            complaints=tuple(complaints),
        )

    async def _start(self, stack: AsyncExitStack) -> list[Cell]:
        """Learn while the engines start, then start both proxies; `stack` stops everything."""
        tasks = TaskSet()
        stack.push_async_callback(tasks.close)
        self._told(f"learning patterns from {self._settings.learn_tasks} other tasks, and starting the engine")
        learning = tasks.spawn(self.learn(), name="learn patterns")
        engines = await stack.enter_async_context(self._engines())
        await learning
        return [
            await stack.enter_async_context(self.proxy(cell, engine))
            for cell, engine in zip("AB", engines, strict=True)
        ]

    @asynccontextmanager
    async def proxy(self, cell: str, engine: str) -> AsyncIterator[Cell]:
        """The proxy of a cell, before that engine, while the block lasts."""
        command = self._proxy_command(cell, engine)
        self._told(f"starting the proxy of cell {cell}")
        async with child(f"the proxy of cell {cell}", command, self._folder) as proxy:
            self._proxies.append(proxy)
            yield Cell(cell, await _listening(proxy), self._own_tools(cell))

    # -- before the clock starts --------------------------------------------------------------------------

    async def learn(self) -> None:
        """Play tasks that are not measured, and leave the patterns to the proxies that run ahead."""
        tables = Tables()
        tasks = range(FIRST_LEARNT, FIRST_LEARNT + self._settings.learn_tasks)
        service = remote.Service(self.sizes)
        try:
            await learn(self.policy, tasks, service.answer, TenantPredictor(tables))
        finally:
            await service.close()
        store = PatternStore(str(self._patterns))
        store.save_all(tables)
        store.close()

    @property
    def _patterns(self) -> Path:
        return self._folder / "patterns.sqlite"

    # -- servers ------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _engines(self) -> AsyncIterator[Sequence[str]]:
        """The engines' URLs, for cell A and for cell B."""
        if self._settings.engine == "sglang":
            async with self._sglang() as url:
                yield url, url  # one engine for both: a second one would take the other's core
        else:
            command = module("paste_proxy.lab.scripted_engine", "2", str(self._settings.time_scale))
            async with child("the engine", command, self._folder) as engine:
                yield orjson.loads(await engine.said())

    @asynccontextmanager
    async def _sglang(self) -> AsyncIterator[str]:
        install = find_install()
        if install is None:
            raise LabError(
                f"no SGLang in {venv_folder()} ({VENV_VARIABLE} names another folder); to install it, "
                f"in a clone: {INSTALL_COMMAND}",
                param="sglang",
            )
        batch = 2 * self._settings.at_once
        async with SglangServer(install, self._folder, max_running_requests=batch) as server:
            command = module("paste_proxy.lab.scripting_front", server.url, str(self._settings.token_scale))
            async with child("the front of SGLang", command, self._folder) as front:
                yield await front.said()

    def _proxy_command(self, cell: str, engine: str) -> Sequence[str]:
        config = self._folder / f"{cell}.yaml"
        config.write_bytes(orjson.dumps(self._config(cell, engine)))  # JSON is YAML
        return (*self._settings.serve, "--config", str(config))

    def _own_tools(self, cell: str) -> OwnTools | None:
        if self._settings.attach == "gateway":
            return None
        scales = self._settings.time_scale, self._settings.token_scale
        return OwnTools(cell != "A", *scales, str(self._log(cell)))

    def _config(self, cell: str, engine: str) -> dict[str, Any]:
        slots = self._workload.tool_slots
        options = {
            "time_scale": self._settings.time_scale,
            "token_scale": self._settings.token_scale,
            "log": str(self._log(cell)),
        }
        plugins = [{"path": str(Path(remote.__file__).resolve()), "options": options}]
        config: dict[str, Any] = {
            "listen": {"port": 0},
            "backend": {"url": engine},
            "plugins": plugins if self._settings.attach == "gateway" else [],
            "limits": {"tool_runs": slots.search + slots.open},
            "speculation": {"mode": "off"},
        }
        if cell != "A":
            config["speculation"] = {"mode": "on", "allow": [SEARCH, OPEN, READ], "slots": slots.open}
            config["store"] = {"path": str(self._patterns)}
        return config | dict(self._settings.changes)

    async def warm_up(self, url: str) -> None:
        """Have the tools called once, by nobody's session: worker processes start, indexes are read."""
        calls = [(SEARCH, {"query": word}) for word in ("warm", "up")]
        calls += [(OPEN, {"address": f"{ADDRESS}json"}), (READ, {"path": "json/__init__.py"})]
        async with aiohttp.ClientSession(url) as http:
            await asyncio.gather(*(_call(http, tool, arguments) for tool, arguments in calls))

    # -- the run ------------------------------------------------------------------------------------------

    async def run_agents(
        self, cells: Sequence[Cell], tasks: Sequence[int], at_once: int = 0
    ) -> list[TaskRecord]:
        """The tasks in this order, `at_once` of them (0: as set) at a time in every cell."""
        plan = AgentPlan(
            cells=tuple(cells),
            tasks=tuple(tasks),
            at_once=at_once or self._settings.at_once,
            token_scale=self._settings.token_scale,
            timeout_s=self._settings.timeout_s,
        )
        records: list[TaskRecord] = []
        started = time.monotonic()
        async with child("the agents", module("paste_proxy.lab.agent"), self._folder) as agents:
            async for line in agents.answers(msgspec.json.encode(plan)):
                records.append(msgspec.json.decode(line, type=TaskRecord))
                if is_quarter(len(records), len(plan.cells) * len(plan.tasks)):
                    self._told(f"{_done(plan, records)}, {time.monotonic() - started:.0f} s")
        return records

    def _longest_first(self) -> tuple[int, ...]:
        """Tasks with many calls first, so that none of them runs alone at the end."""
        return tuple(sorted(range(self._settings.tasks), key=lambda task: -self.policy.call_count(task)))

    # -- afterwards ---------------------------------------------------------------------------------------

    def _log(self, cell: str) -> Path:
        return self._folder / f"service-{cell}.jsonl"

    def _services(self, cell: str) -> list[ServiceSpan]:
        log = self._log(cell)
        lines = log.read_bytes().splitlines() if log.exists() else []
        return [msgspec.json.decode(line, type=ServiceSpan) for line in lines]

    def _drawn(self, records: Sequence[TaskRecord]) -> list[float]:
        return [
            self.sizes.seconds(call.tool, {SUBJECT[call.tool]: call.subject}) * self._settings.time_scale
            for record in records
            if record.cell == "A"
            for call in record.calls
        ]


def is_quarter(count: int, of: int) -> bool:
    """Whether with this one the next quarter is full."""
    return 4 * count // of > 4 * (count - 1) // of


def _done(plan: AgentPlan, records: Sequence[TaskRecord]) -> str:
    counts = Counter(record.cell for record in records)
    return ", ".join(f"cell {cell.name}: {counts[cell.name]} of {len(plan.tasks)} tasks" for cell in plan.cells)


async def _listening(proxy: Child) -> str:
    """Where a proxy listens, as it says itself."""
    line = await proxy.said()
    url = line.removeprefix("listening on ")
    if url == line:
        raise LabError(f"{proxy.name} said {line!r}, not where it listens", param=proxy.name)
    return url


async def _call(http: aiohttp.ClientSession, tool: str, arguments: dict[str, str]) -> None:
    """Raises `LabError` where the tool does not answer."""
    async with http.post(f"/v1/tools/{tool}", json=arguments) as response:
        answer = await response.text()
        if response.status != 200:
            raise LabError(f"tool {tool} can't be called: {answer[:500]}", param=tool)


async def _stats(url: str) -> dict[str, Any]:
    return await _get(f"{url}/paste/v1/stats")


async def _check_core(url: str, complaints: Sequence[str]) -> None:
    """A proxy whose core failed serves on without running ahead: nothing that could be compared."""
    if (await _get(f"{url}/paste/health"))["core"] != "ok":
        raise LabError("the core of cell B's proxy failed: " + "; ".join(complaints), param="core")


async def _get(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        answer: dict[str, Any] = await response.json()
        return answer


def _ahead(before: dict[str, Any], after: dict[str, Any], wasted_s: float) -> Ahead:
    """What the proxy did ahead of the model between two readings; what still lies there is unused."""
    runs = after["speculations"]
    return Ahead(
        hits={kind: count - before["hits"][kind] for kind, count in after["hits"].items()},
        started=runs["started"],
        used=runs["used"],
        unused=runs["unused"] + runs["live"],
        wasted_s=wasted_s,
    )


def _wasted(records: Sequence[TaskRecord], services: Sequence[ServiceSpan]) -> float:
    """Seconds that the service of cell B spent on what no task asked for."""
    asked = {(call.tool, call.subject) for record in records if record.cell == "B" for call in record.calls}
    return sum(run.end - run.start for run in services if (run.tool, run.subject) not in asked)
