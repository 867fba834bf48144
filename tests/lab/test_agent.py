"""The agents against a scripted engine and a gateway that answers at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import web

from paste_proxy.errors import LabError
from paste_proxy.lab.agent import run_plan
from paste_proxy.lab.conversation import WireMessage, digest_chain
from paste_proxy.lab.policy import Policy
from paste_proxy.lab.records import AgentPlan, Cell, TaskRecord
from paste_proxy.lab.scripted_engine import ScriptedEngine, listen
from paste_proxy.lab.sizes import SEARCH
from paste_proxy.lab.workload import Workload
from tests.lab.conftest import made_up, play

TOOLS = [{"type": "function", "function": {"name": SEARCH, "parameters": {"type": "object"}}}]


class Gateway:
    """Stands for the proxy: the engine's API and the tools' on one address. Keeps what it was asked."""

    def __init__(self, workload: Workload) -> None:
        self.app = ScriptedEngine(workload, time_scale=0.0005).application()
        self.app.router.add_get("/v1/tools", self._list)
        self.app.router.add_post("/v1/tools/{name}", self._call)
        self.call_ids: list[str] = []
        self.broken = False

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "tools": TOOLS})

    async def _call(self, request: web.Request) -> web.Response:
        self.call_ids.append(request.headers["x-tool-call-id"])
        if self.broken:
            assert request.transport
            request.transport.abort()
        headers = {"x-paste-outcome": "joined", "x-paste-service-ms": "40", "x-paste-saved-ms": "15"}
        return web.Response(text=made_up(request.match_info["name"], await request.json()), headers=headers)


@pytest.fixture
async def gateway(workload: Workload) -> AsyncIterator[tuple[Gateway, str]]:
    gateway = Gateway(workload)
    runner = web.AppRunner(gateway.app)
    url = await listen(runner)
    yield gateway, url
    await runner.cleanup()


def plan(url: str, tasks: tuple[int, ...], **fields: Any) -> AgentPlan:
    cells = (Cell("A", url), Cell("B", url))
    return AgentPlan(cells=cells, tasks=tasks, at_once=2, token_scale=1.0, timeout_s=10.0, **fields)


async def test_runs_every_task_in_every_cell(gateway: tuple[Gateway, str], policy: Policy) -> None:
    records: list[TaskRecord] = []
    await run_plan(plan(gateway[1], (2, 14, 26)), records.append)
    assert sorted((record.cell, record.task) for record in records) == [
        (cell, task) for cell in "AB" for task in (2, 14, 26)
    ]
    for record in records:
        turns, messages = play(policy, record.task)
        assert record.transcript == digest_chain(msgspec.convert(messages, list[WireMessage]))
        assert len(record.turns) == len(turns)
        assert len(record.calls) == len(turns) - 1


async def test_records_what_it_waited_for(gateway: tuple[Gateway, str], policy: Policy) -> None:
    records: list[TaskRecord] = []
    await run_plan(plan(gateway[1], (2,)), records.append)
    record = records[0]
    turns, _ = play(policy, 2)
    calls = [turn.call for turn in turns if turn.call]
    assert [(call.tool, call.subject) for call in record.calls] == [
        (call.tool, next(str(v) for k, v in json.loads(call.arguments).items() if k != "limit"))
        for call in calls
    ]
    assert {(call.outcome, call.service_s, call.saved_s) for call in record.calls} == {("joined", 0.04, 0.015)}
    assert record.start <= record.turns[0].start <= record.turns[0].first <= record.turns[0].end <= record.end
    assert record.exposed_s == pytest.approx(sum(call.end - call.start for call in record.calls))
    assert set(gateway[0].call_ids) == {call.call_id for call in calls}


async def test_asks_a_model_elsewhere_and_keeps_to_the_gateway_s_tools(
    gateway: tuple[Gateway, str], workload: Workload
) -> None:
    engine = Gateway(workload)
    runner = web.AppRunner(engine.app)
    cell = Cell("A", gateway[1], model=await listen(runner))
    records: list[TaskRecord] = []
    await run_plan(AgentPlan((cell,), (2,), 1, 1.0, 10.0), records.append)
    await runner.cleanup()
    assert len(records[0].calls) == len(gateway[0].call_ids) > 0
    assert not engine.call_ids


async def test_knows_which_pages_its_searches_found(gateway: tuple[Gateway, str]) -> None:
    records: list[TaskRecord] = []
    await run_plan(plan(gateway[1], (2,)), records.append)
    searches = sum(call.tool == SEARCH for call in records[0].calls)
    assert len(records[0].addresses) == 10 * searches


async def test_a_failure_names_task_and_cell(gateway: tuple[Gateway, str]) -> None:
    gateway[0].broken = True
    with pytest.raises(ExceptionGroup) as failed:
        await run_plan(plan(gateway[1], (2,)), lambda record: None)
    assert all(isinstance(error, LabError) for error in failed.value.exceptions)
    assert "task 2 of cell" in str(failed.value.exceptions[0])
