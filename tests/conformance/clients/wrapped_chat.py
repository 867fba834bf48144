"""The openai SDK, chat completions, streamed: the plain loop, with wrapped functions."""

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
from openai import AsyncOpenAI

from paste_proxy.client import tool_call, wrap

ENUMS = {
    "slow_weather": {"city": ["London", "Paris"], "unit": ["C", "F"]},
    "slow_file": {"path": ["notes.txt", "todo.txt"]},
}
SCHEMAS = {
    name: {
        "type": "object",
        "properties": {argument: {"type": "string", "enum": values} for argument, values in arguments.items()},
        "required": list(arguments),
        "additionalProperties": False,
    }
    for name, arguments in ENUMS.items()
}


async def main() -> None:
    client = AsyncOpenAI(base_url=f"{base_url()}/v1", api_key="unused", max_retries=0)
    declared = {name: {"parameters": schema} for name, schema in SCHEMAS.items()}
    tools = wrap([slow_weather, slow_file], proxy=base_url(), effects=READS, declared=declared)
    offered: list = [
        {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}
        for name, schema in SCHEMAS.items()
    ]
    messages: list = [{"role": "user", "content": QUESTION}]
    calls = []
    for choice, limit in (("required", CALL_TOKENS), ("none", ANSWER_TOKENS)):
        stream = await client.chat.completions.create(
            model=MODEL, messages=messages, tools=offered, tool_choice=choice, max_tokens=limit, stream=True
        )
        text, asked = "", []
        async for chunk in stream:
            for one in chunk.choices:
                text += one.delta.content or ""
                for delta in one.delta.tool_calls or ():
                    if delta.id:
                        asked.append({"id": delta.id, "name": delta.function.name, "arguments": ""})
                    asked[-1]["arguments"] += delta.function.arguments or ""
        message: dict = {"role": "assistant", "content": text}
        if asked:
            message["tool_calls"] = [
                {
                    "id": one["id"],
                    "type": "function",
                    "function": {"name": one["name"], "arguments": one["arguments"]},
                }
                for one in asked
            ]
        messages.append(message)
        for one in asked:
            made = call(one["id"], one["name"], one["arguments"])
            calls.append(made)
            with tool_call(one["id"]):
                found = {tool.__name__: tool for tool in tools}[made["name"]](**made["arguments"])
                result = await found if asyncio.iscoroutine(found) else found
            messages.append({"role": "tool", "tool_call_id": one["id"], "content": result})
    report(calls, 2)


asyncio.run(main())
