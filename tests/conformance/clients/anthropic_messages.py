"""The anthropic SDK, messages API, streamed."""

from anthropic import Anthropic
from common import (
    ANSWER_TOKENS,
    CALL_TOKENS,
    DESCRIPTIONS,
    MODEL,
    QUESTION,
    SCHEMAS,
    base_url,
    call,
    report,
    run_tool,
)

client = Anthropic(base_url=base_url(), api_key="unused", max_retries=0)
tools: list = [
    {"name": name, "description": DESCRIPTIONS[name], "input_schema": SCHEMAS[name]} for name in SCHEMAS
]
messages: list = [{"role": "user", "content": QUESTION}]
calls = []
for choice, limit in (("any", CALL_TOKENS), ("none", ANSWER_TOKENS)):
    with client.messages.stream(
        model=MODEL, messages=messages, tools=tools, tool_choice={"type": choice}, max_tokens=limit
    ) as stream:
        message = stream.get_final_message()
    messages.append({"role": "assistant", "content": message.content})
    results = []
    for block in message.content:
        if block.type == "tool_use":
            made = call(block.id, block.name, block.input)
            calls.append(made)
            results.append(
                {"type": "tool_result", "tool_use_id": block.id, "content": run_tool(block.name, block.input)}
            )
    if results:
        messages.append({"role": "user", "content": results})
report(calls, 2)
