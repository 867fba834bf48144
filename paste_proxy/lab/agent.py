"""The demo's agents, in a process of their own: the plain loop that everybody writes with the official SDK.

They know nothing of speculation or sessions: `base_url` names the proxy, the tools come from the gateway,
and a call carries its id. The plan comes in as JSON on standard input, each task's record leaves as a line.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
import openai
import uvloop
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from paste_proxy.errors import LabError, PasteError
from paste_proxy.lab.conversation import WireMessage, digest_chain
from paste_proxy.lab.own_tools import Toolbox
from paste_proxy.lab.policy import MODEL, Policy, addresses_found
from paste_proxy.lab.records import AgentPlan, Cell, LlmSpan, TaskRecord, ToolSpan
from paste_proxy.lab.sizes import SUBJECT, Sizes
from paste_proxy.lab.workload import load_workload


class Agent:
    """One cell's agents: an SDK client, an HTTP client for the tools, and the tools' schemas."""

    def __init__(self, cell: Cell, http: aiohttp.ClientSession, policy: Policy, timeout_s: float) -> None:
        self.cell = cell
        self._http = http
        self._policy = policy
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._model = AsyncOpenAI(
            base_url=f"{cell.model or cell.url}/v1", api_key="none", max_retries=0, timeout=timeout_s
        )
        self._tools: list[Any] = []
        self._own = Toolbox(cell.own, cell.url) if cell.own is not None else None

    async def prepare(self) -> None:
        """Ask the gateway for its tools, ready to be passed on; or get one's own ready."""
        if self._own is not None:
            await self._own.warm_up()
            self._tools = self._own.offered()
            return
        async with self._http.get(f"{self.cell.url}/v1/tools", timeout=self._timeout) as response:
            self._tools = (await response.json())["tools"]

    async def close(self) -> None:
        await self._model.close()

    async def run(self, task: int) -> TaskRecord:
        messages: list[Any] = self._policy.opening(task)
        turns: list[LlmSpan] = []
        calls: list[ToolSpan] = []
        begun = time.monotonic()
        while True:
            message, span = await self._turn(messages)
            messages.append(message)
            turns.append(span)
            if "tool_calls" not in message:
                break
            for call in message["tool_calls"]:
                result, waited = await self._call(call)
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
                calls.append(waited)
        return self._record(task, begun, turns, calls, messages)

    async def _turn(self, messages: list[Any]) -> tuple[dict[str, Any], LlmSpan]:
        start = time.monotonic()
        stream = await self._model.chat.completions.create(
            model=MODEL, messages=messages, tools=self._tools, stream=True
        )
        message, first = await _collect(stream)
        return message, LlmSpan(start, first, time.monotonic())

    async def _call(self, call: dict[str, Any]) -> tuple[str, ToolSpan]:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        start = time.monotonic()
        if self._own is not None:
            result, outcome, took = await self._own.call(name, arguments, call["id"])
            return result, _span(name, arguments, start, outcome, took, 0.0)
        async with self._http.post(
            f"{self.cell.url}/v1/tools/{name}",
            data=arguments.encode(),
            headers={"content-type": "application/json", "x-tool-call-id": call["id"]},
            timeout=self._timeout,
        ) as response:
            result = await response.text()
        headers = response.headers
        service_s, saved_s = (
            float(headers.get(f"x-paste-{name}-ms", 0)) / 1000 for name in ("service", "saved")
        )
        outcome = headers.get("x-paste-outcome", "error")
        return result, _span(name, arguments, start, outcome, service_s, saved_s)

    def _record(
        self,
        task: int,
        begun: float,
        turns: Iterable[LlmSpan],
        calls: Iterable[ToolSpan],
        messages: list[dict[str, Any]],
    ) -> TaskRecord:
        end = time.monotonic()
        wire = msgspec.convert(messages, list[WireMessage])
        found = (addresses_found(message.text) for message in wire if message.role == "tool")
        return TaskRecord(
            cell=self.cell.name,
            task=task,
            start=begun,
            end=end,
            turns=tuple(turns),
            calls=tuple(calls),
            transcript=digest_chain(wire),
            addresses=frozenset(address for addresses in found for address in addresses),
        )


def _span(tool: str, arguments: str, start: float, outcome: str, service_s: float, saved_s: float) -> ToolSpan:
    subject = str(msgspec.json.decode(arguments)[SUBJECT[tool]])
    return ToolSpan(tool, subject, start, time.monotonic(), outcome, service_s, saved_s)


async def _collect(stream: AsyncStream[ChatCompletionChunk]) -> tuple[dict[str, Any], float]:
    """The streamed reply as the message that an agent keeps, and when its first content came."""
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    first = 0.0
    async for chunk in stream:
        delta = chunk.choices[0].delta if chunk.choices else None
        if delta is None:
            continue
        if delta.content:
            first = first or time.monotonic()
            text.append(delta.content)
        for piece in delta.tool_calls or ():
            if piece.id:
                function = {"name": piece.function.name if piece.function else "", "arguments": ""}
                calls.append({"id": piece.id, "type": "function", "function": function})
            if piece.function and piece.function.arguments:
                calls[-1]["function"]["arguments"] += piece.function.arguments
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text)}
    return (message | {"tool_calls": calls} if calls else message), first or time.monotonic()


async def run_plan(plan: AgentPlan, emit: Callable[[TaskRecord], None]) -> None:
    """Run all tasks in all cells side by side, and `emit` each as it ends. Raises `LabError`s as a group."""
    policy = Policy(load_workload(), Sizes(load_workload(), plan.token_scale))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        agents = [Agent(cell, http, policy, plan.timeout_s) for cell in plan.cells]
        for agent in agents:
            stack.push_async_callback(agent.close)
            await agent.prepare()
        queues = [iter(plan.tasks) for _ in agents]
        async with asyncio.TaskGroup() as group:
            for worker in range(plan.at_once):
                for number in _alternating(len(agents), worker):
                    group.create_task(_work(agents[number], queues[number], emit))


def _alternating(cells: int, worker: int) -> list[int]:
    """Which cell starts first changes from worker to worker."""
    order = list(range(cells))
    return order if worker % 2 == 0 else order[::-1]


async def _work(agent: Agent, tasks: Iterable[int], emit: Callable[[TaskRecord], None]) -> None:
    for task in tasks:
        try:
            record = await agent.run(task)
        except (openai.OpenAIError, aiohttp.ClientError, TimeoutError, PasteError) as error:
            reason = str(error) or type(error).__name__
            raise LabError(
                f"task {task} of cell {agent.cell.name} failed: {reason}", param=str(task)
            ) from error
        emit(record)


def _print(record: TaskRecord) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=AgentPlan)
    try:
        uvloop.run(run_plan(plan, _print))
    except* LabError as failed:
        sys.exit(str(failed.exceptions[0]))


if __name__ == "__main__":
    main()
