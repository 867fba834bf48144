"""The OpenAI Agents SDK on chat completions, streamed. After a result it lets the model choose freely."""

import asyncio

from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    ToolCallItem,
    set_tracing_disabled,
)
from common import CALL_TOKENS, DESCRIPTIONS, MODEL, QUESTION, SCHEMAS, base_url, call, report, run_tool
from openai import AsyncOpenAI


def tool(name: str) -> FunctionTool:
    async def invoke(_context, arguments: str) -> str:
        return run_tool(name, call("", name, arguments)["arguments"])

    return FunctionTool(name, DESCRIPTIONS[name], SCHEMAS[name], invoke)


async def main() -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{base_url()}/v1", api_key="unused", max_retries=0)
    agent = Agent(
        name="assistant",
        model=OpenAIChatCompletionsModel(MODEL, client),
        tools=[tool(name) for name in SCHEMAS],
        model_settings=ModelSettings(tool_choice="required", max_tokens=CALL_TOKENS),
    )
    result = Runner.run_streamed(agent, QUESTION)
    async for _ in result.stream_events():
        pass
    made = [item.raw_item for item in result.new_items if isinstance(item, ToolCallItem)]
    report([call(one.call_id, one.name, one.arguments) for one in made], len(result.raw_responses))


asyncio.run(main())
