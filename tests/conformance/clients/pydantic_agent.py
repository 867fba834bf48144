"""pydantic-ai: a tool, and an output type that is a tool call underneath; streamed."""

import asyncio
from typing import Literal

from common import CALL_TOKENS, MODEL, QUESTION, base_url, call, report
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class Report(BaseModel):
    """What to read."""

    path: Literal["notes.txt", "todo.txt"]


async def main() -> None:
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{base_url()}/v1", api_key="unused"))
    agent = Agent(model, output_type=Report, model_settings={"max_tokens": CALL_TOKENS})

    async with agent.run_stream(QUESTION) as first:
        await first.get_output()
    async with agent.run_stream("Once more.", message_history=first.all_messages()) as second:
        await second.get_output()
    said = [message for message in second.all_messages() if isinstance(message, ModelResponse)]
    parts = [part for message in said for part in message.parts if isinstance(part, ToolCallPart)]
    report([call(part.tool_call_id, part.tool_name, part.args) for part in parts], len(said))


asyncio.run(main())
