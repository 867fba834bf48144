"""pydantic-ai with wrapped tools: a turn that must call some, and one that must not; streamed."""

import asyncio

from common import (
    ANSWER_TOKENS,
    CALL_TOKENS,
    MODEL,
    QUESTION,
    READS,
    base_url,
    call,
    report,
    slow_file,
    slow_weather,
)
from pydantic_ai import Agent, Tool
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from paste_proxy.client import wrap


class OneRound(AbstractCapability):
    """Tools in the first turn only."""

    def get_model_settings(self):
        def settings(context) -> dict:
            first = context.run_step <= 1
            return {
                "tool_choice": "required" if first else "none",
                "max_tokens": CALL_TOKENS if first else ANSWER_TOKENS,
            }

        return settings


async def main() -> None:
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{base_url()}/v1", api_key="unused"))
    tools = [Tool(slow_weather), Tool(slow_file)]
    tools = wrap(tools, proxy=base_url(), effects=READS)
    agent = Agent(model, tools=tools, capabilities=[OneRound()])
    async with agent.run_stream(QUESTION) as run:
        await run.get_output()
    said = [message for message in run.all_messages() if isinstance(message, ModelResponse)]
    parts = [part for message in said for part in message.parts if isinstance(part, ToolCallPart)]
    report([call(part.tool_call_id, part.tool_name, part.args) for part in parts], len(said))


asyncio.run(main())
