"""The OpenAI Agents SDK with wrapped tools, streamed: two questions in one conversation."""

import asyncio

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    Runner,
    ToolCallItem,
    function_tool,
    set_tracing_disabled,
)
from common import CALL_TOKENS, MODEL, QUESTION, READS, base_url, call, report, slow_file, slow_weather
from openai import AsyncOpenAI

from paste_proxy.client import wrap


async def main() -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{base_url()}/v1", api_key="unused", max_retries=0)
    tools = [function_tool(slow_weather), function_tool(slow_file)]
    tools = wrap(tools, proxy=base_url(), effects=READS)
    agent = Agent(
        name="assistant",
        model=OpenAIChatCompletionsModel(MODEL, client),
        tools=tools,
        model_settings=ModelSettings(tool_choice="required", max_tokens=CALL_TOKENS),
        # Else the model would choose freely after a result, and a random one writes noise without end.
        tool_use_behavior="stop_on_first_tool",
    )
    made, turns = [], 0
    history: list = []
    for question in (QUESTION, "Once more."):
        result = Runner.run_streamed(agent, [*history, {"role": "user", "content": question}])
        async for _ in result.stream_events():
            pass
        made += [item.raw_item for item in result.new_items if isinstance(item, ToolCallItem)]
        turns += len(result.raw_responses)
        history = result.to_input_list()
    report([call(one.call_id, one.name, one.arguments) for one in made], turns)


asyncio.run(main())
